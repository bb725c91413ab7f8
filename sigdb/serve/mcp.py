"""The MCP door: tools by which agents ask an atlas. They only read, and their answers are short."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from mcp.server import MCPServer
from mcp.server.mcpserver import Context  # noqa: TC002  the SDK reads annotations at run time
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ToolAnnotations
from pydantic import Field
from starlette.requests import Request

from sigdb.serve.limits import Refused
from sigdb.serve.requests import read_body
from sigdb.serve.waiting import THREADS, in_thread
from sigdb.statements import statement
from sigdb.values import to_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import Message, Receive, Scope, Send

    from sigdb.serve.gate import Answered, Gate, User

__all__ = ["AgentDoor", "mcp_server"]

INSTRUCTIONS = """\
An atlas says which genes matter to a single-cell foundation model in each cell: attributions, not expression.
The absolute attributions of a cell add up to 1000, and a score is the mean over the genes of a signature. Scores of
different studies cannot be compared, because panels and depths differ. z and hit rates can: they compare each cell with
matched control genes in cells of the same study and depth. Cells are no replicates: compare groups by donors.
A gene that was not measured is not a gene with attribution 0.

Check names with check_genes first. Use score_by and hits for signatures, top_genes for a group of cells, and query for
everything else. Read the notes of an answer: they say what was left out, and what cannot be compared."""

# The most characters of an answer, which an agent has to read.
LONGEST = 40_000
MOST_ROWS = 500

Genes = Annotated[
    list[str] | str,
    Field(
        description="A list of genes, or the name of a signature of the library (query: FROM signature_info).",
        examples=[["LYZ", "CD14"], "MS1"],
    ),
]
Cells = Annotated[
    str | None,
    Field(
        description="Only these cells: a SQL condition on the table cells.",
        examples=["tissue = 'blood' AND cell_type IN ('monocyte', 'macrophage')"],
    ),
]
Rows = Annotated[int, Field(description="The most rows to return.", ge=1, le=MOST_ROWS)]
Atlas = Annotated[
    str | None, Field(description="The name of the atlas. It can be left out if the server has only one.")
]


class Reply(TypedDict):
    """The first rows of an answer, and what to know about them."""

    columns: list[str]
    rows: list[list[Any]]
    notes: list[str]


class Tools:
    """The tools, which ask a gate."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="mcp")

    async def check_genes(self, ctx: Context, genes: list[str], atlas: Atlas = None) -> Reply:
        """Find out what each name of a gene means in this atlas, before you use it.

        One row per name: the gene that it means (symbol), a status (ok, alias, ensembl, case, ambiguous or missing),
        and for a missing name the nearest one. Example: {"genes": ["LYZ", "CD20", "S100A88"]}
        """
        return await self.ask(ctx, statement("serve/mcp.check_genes"), {"genes": genes}, atlas=atlas, most=MOST_ROWS)

    async def score_by(
        self,
        ctx: Context,
        genes: Genes,
        by: Annotated[str, Field(description="study, sample, donor, tissue, disease, assay, sex or cell_type.")],
        cells: Cells = None,
        min_cells: Annotated[int, Field(description="Leave out groups of fewer cells.", ge=1)] = 10,
        rows: Rows = 50,
        atlas: Atlas = None,
    ) -> Reply:
        """Compute the mean score of a signature by cell type and another column, with z and hit rates.

        hit_rate is the part of the cells that score above 99 % of matched control genes.
        Compare groups by z or hit_rate. score depends on the study. score_se and z_se are standard errors over donors.
        Example: {"genes": ["LYZ", "CD14", "FCN1"], "by": "disease", "cells": "tissue = 'blood'"}
        """
        options = {"genes": genes, "by": by, "cells": cells, "min_cells": min_cells}
        return await self.ask(ctx, "group_scores", options, atlas=atlas, most=rows, kind="finding")

    async def hits(
        self,
        ctx: Context,
        genes: Genes,
        by: Annotated[str, Field(description="The column of the table samples that groups samples.")] = "disease",
        cells: Cells = None,
        min_cells: Annotated[int, Field(description="Leave out samples of fewer cells.", ge=1)] = 50,
        min_samples: Annotated[int, Field(description="Leave out groups of fewer samples.", ge=1)] = 3,
        rows: Rows = 50,
        atlas: Atlas = None,
    ) -> Reply:
        """Rank groups of samples by the part of their cells that are hits of a signature.

        A hit scores above 99 % of matched control genes in cells of the same study and depth. A rank is not a test.
        Example: {"genes": "MS1", "by": "study", "cells": "cell_type = 'monocyte'", "min_samples": 1}
        """
        options = {"genes": genes, "by": by, "cells": cells, "min_cells": min_cells, "min_samples": min_samples}
        return await self.ask(ctx, "hits", options, atlas=atlas, most=rows, kind="finding")

    async def top_genes(
        self,
        ctx: Context,
        cell_type: str | None = None,
        disease: str | None = None,
        tissue: str | None = None,
        study: str | None = None,
        rows: Rows = 20,
        atlas: Atlas = None,
    ) -> Reply:
        """List the genes that matter most to a group of cells: the highest mean attribution. No value means any.

        Example: {"cell_type": "monocyte", "study": "zheng2017_pbmc68k", "rows": 10}
        """
        group = {"cell_type": cell_type, "disease": disease, "tissue": tissue, "study": study}
        return await self.ask(ctx, statement("serve/mcp.top_genes"), {**group, "rows": rows}, atlas=atlas, most=rows)

    async def query(
        self,
        ctx: Context,
        sql: Annotated[str, Field(description="One statement of DuckDB's SQL that reads.")],
        parameters: Annotated[
            list[Any] | None, Field(description="Values for $1, $2 and so on. A list of genes is one value.")
        ] = None,
        rows: Rows = 50,
        atlas: Atlas = None,
    ) -> Reply:
        """Ask the atlas in SQL (DuckDB). Tables: cells, samples, studies, genes, attributions, signature_info and more.

        SHOW TABLES lists tables, DESCRIBE cells the columns of one. SELECT function_name, comment FROM
        duckdb_functions() WHERE NOT internal describes the functions, such as signature_score and leading_genes.
        Example: {"sql": "SELECT cell_type, avg(score) AS score FROM signature_score($1) JOIN cells USING (cell_id)
        GROUP BY cell_type ORDER BY score DESC", "parameters": [["LYZ", "CD14"]]}
        """
        return await self.ask(ctx, sql, parameters or [], atlas=atlas, most=rows)

    async def ask(
        self, ctx: Context, sql: str, parameters: Any, *, atlas: str | None, most: int, kind: str = "query"
    ) -> Reply:
        """Ask the gate in a thread. Raises ToolError for what it refuses; any other error would hide its message."""
        request = ctx.request_context.request
        user = self.gate.admit(None) if request is None else request.state.user
        running: list[Answered] = [] if request is None else request.state.running

        def run() -> Reply:
            asked = self.gate.ask(user, sql, parameters, atlas=atlas, door="mcp", kind=kind)
            with asked as answered:
                running.append(answered)
                return reply(answered, most)

        try:
            return await in_thread(run, stop=lambda: cancel_all(running), threads=self.threads)
        except Refused as error:
            raise ToolError(str(error)) from error


