"""The demo: bundled real studies, a small encoder that was trained on them, and the atlas built from both."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from ingest.models import load_model
from ingest.options import IngestOptions, Source
from ingest.pipeline import ingest_files
from sigdb.atlas.writer import Atlas
from sigdb.signatures import read_signatures

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ingest.store.study import StudyReport

__all__ = ["build_demo"]


def demo_sources(folder: Path) -> list[Source]:
    """The bundled studies in `folder`, described as in DATA_SOURCES.md."""
    about = {
        "wu2020_tcell": ("T cells of tumour, normal adjacent tissue and blood", "Wu 2020, GSE139555", "BSD-3-Clause"),
        "bassez2021_breast_tme": ("Immune cells of breast tumours", "Bassez 2021", "MIT"),
        "baron2016_pancreas": ("Human pancreatic islets", "Baron 2016, GSE84133", "Apache-2.0"),
        "tirosh2016_oligodendroglioma": ("Oligodendroglioma", "Tirosh 2016, GSE70630", "BSD-3-Clause"),
        "zheng2017_pbmc68k": ("Peripheral blood mononuclear cells", "Zheng 2017, 10x Genomics", "BSD-3-Clause"),
    }
    return [
        Source(folder / f"{study}.h5ad", title=title, organism="Homo sapiens", source=source, licence=licence)
        for study, (title, source, licence) in about.items()
    ]


def build_demo(path: Path, progress: Callable[[str, int, int], None]) -> list[StudyReport]:
    """Build the demo atlas at `path`, with all studies, Hallmark and MS1. It appears there when it is complete."""
    unfinished = path.with_name(path.name + ".unfinished")
    for leftover in (unfinished, unfinished.with_name(unfinished.name + ".wal")):
        leftover.unlink(missing_ok=True)
    with as_file(files("ingest") / "demo") as folder, as_file(files("sigdb") / "data") as data:
        model = load_model("mlp", folder / "model")
        reports = ingest_files(unfinished, demo_sources(folder / "studies"), model, IngestOptions(progress=progress))
        with Atlas(unfinished) as atlas:
            atlas.add_signatures(read_signatures(data / "h.all.v7.5.1.symbols.gmt"))
            atlas.add_signatures(read_signatures(data / "ms1.txt", name="MS1"))
    unfinished.replace(path)
    return reports
