"""Write the lake from which `build_demo` makes the demo atlas: `python -m ingest.demo.bundle`.

Run it again when the model, the studies or the tables of an atlas change.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from ingest.demo import attribute_demo
from sigdb.atlas.writer import Atlas
from sigdb.lake.export import export_lake
from sigdb.statements import run_statement

__all__ = ["write_bundle"]

FOLDER = Path(__file__).parent / "atlas"


def write_bundle(folder: Path = FOLDER) -> None:
    """Attribute the bundled studies, and put a lake of the atlas, without its cube, in the place of `folder`."""
    with TemporaryDirectory() as temporary:
        made, lake = Path(temporary, "demo.duckdb"), Path(temporary, "lake")
        attribute_demo(made)
        with Atlas(made) as atlas, atlas.transaction() as con:
            run_statement(con, "atlas/derived.clear_summary")
            run_statement(con, "atlas/derived.clear_importance")
        export_lake(made, lake)
        for note in lake.glob(".sigdb-export*"):  # only the next export needs them
            note.unlink()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(lake, folder)


if __name__ == "__main__":
    write_bundle()
