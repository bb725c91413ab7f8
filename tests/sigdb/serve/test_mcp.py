"""The MCP door, by its messages. `tests/web` uses the client of the SDK."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("mcp", reason="the extra serve is not installed")

from starlette.testclient import TestClient

import sigdb
from sigdb.serve.http import make_app
from sigdb.serve.mcp import LONGEST
from tests.sigdb.serve.test_gate import ENDLESS

# The ends of messages about a signature and a group that the toy does not have.
MISSING = ("The library has: MYELOID, T_CELL.", "FROM cells lists what there is.")
ACCEPT = {"accept": "application/json, text/event-stream"}


@pytest.fixture
def client(gate):
    """A client of the door, for everybody."""
    with TestClient(make_app(gate, mcp=True), base_url="http://127.0.0.1:8080", headers=ACCEPT) as client:
        yield client


def send(client, method, **params):
    answer = client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def call(client, tool, **arguments):
    result = send(client, "tools/call", name=tool, arguments=arguments)
    assert not result.get("isError"), result
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
    return result["structuredContent"]


def refusal(client, tool, **arguments) -> str:
    result = send(client, "tools/call", name=tool, arguments=arguments)
    assert result["isError"]
    return result["content"][0]["text"]


def test_tools_say_what_they_do(client):
    tools = {tool["name"]: tool for tool in send(client, "tools/list")["tools"]}
    assert set(tools) == {"check_genes", "score_by", "hits", "top_genes", "query"}
    for tool in tools.values():
        assert tool["annotations"]["readOnlyHint"]
        assert "Example:" in tool["description"]
        assert set(tool["outputSchema"]["properties"]) == {"columns", "rows", "notes"}


def test_examples_of_descriptions_are_calls(client):
    """A refusal is only about genes and signatures that the toy lacks, and not about the arguments."""
    for tool in send(client, "tools/list")["tools"]:
        example = json.loads(" ".join(tool["description"].partition("Example:")[2].split()))
        result = send(client, "tools/call", name=tool["name"], arguments=example)
        said = result["content"][0]["text"]
        assert not result["isError"] or "not in this atlas" in said or said.endswith(MISSING), said


def test_check_genes(client, toy):
    genes = ["S100A8", "ENSG00000143546.9", "S100A88"]
    answer = call(client, "check_genes", genes=genes)
    assert answer["columns"] == ["gene", "symbol", "gene_id", "status", "suggestion"]
    assert [tuple(row) for row in answer["rows"]] == toy.sql("FROM check_genes($1)", params=[genes]).fetchall()


def test_top_genes(client, toy):
    answer = call(client, "top_genes", cell_type="monocyte", rows=2)
    expected = toy.sql(
        "SELECT gene, score FROM gene_importance(cell_type := 'monocyte') ORDER BY rank, gene"
    ).fetchall()
    assert [tuple(row[:2]) for row in answer["rows"]] == expected[:2]


@pytest.mark.parametrize(
    ("tool", "finding", "options"),
    [
        pytest.param("score_by", sigdb.group_scores, {"by": "study", "min_cells": 1}, marks=pytest.mark.slow),
        ("hits", sigdb.hits, {"by": "study", "min_cells": 1, "min_samples": 1, "cells": "n_genes > 0"}),
    ],
)
def test_findings_are_those_of_python(client, toy, tool, finding, options):
    """With their notes, which an agent must read."""
    genes = ["S100A8", "CD3E"]
    answer, expected = call(client, tool, genes=genes, **options), finding(toy, genes, **options)
    assert answer["columns"] == expected.table.column_names
    assert [tuple(row) for row in answer["rows"]] == [tuple(row.values()) for row in expected.table.to_pylist()]
    assert answer["notes"] == list(expected.notes)


def test_a_query(client):
    assert call(client, "query", sql="SELECT $1 AS genes, 1::HUGEINT AS n", parameters=[["A"]]) == {
        "columns": ["genes", "n"],
        "rows": [[["A"], 1]],
        "notes": [],
    }


def test_answers_are_short(client):
    answer = call(client, "query", sql="FROM range(100)", rows=3)
    assert answer["rows"] == [[0], [1], [2]]
    assert answer["notes"] == ["These are the first 3 rows. There are more: ask for fewer columns or groups."]
    assert call(client, "query", sql="FROM range(3)", rows=3)["notes"] == []
    wide = call(client, "query", sql=f"SELECT repeat('a', {LONGEST // 3}) FROM range(9)")
    assert len(wide["rows"]) == 2
    assert wide["notes"] == ["These are the first 2 rows. There are more: ask for fewer columns or groups."]
    assert "less than or equal to 500" in refusal(client, "query", sql="SELECT 1", rows=501)


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("query", {"sql": "DROP TABLE cells"}, "DROP is not allowed"),
        ("query", {"sql": "SELECT 1; SELECT 2"}, "These are 2 statements"),
        ("query", {"sql": "FROM read_csv('/etc/passwd')"}, "reads nothing but the atlas"),
        ("query", {"sql": "SELECT 1", "atlas": "other"}, "There is no atlas 'other' here."),
        ("hits", {"genes": ["S100A8"], "cells": "true) OR (true; DROP TABLE x"}, "not a SQL condition"),
        ("hits", {"genes": ["S100A8"], "by": "nothing"}, "nothing"),
        ("hits", {"genes": ["S100A88"]}, "did you mean S100A8?"),
        ("score_by", {"genes": ["S100A8"], "by": "study", "cells": "1 = (FROM read_text('/etc/passwd'))"}, ""),
    ],
)
def test_refusals_are_errors_of_tools_with_their_message(client, tool, arguments, said):
    assert said in refusal(client, tool, **arguments)


def test_a_query_takes_too_long(client, limit):
    limit(seconds=1)
    assert "longer than 1 second" in refusal(client, "query", sql=ENDLESS)


def test_who_may_ask(closed_gate, ada):
    with TestClient(make_app(closed_gate, mcp=True), base_url="https://atlas.example.org", headers=ACCEPT) as client:
        for headers in ({}, {"authorization": "Bearer no"}):
            answer = client.post("/mcp", json={}, headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        client.headers["authorization"] = f"Bearer {ada[1]}"
        assert call(client, "query", sql="SELECT 1 AS a")["rows"] == [[1]]


def test_a_request_that_is_too_long_is_refused(client):
    answer = client.post("/mcp", content=b" " * ((8 << 20) + 1))
    assert (answer.status_code, answer.json()["error"]["kind"]) == (413, "too_large")
