"""The gate, which all doors use: who may ask, how much, and the log of it."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from threading import Condition
from typing import TYPE_CHECKING, Any

from sigdb.errors import OptionError
from sigdb.serve.limits import Limits, Refused
from sigdb.serve.minutes import Minutes
from sigdb.serve.processes import GRACE, Processes, Run
from sigdb.serve.worker import Question

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from sigdb.serve.atlases import Atlases
    from sigdb.serve.log import QueryLog
    from sigdb.serve.tokens import Tokens

__all__ = ["Answered", "Gate", "Limits", "Refused", "User"]

# Wrong tokens from one address within a minute that are written down. A token that is valid is admitted all the same.
WRONG_TOKENS = 60


@dataclass(frozen=True)
class User:
    """A person who was admitted."""

    name: str


class Answered:
    """The answer to a query: its columns, and its rows as they come.

    Attributes
    ----------
    schema : pyarrow.Schema
        The columns. Reading it waits until DuckDB knows them, and raises Refused if the query fails before.
    rows, bytes : int
        What was read so far.
    seconds : float
        The time from the start until the last row was read.
    """

    def __init__(self, run: Run, done: Callable[[], None]) -> None:
        """Start to answer. done: called after the last row."""
        self.run = run
        self.done = done
        self.rows = self.bytes = 0
        self.started = time.monotonic()
        self.seconds = 0.0
        self.parts = run.parts()
        self.known: pa.Schema | None = None

    @property
    def schema(self) -> pa.Schema:
        """The columns."""
        # Not a cached_property: before Python 3.12, it has one lock for all answers, which wait for each other then.
        if self.known is None:
            self.known = next(self.parts).schema
        return self.known

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, once. Raises Refused if the query fails, takes too long or gives too much."""
        assert self.schema is not None  # it comes first
        for part in self.parts:
            for batch in part:
                self.rows, self.bytes = self.rows + batch.num_rows, self.bytes + batch.nbytes
                yield batch
        self.seconds = time.monotonic() - self.started
        self.done()

    def cancel(self) -> None:
        """Stop the query. Any thread may call this."""
        self.run.stop(Refused("cancelled", "The query was stopped."))


