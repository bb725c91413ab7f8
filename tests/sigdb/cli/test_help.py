"""The help of every command, and its example, which runs."""

from __future__ import annotations

import shlex
import shutil
import warnings
from unittest import mock

import pytest

from sigdb.cli.commands import PANELS
from sigdb.dialects.engines import DIALECTS
from sigdb.dialects.expand import SCHEMA
from sigdb.serve.tokens import add_token
from tests.sigdb.cli.conftest import commands, run, words
from tests.sigdb.explorer.conftest import stand_in

COMMANDS = dict(commands())
SLOW = ("hits", "models check", "report")
EVERY = [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in COMMANDS]


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY, ids=lambda name: name.replace(" ", "-"))
def test_every_help_ends_with_an_example_that_runs(workdir, demo_path, name, monkeypatch):
    command = COMMANDS[name]
    code, out, _ = run(*name.split(), "--help")
    assert code == 0
    example = command.epilog.removeprefix("Example: ")
    assert command.epilog != example
    assert words(example) in words(out)
    program, *arguments = shlex.split(example)
    assert program == "sigdb"
    if "--master" in arguments:
        pytest.importorskip("pyspark", reason="pyspark is not installed: make test-cluster")
        warnings.simplefilter("default")  # PySpark's own
    if "demo.duckdb" in arguments:
        shutil.copy(demo_path, workdir / "demo.duckdb")
    if name == "serve":
        pytest.importorskip("uvicorn", reason="the extra serve is not installed")
        arguments += ["--port", "0"]
        monkeypatch.setattr("sigdb.cli.serve.Event", mock.Mock())  # do not wait for Ctrl-C
    if "team.tokens" in arguments and name != "tokens add":
        add_token(workdir / "team.tokens", "ada")
    if name in ("explore", "page"):
        stand_in(workdir / "page", monkeypatch)
    if name == "explore":
        pytest.importorskip("uvicorn", reason="the extra serve is not installed")
        arguments += ["--no-browser"]
        monkeypatch.setattr("sigdb.cli.explore.Event", mock.Mock())  # do not wait for Ctrl-C
    code, out, err = run(*arguments, cwd=workdir, stdin="SELECT 42;")
    assert (code, err if "Error" in err else "") == (0, ""), err
    assert out or "Wrote" in err


def test_the_help_lists_all_commands():
    code, out, _ = run("--help")
    assert code == 0
    listed = {line.split()[1] for line in out.splitlines() if line.startswith("│ ") and line[2] not in " -"}
    assert listed == {name.split()[0] for name in COMMANDS}


def panels(*arguments: str) -> list[str]:
    """The headings of the panels of a help."""
    return [line.split()[1] for line in run(*arguments, "--help")[1].splitlines() if line.startswith("╭─ ")]


def test_the_help_is_in_panels():
    assert panels() == ["Options", *PANELS]
    own = ["Arguments", "Options", "Model", "Attribution", "Study", "Metadata", "Computing"]
    assert panels("ingest") == panels("ingest-spark") == own
    assert panels("load") == ["Arguments", "Options", "Attribution", "Study", "Metadata"]


def test_the_help_of_transpile_names_all_dialects():
    """The help repeats the names, because importing them from their module would be slow."""
    parameters = {each.name: each for each in COMMANDS["transpile"].params}
    assert set(DIALECTS) <= set(words(parameters["dialect"].help.replace(",", " ").replace(".", " ")).split())
    assert parameters["schema"].default == SCHEMA


@pytest.mark.parametrize(("typed", "suggestion"), [(["inf"], "info"), (["signatures", "ad"], "add")])
def test_a_misspelt_command_gets_a_suggestion(typed, suggestion):
    code, _, err = run(*typed)
    assert (code, f"Did you mean '{suggestion}'?" in words(err)) == (2, True), err


def test_version():
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("sigdb 0.")
