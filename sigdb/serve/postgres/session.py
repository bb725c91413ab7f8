"""What one Postgres client asks: statements, their parameters and their rows, through the gate."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pg_mimic as pg
from pg_mimic.session import CallbackStatement, drain_rows

from sigdb.serve.limits import Refused
from sigdb.serve.postgres.boilerplate import MIDDLEWARE
from sigdb.serve.postgres.catalogue import as_duckdb, catalogue_columns
from sigdb.serve.postgres.values import chunks_of, columns_of, declared_types, value_of
from sigdb.serve.waiting import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from concurrent.futures import Executor
    from contextlib import AbstractContextManager

    from sigdb.serve.gate import Answered, Gate

__all__ = ["AtlasPortal", "AtlasSession", "as_postgres"]

# The code of each kind of refusal. Clients show it, and decide by it whether to try again.
SQLSTATES = {
    "bad_query": "42601",  # syntax_error
    "unauthenticated": "28P01",  # invalid_password
    "forbidden": "25006",  # read_only_sql_transaction
    "unknown_atlas": "3D000",  # invalid_catalog_name
    "timeout": "57014",  # query_canceled
    "cancelled": "57014",
    "too_large": "54000",  # program_limit_exceeded
    "out_of_memory": "53200",  # out_of_memory
    "busy": "53300",  # too_many_connections
    "failed": "XX000",  # internal_error
    "stopping": "57P01",  # admin_shutdown
}


def as_postgres(error: Refused) -> pg.PgError:
    """A refusal as Postgres reports it."""
    return pg.PgError(SQLSTATES[error.kind], str(error))


class AtlasSession(pg.Session):
    """One client. Its address, name, token and atlas are known when it was admitted."""

    middleware = MIDDLEWARE

    def __init__(self, gate: Gate, threads: Executor) -> None:
        self.gate = gate
        self.threads = threads
        self.name = ""
        self.token: str | None = None
        self.client: str | None = None
        self.atlas: str | None = None
        self.open: set[AtlasPortal] = set()

    async def prepare(self, sql: str, param_oids: list[int | None]) -> pg.Statement:
        """Answer what every Postgres client asks on its own; everything else is for the atlas."""
        if (answered := await self.answer(sql, param_oids)) is not None:
            return answered
        statement = AtlasStatement(self, sql, param_oids)
        if (names := catalogue_columns(sql)) is None:
            return statement
        try:
            await statement.describe()
        except pg.PgError:  # it asks for something that no atlas has, such as publications
            empty = pg.StaticStatement(sql, [pg.ResultColumn(name, pg.TEXT) for name in names], [])
            empty.param_oids = statement.param_oids
            return empty
        return statement

    async def answer(self, sql: str, param_oids: list[int | None]) -> pg.Statement | None:
        """The answer to a statement that is not about the atlas; None for all others, and for several statements."""
        if ";" in sql.rstrip("; \t\r\n"):
            return None
        answered = await super().prepare(sql, param_oids)
        return None if isinstance(answered, CallbackStatement) else answered

    def ask(self, statement: AtlasStatement, parameters: Sequence[Any], kind: str) -> AbstractContextManager[Answered]:
        """Ask the gate. The token is looked up each time: it may have been revoked."""
        user = self.gate.admit(self.token, door="postgres", client=self.client)
        return self.gate.ask(
            user, statement.query, parameters, atlas=self.atlas, door="postgres", kind=kind, sent=statement.sql
        )

    async def call(
        self, function: Callable[..., Any], *arguments: Any, stop: Callable[[], object] = lambda: None
    ) -> Any:
        """Call a function of the gate in a thread. Raises refusals as errors of Postgres."""
        try:
            return await in_thread(function, *arguments, stop=stop, threads=self.threads)
        except Refused as error:
            raise as_postgres(error) from error

    def facts(self) -> dict[str, str]:
        """What functions of Postgres about the connection return, and its settings."""
        connection = self._connection
        settings: dict[str, str] = {**connection.server.parameter_status, **connection.session_vars}
        about = {"version": f"PostgreSQL {settings['server_version']}", "pg_backend_pid": str(connection.pid)}
        return {**settings, **about, "current_user": self.name}

    async def close_all_but(self, kept: set[pg.Portal]) -> None:
        """End the queries of all other portals."""
        for portal in self.open - kept:
            await self.call(portal.close)

    async def close(self) -> None:
        """End all queries."""
        await self.close_all_but(set())


class AtlasStatement(pg.Statement):
    """A statement about the atlas. The columns are declared once: clients keep what they were told first."""

    def __init__(self, session: AtlasSession, sql: str, given: list[int | None]) -> None:
        self.session = session
        self.sql = sql
        # What DuckDB runs.
        self.query = as_duckdb(sql, session.facts())
        self.types = declared_types(sql, given)
        # A client that asks for the type of a parameter is told text if nothing is known.
        self.param_oids = [pg.TEXT if oid is None else oid for oid in self.types]
        self.columns: list[pg.ResultColumn] | None = None
        self.bound: AtlasPortal | None = None

    async def describe(self) -> list[pg.ResultColumn]:
        """The columns of the result. A statement whose parameters are not bound yet is described with NULLs."""
        if self.columns is None:
            portal = self.bound or AtlasPortal(self, [None] * len(self.types), kind="columns")
            self.columns = await portal.columns()
        return self.columns

    def bind(self, params: list[Any]) -> pg.Portal:
        """Bind parameters. Raises PgError for a text that is not of the type of its parameter."""
        types = [*self.types, *[None] * (len(params) - len(self.types))]
        try:
            values = [value_of(value, oid) for value, oid in zip(params, types, strict=True)]
        except (ValueError, ArithmeticError) as error:
            raise pg.PgError("22P02", f"A parameter is not of the type that it was sent as: {error}") from error
        self.bound = AtlasPortal(self, values)
        return self.bound


class AtlasPortal(pg.Portal):
    """One run of a statement."""

    def __init__(self, statement: AtlasStatement, values: list[Any], kind: str = "query") -> None:
        self.session = statement.session
        self.statement = statement
        self.kind = kind
        self.values = values
        self.context = ExitStack()
        self.answered: Answered | None = None
        self.rows: AsyncIterator[tuple[Any, ...]] | None = None

    async def columns(self) -> list[pg.ResultColumn]:
        """Start the query, and return the columns of its result."""
        answered = await self.started()
        return columns_of(await self.read(lambda: answered.schema, answered.cancel))

    async def execute(self, max_rows: int) -> tuple[list[tuple[Any, ...]], bool]:
        """Return the next rows, and whether there may be more."""
        if self.rows is None:
            self.rows = self.all_rows()
        rows: tuple[list[tuple[Any, ...]], bool] = await drain_rows(self.rows, max_rows)
        return rows

    async def all_rows(self) -> AsyncIterator[tuple[Any, ...]]:
        """The rows of the result, read from DuckDB as they are needed."""
        answered = await self.started()
        chunks = (chunk for batch in answered.batches() for chunk in chunks_of(batch))
        while (chunk := await self.read(lambda: next(chunks, None), answered.cancel)) is not None:
            for row in chunk:
                yield row
        await self.session.call(self.close)

    async def read(self, function: Callable[[], Any], stop: Callable[[], None] = lambda: None) -> Any:
        """Ask the gate in a thread. A refusal ends the query, so that the gate writes it down."""

        def read() -> Any:
            try:
                return function()
            except Refused as error:
                self.session.open.discard(self)
                self.context.__exit__(type(error), error, error.__traceback__)
                raise

        return await self.session.call(read, stop=stop)

    async def started(self) -> Answered:
        """Start the query if it has not started."""
        if self.answered is None:
            self.session.open.add(self)
            self.answered = await self.read(self.start)
        return self.answered

    def start(self) -> Answered:
        """Start the query."""
        return self.context.enter_context(self.session.ask(self.statement, self.values, self.kind))

    def close(self) -> None:
        """End the query. Closing it again does nothing."""
        self.context.close()
        self.session.open.discard(self)