class Gate:
    """Admits people, and runs their queries within limits, each in a process of its own.

    Parameters
    ----------
    atlases
        What can be asked.
    tokens
        Who may ask. None: everybody, as the user `local`.
    limits
        What one query may take, and how many run at once.
    log
        Where every query is written down.
    """

    def __init__(self, atlases: Atlases, tokens: Tokens | None, limits: Limits, log: QueryLog) -> None:
        self.atlases = atlases
        self.tokens = tokens
        self.wrong_tokens = Minutes()
        self.limits = limits
        self.log = log
        self.processes = Processes(limits)
        self.changed = Condition()
        self.runs: set[Run] = set()
        # How many queries each person has here, and the whole server, which is None.
        self.n_of: Counter[str | None] = Counter()
        self.is_stopping = False

    def admit(self, token: str | None, *, door: str | None = None, client: str | None = None) -> User:
        """The person who has a token. Raises Refused (401) if nobody has it. Without tokens, everybody is `local`.

        door, client: where a wrong token came in, and the address that it came from, for the log.
        """
        if self.tokens is None:
            return User("local")
        if not token:
            raise Refused("unauthenticated", "This server needs a token. Ask the person who runs it for one.")
        try:
            name = self.tokens.whose(token)
        except OptionError as error:
            self.log.write(outcome="failed", message=str(error))
            raise Refused("unauthenticated", "The tokens of this server cannot be read. Nobody is admitted.") from None
        if name is None:
            self.note_wrong_token(door, client)
            raise Refused("unauthenticated", "This token is not valid here. It may have been revoked.")
        return User(name)

    def note_wrong_token(self, door: str | None, client: str | None) -> None:
        """Write down a wrong token. Raises Refused if its address sent too many, so that it does not fill the log."""
        n = self.wrong_tokens.add(client)
        if n <= WRONG_TOKENS:
            self.log.write(outcome="unauthenticated", door=door, client=client)
            return
        if n == WRONG_TOKENS + 1:
            left_out = "More wrong tokens came from this address within a minute. They are not written down."
            self.log.write(outcome="busy", door=door, client=client, message=left_out)
        raise Refused("busy", f"More than {WRONG_TOKENS} wrong tokens came from your address. Try again in a minute.")

    @contextmanager
    def ask(
        self,
        user: User,
        sql: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        *,
        atlas: str | None = None,
        door: str,
        kind: str = "query",
        sent: str | None = None,
    ) -> Iterator[Answered]:
        """Run a query. The block gets its answer at once; leaving the block stops the query.

        Parameters
        ----------
        user
            Who asks.
        sql
            One statement that reads.
        parameters
            Values of its parameters: a list for `?` and `$1`, a dictionary for `$name`.
        atlas
            The name of the atlas. It can be left out if there is only one.
        door
            The name of the door, for the log.
        kind
            What is wanted: the rows of a query; its `columns` only; or a `finding`. Then `sql` is the name of a
            function of sigdb, and `parameters` are its arguments. The schema has its notes.
        sent
            What the client sent, for the log, if a door wrote `sql` from it.

        Raises
        ------
        Refused
            The server is busy or does not have the atlas. `Answered` raises it if the query is not allowed, fails, or
            takes more than the limits.
        """
        started, answered, outcome = time.monotonic(), None, None
        try:
            with self.turn(user.name, self.limits.per_user), ExitStack() as stack:
                found = self.atlases.find(atlas)
                atlas = found.name  # for the log
                run = stack.enter_context(self.run(Question(user.name, found, sql, parameters, kind)))
                answered = Answered(run, stack.close)
                yield answered
        except Refused as refused:
            outcome = refused.kind
            raise
        finally:
            self.log.write(
                user=user.name,
                door=door,
                atlas=atlas,
                sql=sql if sent is None else sent,
                rows=answered.rows if answered else 0,
                bytes=answered.bytes if answered else 0,
                seconds=round((answered and answered.seconds) or time.monotonic() - started, 3),
                outcome=outcome or (answered.run.outcome if answered else "failed"),
            )

    @contextmanager
    def turn(self, name: str | None, most: int) -> Iterator[None]:
        """Wait until fewer than `most` queries of a person, or of the whole server (None), are here. Raises Refused."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.is_stopping or self.n_of[name] < most, self.limits.wait):
                whose = "of this server" if name is None else "for one person"
                raise Refused("busy", f"{most} queries run already, the limit {whose}. Try again in a moment.")
            if self.is_stopping:
                raise Refused("stopping", "The server is stopping.")
            self.n_of[name] += 1
        try:
            yield
        finally:
            with self.changed:
                self.n_of[name] -= 1
                self.changed.notify_all()

    @contextmanager
    def run(self, question: Question) -> Iterator[Run]:
        """Run a query in a process, which is free for the next query after the block."""
        with self.turn(None, self.limits.at_once):
            process = self.processes.lend(question.place())
            try:
                process.wait()
                with closing(Run(process, question, self.limits)) as run:
                    self.runs.add(run)
                    yield run
            finally:
                self.runs = {each for each in self.runs if each.process is not process}
                self.processes.take_back(process)

    def close(self, grace: float = 5.0) -> None:
        """Let queries run for some seconds more, stop the rest, and end all processes. New queries are refused."""
        with self.changed:
            self.is_stopping = True
            self.changed.notify_all()
            self.changed.wait_for(lambda: not self.runs, grace)
            for run in list(self.runs):
                run.stop(Refused("stopping", "The server is stopping."))
            self.changed.wait_for(lambda: not self.runs, 2 * GRACE)
        self.processes.close()
