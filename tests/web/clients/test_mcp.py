"""The client of the MCP SDK, over HTTP."""

from __future__ import annotations

import asyncio
import json

import httpx2 as httpx
import pytest

pytest.importorskip("psycopg", reason="`make test-web` runs these tests")

from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

import sigdb
from tests.web.clients.conftest import ENDLESS, GENES, LITERAL, REFUSED, SQL

TIMEOUT = 30


def with_session(server, use, token=None, scheme="http", **options):
    """Use a session with the server."""

    async def run():
        headers = {"authorization": f"Bearer {server.token if token is None else token}"}
        address = f"{scheme}://localhost:{server.ports['http']}/mcp"
        async with (
            httpx.AsyncClient(headers=headers, timeout=TIMEOUT, **options) as http,
            streamable_http_client(address, http_client=http) as (receive, send, *_),
            ClientSession(receive, send) as session,
        ):
            await session.initialize()
            return await use(session)

    return asyncio.run(run())


def call(server, tool, **arguments):
    return with_session(server, lambda session: session.call_tool(tool, arguments))


def test_rows_are_those_of_sigdb(server, expected):
    answer = call(server, "query", sql=SQL.format("$1"), parameters=[GENES])
    assert [tuple(row) for row in answer.structured_content["rows"]] == expected
    assert json.loads(answer.content[0].text) == answer.structured_content
    assert call(server, "query", sql=LITERAL).structured_content == answer.structured_content


def test_findings_are_those_of_sigdb(server, demo_path):
    answer = call(server, "hits", genes=GENES, by="study", min_samples=1).structured_content
    with sigdb.connect(demo_path) as con:
        expected = sigdb.hits(con, GENES, by="study", min_samples=1)
    rows = [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]
    assert rows == [approximate(row) for row in expected.table.to_pylist()]
    assert answer["notes"] == list(expected.notes)


def approximate(row):
    """A row whose last digits may differ."""
    return {name: pytest.approx(value) if isinstance(value, float) else value for name, value in row.items()}


def test_tools_are_listed(server):
    tools = with_session(server, lambda session: session.list_tools()).tools
    assert sorted(tool.name for tool in tools) == ["check_genes", "hits", "query", "score_by", "top_genes"]


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_are_errors_of_the_tool(server, name):
    sql, said = REFUSED[name]
    answer = call(server, "query", sql=sql)
    assert answer.is_error
    assert said in answer.content[0].text


def test_who_may_ask(server):
    address = f"http://localhost:{server.ports['http']}/mcp"
    answer = httpx.post(address, json={}, headers={"authorization": "Bearer no"})
    assert (answer.status_code, answer.json()["error"]["kind"]) == (401, "unauthenticated")
    with pytest.raises(BaseExceptionGroup):
        with_session(server, lambda session: session.list_tools(), token="no")


def test_tls(tls_server):
    import ssl

    trust = ssl.create_default_context(cafile=tls_server.certificate)
    tools = with_session(tls_server, lambda session: session.list_tools(), scheme="https", verify=trust).tools
    assert len(tools) == 5


def test_an_agent_that_leaves_stops_its_query(server):
    sql = f"{ENDLESS} -- left"
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "query", "arguments": {"sql": sql}}}
    headers = {"authorization": f"Bearer {server.token}", "accept": "application/json, text/event-stream"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"http://localhost:{server.ports['http']}/mcp", json=body, headers=headers, timeout=1)
    server.wait_for(door="mcp", sql=sql, outcome="cancelled")
