"""How exact attributions are: the largest difference from Captum on the whole model in float64.

The models are those of the tests, at least one for each adapter, with random counts. sigdb computes in float32. An
error is a difference between attributions, as a share of the largest attribution of the cell. A method that cannot
explain a model is refused, and the reason is printed.

    python -m benchmarks.exactness --out exactness.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from ingest.attribution.methods import attribute_batch, check_method
from ingest.models import ADAPTERS, load_model
from ingest.options import METHODS, Method
from sigdb.errors import MethodError
from tests.ingest.conftest import DATA
from tests.support.oracle import captum_on_any_model
from tests.support.zoo import TRANSFORMERS, ZOO, random_cells

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingest.models import CellModel

Row = dict[str, Any]


def models() -> dict[str, CellModel]:
    """The models of the tests by name."""
    with tempfile.TemporaryDirectory() as folder:
        found = {name: make(Path(folder)) for name, make in ZOO.items()}
    return found | {name: load_model(name, DATA / name) for name in TRANSFORMERS}


def measure(name: str, model: CellModel, method: Method, n_cells: int) -> Row:
    """The largest error of a method on a model, or why it is refused."""
    about = {"model": name, "adapter": model.architecture, "method": method.name, "summation": method.summation}
    try:
        check_method(method, model)
    except MethodError as error:
        return about | {"refused": str(error)}
    x = random_cells(model, n_cells=n_cells)
    expected = captum_on_any_model(model, x, method)
    found = attribute_batch(model, x, method).values.toarray()
    errors = np.abs(found - expected).max(axis=1) / np.abs(expected).max(axis=1)
    return about | {"cells": len(errors), "largest": float(errors.max()), "median": float(np.median(errors))}


def by_adapter(rows: list[Row]) -> Iterator[list[str]]:
    """A line for each adapter: its models, and the largest error of a cell by each method, and median of a model."""
    for adapter in ADAPTERS:
        own = [row for row in rows if row["adapter"] == adapter]
        cells = []
        for method in METHODS:
            found = [row for row in own if row["method"] == method and "largest" in row]
            worst = [max((row[name] for row in found), default=np.nan) for name in ("largest", "median")]
            refused = sum(row["method"] == method and "refused" in row for row in own)
            text = "{:.1e}, {:.1e}".format(*worst) if found else "refused"
            cells.append(f"{text} ({refused} refused)" if found and refused else text)
        yield [adapter, str(len({row["model"] for row in own})), *cells]


def main() -> None:
    """Print the table and why methods are refused, and write all figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=12, help="cells per model")
    parser.add_argument("--out", type=Path, help="write all figures to this file")
    arguments = parser.parse_args()
    rows = [
        measure(name, model, Method(method), arguments.cells) for name, model in models().items() for method in METHODS
    ]
    table = Table("adapter", "models", *METHODS, box=box.MARKDOWN)
    for line in by_adapter(rows):
        table.add_row(*line)
    console = Console(width=120)
    console.print(table)
    for row in rows:
        if "refused" in row:
            console.print(row["refused"])
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
