"""The command line starts fast: a command loads what it needs, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sigdb.cli.commands import MODULES

# Packages that no command loads before it needs them.
HEAVY = {"altair", "anndata", "captum", "pandas", "scanpy", "scipy", "statsmodels", "tiledb", "torch", "zarr"}
CODE = """
import sys
from sigdb.cli import main
sys.argv[0] = "sigdb"
try:
    main()
finally:
    print("LOADED", *sys.modules)
"""


def modules_loaded_by(*arguments: object) -> set[str]:
    """The modules that are loaded at the end of a command."""
    command = [sys.executable, "-c", CODE, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("LOADED")]
    return set(line.split()[1:])


def commands_of(modules: set[str]) -> set[str]:
    """The modules that hold commands, without their package."""
    return {name.removeprefix("sigdb.cli.") for name in modules if name.startswith("sigdb.cli.")} & {*MODULES.values()}


def test_version_loads_no_command():
    modules = modules_loaded_by("--version")
    assert commands_of(modules) == set()
    assert {"duckdb", "ingest", "numpy", "pyarrow", "rich", "sqlglot", *HEAVY}.isdisjoint(modules)


def test_help_loads_the_commands_and_nothing_heavy():
    modules = modules_loaded_by("--help")
    assert commands_of(modules) == set(MODULES.values())
    assert {"duckdb", "pyarrow", "numpy", "sqlglot", *HEAVY}.isdisjoint(modules)


def test_info_loads_duckdb_and_its_own_module(toy_path):
    modules = modules_loaded_by("info", toy_path)
    assert "duckdb" in modules
    assert commands_of(modules) == {"atlas"}
    assert {"ingest.pipeline", "numpy", "pyarrow", "sqlglot", *HEAVY}.isdisjoint(modules)


def test_a_finding_without_a_chart_or_a_test_loads_nothing_heavy(toy_path):
    """pyarrow imports pandas where it makes a table of Python's objects."""
    modules = modules_loaded_by("leading", toy_path, "S100A8", "--min-cells", "1")
    assert HEAVY.isdisjoint(modules)


def test_a_report_draws_its_charts_without_altair(toy_path, tmp_path):
    page = tmp_path / "page.html"
    modules = modules_loaded_by("report", toy_path, "S100A8", "CD3E", "--min-cells", "1", "-o", page)
    assert page.read_text(encoding="utf-8").count("vega-lite/v6") > 1
    assert "altair" not in modules


@pytest.mark.parametrize(
    "arguments",
    [
        ["nofile.h5ad", "--weights", "."],
        [__file__, "--weights", "nofolder"],
        [__file__, "--weights", ".", "--map", "donor"],
        [__file__, __file__, "--weights", ".", "--study", "x"],
        [__file__, "--weights", ".", "--baseline-file", __file__],
    ],
    ids=["no file", "no model", "bad map", "one name for two files", "baseline file alone"],
)
def test_wrong_parameters_of_ingest_are_found_before_torch_is_loaded(tmp_path, arguments):
    modules = modules_loaded_by("ingest", tmp_path / "a.duckdb", *arguments, "--model", "mlp")
    assert HEAVY.isdisjoint(modules)
    assert not (tmp_path / "a.duckdb").exists()
