"""Running commands in this process, and a folder of the files that the examples of the help read."""

from __future__ import annotations

import io
import os
import shutil
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
import pytest

import sigdb
from sigdb.cli import app, main
from sigdb.cli.commands import MODULES, find_command
from tests.support.toy import TOY_GENES, obs_of, write_study

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def run(*arguments: object, cwd: object = ".", stdin: str = "") -> tuple[int, str, str]:
    """Run `sigdb ...` in this process, which loads torch and the like once.

    Returns the exit code, the standard output and the standard error. README, wheel and pipes are tested as processes.
    """
    out, err, code = io.StringIO(), io.StringIO(), 0
    argv = mock.patch.object(sys, "argv", ["sigdb", *map(str, arguments)])
    deaf = mock.patch("sigdb.cli.listen")  # the signals of the tests stay as they are
    piped = mock.patch.object(sys, "stdin", io.StringIO(stdin))
    with chdir(cwd), redirect_stdout(out), redirect_stderr(err), mock.patch.dict(os.environ), argv, piped, deaf:
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    return code, out.getvalue(), err.getvalue()


def words(text: str) -> str:
    """A text without its line breaks."""
    return " ".join(text.split())


def commands() -> Iterator[tuple[str, object]]:
    """All commands by their full names."""
    for name in MODULES:
        command = find_command(name)
        if hasattr(command, "commands"):
            yield from ((f"{name} {each}", find_command(f"{name} {each}")) for each in command.commands)
        else:
            yield name, command


@pytest.fixture(scope="session")
def example_files(toy_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the examples of the help read, except for the demo atlas; read-only by agreement."""
    from tests.ingest.conftest import save_small_model, small_adata

    folder = tmp_path_factory.mktemp("examples")
    shutil.copy(toy_path, folder / "toy.duckdb")
    adata = small_adata()
    adata.obs["donor"] = adata.obs["donor_id"]
    adata.write_h5ad(folder / "study.h5ad")
    save_small_model(folder / "model")
    sigdb.export_lake(toy_path, folder / "toy.lake")
    (folder / "hallmark.gmt").write_text("MYELOID\tnew\tS100A8\tS100A9\nB_CELL\tnew\tMS4A1\tCD79A\n")
    with sigdb.Atlas.create(folder / "umap.duckdb") as atlas:
        write_study(atlas, np.eye(3), TOY_GENES, obs=obs_of(3, umap_1=[0.0, 1.0, 2.0], umap_2=[0.5, 0.0, 3.0]))
    write_scores(folder)
    return folder


@pytest.fixture
def workdir(tmp_path: Path, example_files: Path) -> Path:
    """A folder with a copy of the files that the examples of the help read."""
    shutil.copytree(example_files, tmp_path, dirs_exist_ok=True)
    return tmp_path


def write_scores(folder: Path) -> None:
    """Write one score per cell, as a matrix with its tables, and as an atlas of SIGnature."""
    import pandas as pd
    import tiledb
    from scipy.sparse import csr_matrix, save_npz

    save_npz(folder / "scores.npz", csr_matrix(1000 * np.eye(3)))
    (folder / "donors.csv").write_text("sample,patient\nGEM3,donorB\n")
    (folder / "obs.csv").write_text("barcode,cell_type\na,T\nb,B\nc,T\n")
    for name in ("genes.txt", "gene_order.tsv"):
        (folder / name).write_text("\n".join(TOY_GENES) + "\n")
    place = folder / "signature_atlas" / "T cell"
    place.mkdir(parents=True)
    domain = tiledb.Domain(*(tiledb.Dim(name=name, domain=(0, 2), dtype=np.uint32) for name in ("x", "y")))
    values = tiledb.Attr(name="vals", dtype=np.float32)
    tiledb.Array.create(str(place / "attributions"), tiledb.ArraySchema(domain=domain, sparse=True, attrs=[values]))
    with tiledb.open(str(place / "attributions"), "w") as array:
        array[np.arange(3), np.arange(3)] = np.full(3, 1000, np.float32)
    pd.DataFrame({"study": ["a", "a", "b"], "prediction": "T cell"}).to_csv(place / "cell_metadata.csv.gz", index=False)


def completions(line: str) -> list[str]:
    """What the shell offers for the last word of a line, after `sigdb`."""
    from typer._completion_classes import BashComplete
    from typer.main import get_command

    *args, incomplete = line.split(" ")
    found = BashComplete(get_command(app), {}, "sigdb", "_SIGDB_COMPLETE").get_completions(args, incomplete)
    return [each.value for each in found]
