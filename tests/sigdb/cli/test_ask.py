"""Where the query of `sigdb sql` and `sigdb transpile` comes from."""

from __future__ import annotations

import subprocess
import sys
from unittest import mock

import pytest

from sigdb.cli.ask import read_query
from sigdb.errors import OptionError
from tests.sigdb.cli.conftest import run, words

QUERY = "SELECT study FROM studies"


@pytest.mark.parametrize("given", [[QUERY], [], ["-"], ["-f", "q.sql"], ["--file", "q.sql"]], ids=" ".join)
def test_a_query_is_an_argument_or_a_file_or_standard_input(workdir, given):
    (workdir / "q.sql").write_text(f"-- of a file\n{QUERY};\n")
    expected = run("sql", "toy.duckdb", QUERY, "--format", "csv", cwd=workdir)
    assert expected[0] == 0
    assert run("sql", "toy.duckdb", *given, "--format", "csv", cwd=workdir, stdin=QUERY) == expected
    code, out, _ = run("transpile", "--to", "trino", *given, cwd=workdir, stdin=QUERY)
    assert (code, "sigdb_data" in out) == (0, True)


def test_of_several_statements_the_last_result_is_printed(workdir):
    (workdir / "q.sql").write_text("CREATE TEMP TABLE t AS SELECT 1 AS a; SELECT a + 1 AS b FROM t;")
    for more in ([], ["-o", "x.csv"], ["-o", "x.parquet"]):
        code, out, err = run("sql", "toy.duckdb", "-f", "q.sql", *more, cwd=workdir)
        assert code == 0, err
        assert out.split() == ([] if more else ["b", "─", "2", "1", "row."])
    assert (workdir / "x.csv").read_text() == "b\n2\n"


def test_a_file_that_is_no_text_is_named(workdir):
    (workdir / "q.sql").write_bytes(b"SELECT '\xff'")
    code, _, err = run("sql", "toy.duckdb", "-f", "q.sql", cwd=workdir)
    assert (code, words(err)) == (1, "Error: q.sql is not a text file in UTF-8.")


def test_a_terminal_is_not_read(monkeypatch):
    monkeypatch.setattr("sys.stdin", mock.Mock(isatty=lambda: True))
    with pytest.raises(OptionError, match="There is no query"):
        read_query(None, None)


def test_python_runs_sigdb_as_a_module():
    command = [sys.executable, "-m", "sigdb", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith("sigdb 0.")
