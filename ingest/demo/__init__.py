"""The demo atlas of five bundled studies, from bundled attributions or by the demonstration model.

`ingest/demo/atlas` is a lake with all rows of the atlas that the model makes. The sums over cells are left out, because
they are computed again in a second. `python -m ingest.demo.bundle` writes the lake.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from sigdb.atlas.derived import rebuild_summary
from sigdb.atlas.file import remove
from sigdb.atlas.writer import Atlas
from sigdb.lake.restore import import_lake
from sigdb.signatures import read_signatures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ingest.options import Source
    from ingest.store.study import StudyReport

__all__ = ["attribute_demo", "build_demo"]


def build_demo(path: Path) -> None:
    """Build the demo atlas at `path` from the bundled attributions, which takes seconds and needs no torch."""
    with unfinished(path) as made:
        with as_file(files("ingest") / "demo" / "atlas") as lake:
            import_lake(lake, made)
        with Atlas(made) as atlas, atlas.transaction() as con:
            rebuild_summary(con)


def attribute_demo(
    path: Path, progress: Callable[[str, int, int], None] = lambda study, done, total: None
) -> list[StudyReport]:
    """Build the demo atlas at `path` by attributing the cells of the bundled studies with the bundled model."""
    from ingest.models import load_model
    from ingest.options import IngestOptions
    from ingest.pipeline import ingest_files

    with (
        unfinished(path) as made,
        as_file(files("ingest") / "demo") as folder,
        as_file(files("sigdb") / "data") as data,
    ):
        model = load_model("mlp", folder / "model")
        reports = ingest_files(made, demo_sources(folder / "studies"), model, IngestOptions(progress=progress))
        with Atlas(made) as atlas:
            atlas.add_signatures(read_signatures(data / "h.all.v7.5.1.symbols.gmt"))
            atlas.add_signatures(read_signatures(data / "ms1.txt", name="MS1"))
    return reports


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A file to build in the block. It appears at `path` when the block is complete."""
    made = path.with_name(f"{path.name}.unfinished")
    remove(made)
    yield made
    made.replace(path)


def demo_sources(folder: Path) -> list[Source]:
    """The bundled studies in `folder`, described as in DATA_SOURCES.md."""
    from ingest.options import Source

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
