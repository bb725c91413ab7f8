"""The help of every command, and its example, which runs."""

from __future__ import annotations

import shlex
import shutil
import warnings

import pytest

from tests.sigdb.cli.conftest import commands, run, words


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=lambda value: str(value).replace(" ", "-"))
def test_every_help_ends_with_an_example_that_runs(workdir, demo_path, name, command):
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
    code, out, err = run(*arguments, cwd=workdir)
    assert (code, err if "Error" in err else "") == (0, ""), err
    assert out


def test_version():
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("sigdb 0.")
