"""Rules that hold for the code as a whole."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from tests.support import ROOT

SOURCES = [path for folder in ("sigdb", "ingest") for path in (ROOT / folder).rglob("*.py")]


def test_importing_sigdb_loads_nothing_heavy():
    code = "import sys, sigdb, sigdb.cli; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "captum", "anndata", "ingest", "pandas", "scipy", "statsmodels", "altair", "scanpy"}.isdisjoint(
        loaded
    )


SQL = re.compile(
    r"\s*(SELECT|FROM|INSERT|UPDATE|DELETE|CREATE|ALTER|ATTACH|COPY|SET|WITH|DESCRIBE)\b[^a-z]*\s", re.DOTALL
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_sql_is_formatted_from_text(path):
    """No f-string, % or .format makes a statement: values are bound, identifiers go through sqlglot."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            first = node.values[0] if node.values else None
            start = first.value if isinstance(first, ast.Constant) else ""
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Constant):
            start = str(node.left.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            start = str(getattr(node.func.value, "value", ""))
        else:
            continue
        assert not SQL.match(start), f"{path}:{node.lineno}: {start!r}"


def functions(path):
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path):
    assert len(path.read_text().splitlines()) <= 400
    for node in functions(path):
        if any(isinstance(d, ast.Call) for d in node.decorator_list):
            continue
        body = node.end_lineno - node.body[0].lineno + 1
        assert body <= 45, f"{path}:{node.lineno}: {node.name} has {body} lines"
