"""Write catalog.json: the statements that the page asks, and the specifications of its charts."""

from __future__ import annotations

import json
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from sigdb.statements import parse_statement, statement

__all__ = ["catalog", "write_catalog"]

# The statements of the frame of the page: filters, signatures, and what the atlas holds.
FRAME = (
    *("explorer/frame.groups", "explorer/frame.types", "explorer/frame.run_names"),
    *("explorer/frame.library", "explorer/frame.members", "explorer/frame.check"),
    *("cli/atlas.overview", "cli/atlas.studies", "cli/atlas.runs", "findings/provenance"),
    *("findings/coverage", "findings/missing_genes", "findings/group_scores"),
)


def catalog() -> dict[str, Any]:
    """The statements by their name, each with its text and the names of its parameters, and the charts."""
    return {
        "version": version("sigdb-atlas"),
        "statements": {name: {"sql": statement(name).strip(), "parameters": parameters(name)} for name in FRAME},
        "specs": {},
    }


def parameters(name: str) -> list[str]:
    """The parameters that a statement names, in alphabetical order."""
    from sqlglot.expressions import Placeholder

    return sorted({node.name for node in parse_statement(name).find_all(Placeholder)})


def write_catalog(folder: Path) -> Path:
    """Write catalog.json into the folder of the built page."""
    path = folder / "catalog.json"
    path.write_text(json.dumps(catalog(), ensure_ascii=False), encoding="utf-8")
    return path


if __name__ == "__main__":
    write_catalog(Path(str(files("sigdb") / "data" / "explorer")))
