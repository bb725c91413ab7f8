"""`sigdb shell`, driven by keys as a terminal sends them."""

from __future__ import annotations

import os
import signal
import sys
import threading
from unittest import mock

import pytest

import sigdb
from sigdb.cli.shell import COMMANDS, ctrl_c_ends_a_query, run_statements, talk
from tests.sigdb.cli.conftest import run, words

prompt_toolkit = pytest.importorskip("prompt_toolkit", reason="the extra `shell` is not installed")
CTRL_D = "\x04"


@pytest.fixture
def state(tmp_path, monkeypatch):
    """A folder for the history."""
    monkeypatch.setattr("sigdb.cli.prompt.user_state_path", lambda name: tmp_path / name)
    return tmp_path / "sigdb"


@pytest.fixture
def type_keys(toy_path, state, capsys):
    """A function that types keys into a shell, and returns what it printed and the errors."""
    from prompt_toolkit.application import create_app_session
    from prompt_toolkit.input import create_pipe_input
    from prompt_toolkit.output import DummyOutput

    from sigdb.cli.prompt import prompt_session

    def type_into_shell(keys: str) -> tuple[str, str]:
        with create_pipe_input() as pipe, create_app_session(pipe, DummyOutput()), sigdb.connect(toy_path) as con:
            pipe.send_text(keys)
            talk(con, prompt_session(con, str(toy_path), list(COMMANDS)))
        return capsys.readouterr()

    return type_into_shell


def test_queries_have_several_lines_and_errors_do_not_end_the_shell(type_keys):
    out, err = type_keys("SELECT cell_id,\r score\rFROM signature_score(['CD3E']);\rSELECT nope;\rSELECT 42;\r.quit\r")
    assert "3 rows." in out
    assert words(out).endswith("42 ── 42 1 row.")
    assert "nope" in err


def test_commands_of_the_shell(type_keys):
    out, err = type_keys(f".help\r.tables\r.macros\r.tabels\rSET threads = 1;\r;\r\rEXPLAIN SELECT 1;\r{CTRL_D}")
    assert ".macros" in out
    assert "One row per cell: the columns of the cell, its sample and its study" in words(out)
    assert "check_genes(genes, run := NULL) -> TABLE" in words(out)
    assert "Done." in out
    assert "\\n" not in out  # a plan has lines
    assert words(err) == "Error: There is no command .tabels. Did you mean '.tables'? .help lists them."


def test_the_shell_reads_only(type_keys, toy_path):
    before = toy_path.read_bytes()
    _, err = type_keys(f"DELETE FROM sigdb_data.genes;\rCOPY (SELECT 1) TO 'x.csv';\r{CTRL_D}")
    assert words(err).count("Error: Cannot execute") == 1
    assert "Permission" in err or "disabled by configuration" in err
    assert toy_path.read_bytes() == before


def test_queries_are_kept_for_the_next_shell(type_keys, state):
    type_keys(f"SELECT 41;\r{CTRL_D}")
    out, _ = type_keys(f"\x1b[A\r{CTRL_D}")  # the arrow up
    assert "41" in words(out)
    assert (state / "shell_history").stat().st_mode & 0o077 == 0


def test_a_history_that_cannot_be_kept_is_no_error(type_keys, state):
    state.write_text("a file where a folder should be")
    assert "41" in type_keys(f"SELECT 41;\r{CTRL_D}")[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT signature_scores", ["signature_scores"]),
        ("FROM cel", ["cells", "cell_id", "cell_type"]),
        ("SELECT GROU", ["group_sizes", "GROUP", "GROUPS", "GROUPING", "GROUPING_ID"]),
        ("SELECT signature_score(cell_id, ['cd3", ["CD3E"]),
        ("FROM cells WHERE cell_type = 'T", ["T cell", "T_CELL"]),
        (".ta", [".tables"]),
        ("FROM ", []),
        ("SELECT 'a' ", []),
    ],
)
def test_completion(toy_path, text, expected):
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from sigdb.cli.prompt import SqlCompleter

    with sigdb.connect(toy_path) as con:
        found = [each.text for each in SqlCompleter(con, COMMANDS).get_completions(Document(text), CompleteEvent())]
    assert [each for each in found if each in expected] == expected
    assert bool(found) == bool(expected)


def test_ctrl_c_ends_the_query_only(type_keys, monkeypatch):
    def run_and_press(con: object, text: str) -> None:
        if "range" in text:
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        run_statements(con, text)

    monkeypatch.setattr("sigdb.cli.shell.run_statements", run_and_press)
    out, err = type_keys(f"SELECT count(*) FROM range(100000000000) AS r (i) WHERE i % 7 = 3;\rSELECT 42;\r{CTRL_D}")
    assert words(err) == "Error: The query was ended."
    assert words(out).endswith("42 ── 42 1 row.")


def test_ctrl_c_forgets_what_was_typed(type_keys):
    out, err = type_keys(f"SELECT 'half\x03SELECT 42;\r{CTRL_D}")
    assert (words(out).endswith("42 ── 42 1 row."), err) == (True, "")


def test_another_signal_ends_the_shell(type_keys, monkeypatch):
    monkeypatch.setattr("sigdb.cli.shell.received", [signal.SIGTERM])
    with pytest.raises(KeyboardInterrupt):
        type_keys("\x03")


def test_the_signals_are_as_before():
    before = signal.getsignal(signal.SIGINT)
    with ctrl_c_ends_a_query():
        pass
    assert signal.getsignal(signal.SIGINT) == before


def test_commands_can_be_piped_in(workdir):
    code, out, err = run("shell", "toy.duckdb", cwd=workdir, stdin=".help\n.tables;\nSELECT 7 AS seven;\n")
    assert (code, err) == (0, "")
    assert out.index(".macros   its macros") < out.index("signature_info") < out.index("seven")
    code, out, err = run("shell", "toy.duckdb", cwd=workdir, stdin="SELECT 7 AS seven; SELEC 2;")
    assert code == 1
    assert "seven" not in out


def test_statements_that_are_piped_in_run_until_one_fails(workdir):
    code, out, err = run("shell", "toy.duckdb", cwd=workdir, stdin="SELECT 1 AS a; SELECT 2 AS b;")
    assert (code, out.split(), err) == (0, ["a", "─", "1", "1", "row.", "b", "─", "2", "1", "row."], "")
    code, out, err = run("shell", "toy.duckdb", cwd=workdir, stdin="SELECT 1 AS a; SELECT nope; SELECT 2 AS b;")
    assert (code, "b" in out.split(), "nope" in err) == (1, False, True)


def test_the_extra_is_named_where_it_is_missing(workdir, monkeypatch):
    monkeypatch.setitem(sys.modules, "prompt_toolkit", None)
    monkeypatch.delitem(sys.modules, "sigdb.cli.prompt", raising=False)
    terminal = mock.Mock(isatty=lambda: True)
    with (
        mock.patch("sigdb.cli.shell.sys.stdin", terminal),
        mock.patch("sigdb.cli.shell.sys", mock.Mock(stdin=terminal)),
    ):
        code, _, err = run("shell", "toy.duckdb", cwd=workdir)
    assert (code, "prompt_toolkit" in err) == (1, True)
