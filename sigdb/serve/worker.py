"""A process that runs the queries of one person at a time, on a locked connection.

Each query has a process for itself, because DuckDB cannot always be stopped from within: planning a large expression,
or one function call on one huge value, may take seconds after an interruption, and memory that DuckDB does not count
can end the process. So the gate can end a process without harm to other queries.

The gate sends `Question` and "stop". The process sends messages whose first byte says what follows: S nothing (it has
started), B a stream of Arrow IPC with rows, E nothing (the end), R the kind and the message of a refusal as JSON.
"""

from __future__ import annotations

import json
import os
import signal
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from sigdb.connection import connect
from sigdb.errors import AtlasLockedError, OptionError, QueryError, SigdbError, SignatureError, message, nearest
from sigdb.findings.groups import group_scores
from sigdb.findings.hits import hits
from sigdb.serve.limits import Limits, Refused
from sigdb.serve.memory import cap_memory
from sigdb.serve.reading import check_reads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from multiprocessing.connection import Connection

    from sigdb.answers import Answer
    from sigdb.serve.atlases import AtlasFile

__all__ = ["Question", "work"]

# Rows that are sent at a time.
BATCH = 8192
# Seconds without a question after which the file is closed, so that it can be written to and takes no memory.
IDLE = 10.0
# The longest message of an error. It may contain values of the query.
LONGEST = 2000
# The kinds of refusal by how DuckDB's errors begin. All others are about the query.
KINDS = {
    "INTERRUPT": "cancelled",
    "Out of Memory": "out_of_memory",
    "Permission": "forbidden",
    "FATAL": "failed",
    "INTERNAL": "failed",
}
# The findings that can be asked for.
FINDINGS: dict[str, Callable[..., Answer]] = {"group_scores": group_scores, "hits": hits}
# What Python and pyarrow raise about a query or its parameters.
OF_PYTHON = (MemoryError, OSError, RuntimeError, TypeError, ValueError)
MESSAGES = {
    "cancelled": "The query was stopped.",
    "out_of_memory": "The query needs more memory than this server gives to one query. Ask for fewer cells or genes at "
    "a time.",
    "forbidden": "A query on this server reads nothing but the atlas: no files, no network.",
    "failed": "The query made DuckDB fail. Please report it. ({})",
}


@dataclass(frozen=True)
class Question:
    """What is asked, who asks it, and the atlas that it is about. `Gate.ask` says what kinds there are."""

    user: str
    atlas: AtlasFile
    sql: str
    parameters: Sequence[Any] | Mapping[str, Any] | None
    kind: str = "query"

    def place(self) -> tuple[str, AtlasFile]:
        """What may share a connection. Nobody shares one with another person: a query can leave traces in it."""
        return self.user, self.atlas


class Worker:
    """The process's connection to an atlas, and its pipe to the gate."""

    def __init__(self, pipe: Connection, limits: Limits) -> None:
        self.pipe = pipe
        self.limits = limits
        self.questions: SimpleQueue[Question] = SimpleQueue()
        self.con: duckdb.DuckDBPyConnection | None = None
        # Of the query that runs.
        self.cursor: duckdb.DuckDBPyConnection | None = None
        self.place: tuple[str, AtlasFile] | None = None
        self.is_idle = Event()

    def listen(self) -> None:
        """Take what the gate sends, until it closes the pipe. Then end the process, whatever runs."""
        with suppress(EOFError, OSError):
            while True:
                received = self.pipe.recv()
                if isinstance(received, Question):
                    self.is_idle.clear()
                    self.questions.put(received)
                else:
                    self.interrupt()
        os._exit(0)

    def interrupt(self) -> None:
        """Interrupt the query until it has ended: it may not run yet, and parsing and planning do not listen."""
        while not self.is_idle.wait(0.05):
            if (cursor := self.cursor) is not None:
                with suppress(duckdb.Error):
                    cursor.interrupt()

    def run(self) -> None:
        """Answer questions, one after the other."""
        self.pipe.send_bytes(b"S")
        while True:
            try:
                question = self.questions.get(timeout=IDLE)
            except Empty:
                self.close()
                continue
            last = self.reply(question)
            self.is_idle.set()
            self.pipe.send_bytes(last)

    def reply(self, question: Question) -> bytes:
        """Send the rows of an answer, and return the message that ends it."""
        try:
            for stream in self.answer(question):
                self.pipe.send_bytes(b"B" + stream)
        except ConnectionError:
            raise  # the gate has gone
        except (duckdb.Error, pa.ArrowException, SigdbError, *OF_PYTHON) as error:
            refused = explain(error)
            return b"R" + json.dumps([refused.kind, str(refused)[:LONGEST]]).encode()
        return b"E"

    def answer(self, question: Question) -> Iterator[bytes]:
        """The rows of an answer within the limits, as streams of Arrow IPC. The first may have no rows."""
        with self.cursor_for(question) as cursor, ANSWERS[question.kind](cursor, question) as reader:
            yield stream_of(reader.schema)
            n_rows = n_bytes = 0
            for batch in reader:
                n_rows, n_bytes = n_rows + batch.num_rows, n_bytes + batch.nbytes
                check_size(n_rows, n_bytes, self.limits)
                yield stream_of(reader.schema, batch)

    @contextmanager
    def cursor_for(self, question: Question) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor for one query. What a query leaves in it (such as a seed) ends with it."""
        con = self.connection(question)
        with con.cursor() as self.cursor:
            yield self.cursor

    def connection(self, question: Question) -> duckdb.DuckDBPyConnection:
        """The open connection, if it is to this atlas and was this person's; otherwise a new one."""
        if self.con is None or self.place != question.place():
            self.close()
            limits = self.limits
            self.con = connect(question.atlas.path, locked=True, threads=limits.threads, memory_limit=limits.memory)
            self.place = question.place()
            cap_memory(self.con, limits)
        return self.con

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self.con is not None:
            self.con.close()
            self.con = self.place = None


