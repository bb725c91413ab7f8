"""What a shell completes: commands, values of options, and names of the atlas that stands in the line."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.sigdb.cli.conftest import completions

LINES = {
    "dr": ["drop-study"],
    "signatures m": ["materialize"],
    "ingest a b --method d": ["deeplift"],
    "hits toy.duckdb CD3E --missing i": ["ignore"],
    "score toy.duckdb CD3E --agg ": ["mean", "sum"],
    "compare toy.duckdb CD3E --of h": ["hits"],
    "compare toy.duckdb CD3E --unit s": ["sample"],
    "sql toy.duckdb q --format nd": ["ndjson"],
    "score toy.duckdb T_": ["T_CELL"],
    "score toy.duckdb t_": ["T_CELL"],
    "score toy.duckdb cd3": ["CD3E"],
    "signatures show toy.duckdb my": ["MYELOID"],
    "score toy.duckdb CD3": ["CD3E"],
    "score toy.duckdb ": ["MYELOID", "T_CELL"],
    "signatures show toy.duckdb M": ["MYELOID"],
    "score toy.duckdb CD3E --by study,cell_t": ["study,cell_type"],
    "score toy.duckdb --by cell_": ["cell_type"],
    "compare toy.duckdb CD3E --within tis": ["tissue"],
    "genes compare toy.duckdb --study ": ["toy"],
    "hits toy.duckdb CD3E --run ": ["toy-model-ig"],
    "drop-study toy.duckdb ": ["toy"],
    "drop-study ": [],
    "score none.duckdb T_": [],
    "score study.h5ad --by cell": [],
}


@pytest.mark.parametrize("line", LINES)
def test_completion(workdir, monkeypatch, line):
    monkeypatch.chdir(workdir)
    assert completions(line) == LINES[line]


def test_bash_is_answered(tmp_path):
    """bash calls sigdb as the script from `sigdb --show-completion` says."""
    variables = {"_SIGDB_COMPLETE": "complete_bash", "COMP_WORDS": "sigdb dr", "COMP_CWORD": "1"}
    command = [sys.executable, "-c", "import sys; from sigdb.cli import app; app(prog_name='sigdb')"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | variables, check=False)
    assert done.stdout.split() == ["drop-study"], done.stderr