def reply(answered: Answered, most: int) -> Reply:
    """The first rows of an answer, as many as an agent should read, and notes that say what was left out."""
    notes: list[str] = json.loads((answered.schema.metadata or {}).get(b"notes", b"[]"))
    rows: list[list[Any]] = []
    left, more = LONGEST, False
    found = (row for batch in answered.batches() for row in zip(*batch.to_pydict().values(), strict=True))
    for row in ([to_json(value) for value in each] for each in found):
        left -= len(json.dumps(row))
        if len(rows) == most or left < 0:
            more = True
            break
        rows.append(row)
    if more:
        notes.insert(0, f"These are the first {len(rows)} rows. There are more: ask for fewer columns or groups.")
    return Reply(columns=answered.schema.names, rows=rows, notes=notes)


def cancel_all(running: list[Answered]) -> None:
    """Stop queries."""
    for answered in running:
        answered.cancel()


def mcp_server(gate: Gate) -> MCPServer:
    """A server with the tools, for HTTP or for standard input and output."""
    server = MCPServer(
        name="sigdb", title="sigdb", instructions=INSTRUCTIONS, version=version("sigdb-atlas"), log_level="WARNING"
    )
    tools = Tools(gate)
    for tool in (tools.check_genes, tools.score_by, tools.hits, tools.top_genes, tools.query):
        server.add_tool(tool, annotations=ToolAnnotations(read_only_hint=True, idempotent_hint=True))
    return server


class AgentDoor:
    """The tools over HTTP. The person is known by the token of the request, and the query stops if the agent leaves."""

    def __init__(self, gate: Gate, admit: Callable[[Request], User]) -> None:
        self.admit = admit
        server = mcp_server(gate)
        # `Guard` checks the names of hosts. No state is kept between requests.
        anywhere = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        server.streamable_http_app(stateless_http=True, json_response=True, transport_security=anywhere)
        self.sessions = server.session_manager

    @asynccontextmanager
    async def run(self, app: object) -> AsyncIterator[None]:
        """Answer requests within the block."""
        async with self.sessions.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. Raises Refused if nobody has its token."""
        request = Request(scope, receive)
        request.state.user = self.admit(request)
        request.state.running = []
        body = await read_body(request)

        async def replay() -> Message:
            return {"type": "http.request", "body": body}

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            cancel_all(request.state.running)

        watching = asyncio.create_task(watch())
        try:
            await self.sessions.asgi_app(scope, replay, send)
        finally:
            watching.cancel()