def run_query(con: duckdb.DuckDBPyConnection, question: Question) -> pa.RecordBatchReader:
    """The rows of a query, as they are computed."""
    check_reads(con, question.sql)
    return read(con.sql(question.sql, params=question.parameters))


def find_columns(con: duckdb.DuckDBPyConnection, question: Question) -> pa.RecordBatchReader:
    """The columns of a query, without rows. DuckDB 1.4 runs a query that has parameters nevertheless."""
    check_reads(con, question.sql)
    found = con.sql(question.sql.rstrip("; \t\r\n"), params=question.parameters)
    return pa.table(found.limit(0)).rename_columns(found.columns).to_reader()


def run_finding(con: duckdb.DuckDBPyConnection, question: Question) -> pa.RecordBatchReader:
    """The table of a finding, with its notes in the schema."""
    if question.sql not in FINDINGS:
        raise Refused("bad_query", f"There is no finding {question.sql!r:.80}.{nearest(question.sql, FINDINGS)}")
    answer = FINDINGS[question.sql](con, **dict(question.parameters or {}))
    return answer.table.replace_schema_metadata({"notes": json.dumps(answer.notes)}).to_reader(BATCH)


# How each kind of question is answered.
ANSWERS = {"query": run_query, "columns": find_columns, "finding": run_finding}


def read(found: duckdb.DuckDBPyRelation) -> pa.RecordBatchReader:
    """The rows of a relation as they are computed. DuckDB 1.4 has another name for this."""
    if hasattr(found, "to_arrow_reader"):
        return found.to_arrow_reader(BATCH)
    return found.fetch_arrow_reader(BATCH)


def stream_of(schema: pa.Schema, *batches: pa.RecordBatch) -> bytes:
    """A stream of Arrow IPC with these batches. Each has its own, since it may have its own dictionaries."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    stream: bytes = sink.getvalue().to_pybytes()
    return stream


def check_size(n_rows: int, n_bytes: int, limits: Limits) -> None:
    """Refuse an answer that has become too large."""
    if n_rows > limits.rows:
        raise Refused(
            "too_large",
            f"The result has more than {limits.rows:,} rows, the limit of this server. Ask for fewer with LIMIT or "
            "WHERE, or count them with GROUP BY.",
        )
    if n_bytes > limits.bytes:
        raise Refused(
            "too_large",
            f"The result has more than {limits.bytes:,} bytes, the limit of this server. Ask for fewer columns or "
            "rows.",
        )


def explain(error: Exception) -> Refused:
    """An error as the refusal that it is. pyarrow raises errors of DuckDB as its own, with the same text."""
    match error:
        case Refused():
            return error
        case AtlasLockedError():
            return Refused("busy", "The atlas is being written to. Try again in a moment.")
        case OptionError() | QueryError() | SignatureError():
            cause = error.__cause__
            refused = explain(cause) if isinstance(cause, Exception) else None
            return refused if refused and refused.kind != "bad_query" else Refused("bad_query", str(error))
        case SigdbError():
            return Refused("failed", str(error))
        case RecursionError():
            return Refused("bad_query", "The query is nested too deeply.")
    kind = (
        "out_of_memory"
        if isinstance(error, MemoryError)
        else KINDS.get(str(error).partition(" Error: ")[0], "bad_query")
    )
    return Refused(kind, MESSAGES.get(kind, "{}").format(message(str(error))))


def work(pipe: Connection, limits: Limits) -> None:
    """Run a worker until the gate closes the pipe. Signals are for the gate, which ends its workers itself."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    # DuckDB draws a progress bar there.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    worker = Worker(pipe, limits)
    Thread(target=worker.listen, daemon=True).start()
    worker.run()
