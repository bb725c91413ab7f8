"""The help of every command, and its example, which runs."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import warnings

import pytest

from sigdb.dialects.engines import DIALECTS
from sigdb.dialects.expand import SCHEMA
from tests.sigdb.cli.conftest import commands, run, words

COMMANDS = dict(commands())
SLOW = ("hits", "models check", "report")
EVERY = [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in COMMANDS]


@pytest.mark.parametrize("name", EVERY, ids=lambda name: name.replace(" ", "-"))
def test_every_help_ends_with_an_example_that_runs(workdir, demo_path, name):
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
    code, out, err = run(*arguments, cwd=workdir, stdin="SELECT 42;")
    assert (code, err if "Error" in err else "") == (0, ""), err
    assert out


def test_the_help_lists_all_commands():
    code, out, _ = run("--help")
    assert code == 0
    listed = {line.split()[1] for line in out.splitlines() if line.startswith("│ ") and line[2] not in " -"}
    assert listed == {name.split()[0] for name in COMMANDS}


def test_the_help_of_transpile_names_all_dialects():
    """The help repeats the names, because importing them from their module would be slow."""
    parameters = {each.name: each for each in COMMANDS["transpile"].params}
    assert set(DIALECTS) <= set(words(parameters["dialect"].help.replace(",", " ").replace(".", " ")).split())
    assert parameters["schema"].default == SCHEMA


@pytest.mark.parametrize(("typed", "suggestion"), [(["inf"], "info"), (["signatures", "ad"], "add")])
def test_a_misspelt_command_gets_a_suggestion(typed, suggestion):
    code, _, err = run(*typed)
    assert (code, f"Did you mean '{suggestion}'?" in words(err)) == (2, True), err


def test_shells_complete_commands_and_choices(tmp_path):
    """bash calls sigdb as the script from `sigdb --show-completion` says."""
    for line, expected in {
        "sigdb dr": ["drop-study"],
        "sigdb signatures m": ["materialize"],
        "sigdb ingest a b --method d": ["deeplift"],
    }.items():
        variables = {"_SIGDB_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
        command = [sys.executable, "-c", "import sys; from sigdb.cli import app; app(prog_name='sigdb')"]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | variables, check=False)
        assert done.stdout.split() == expected, done.stderr


def test_version():
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("sigdb 0.")
