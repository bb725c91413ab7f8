"""Gene signatures: read them from GMT, CSV and TSV files, as Hallmark, Enrichr and authors' supplements write them."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sigdb.errors import SignatureError, listed

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

__all__ = ["Signature", "read_signatures"]

# What a symbol, an alias or an id looks like anywhere: no blanks, no separators.
GENE = re.compile(r"[^\s,;\x00-\x1f]+")


@dataclass(frozen=True)
class Signature:
    """A named gene set: genes as the source names them, one finite weight each (1 if the source gives none)."""

    name: str
    genes: tuple[str, ...]
    weights: tuple[float, ...] = ()
    source: str | None = None
    description: str | None = None

    def __post_init__(self) -> None:
        """Check what no query could recover from later."""
        if not self.name.strip():
            raise SignatureError("A signature needs a name.")
        if not self.genes:
            raise SignatureError(f"Signature {self.name} has no genes.")
        if not self.weights:
            object.__setattr__(self, "weights", (1.0,) * len(self.genes))
        if len(self.weights) != len(self.genes):
            raise SignatureError(f"Signature {self.name} has {len(self.weights)} weights for {len(self.genes)} genes.")
        odd = [gene for gene, weight in zip(self.genes, self.weights, strict=True) if not -1e300 < weight < 1e300]
        if odd:
            raise SignatureError(f"Signature {self.name}: the weight is not a finite number for {listed(odd)}.")
        if strange := [repr(gene) for gene in self.genes if not GENE.fullmatch(gene)]:
            raise SignatureError(
                f"Signature {self.name}: these are not names of genes: {listed(strange)}. "
                "Is the file of another format, or separated otherwise?"
            )
        repeated = [gene for gene, count in Counter(self.genes).items() if count > 1]
        if repeated:
            raise SignatureError(f"Signature {self.name} names {listed(repeated)} more than once.")


def read_signatures(path: str | os.PathLike[str], *, name: str | None = None) -> list[Signature]:
    """Read the signatures of a file.

    `.gmt`: one a line: name, description, genes (or gene,weight, as Enrichr has them), tab-separated. `.csv`, `.tsv`,
    `.txt`: one a file, named `name` or after the file; either one gene a line, or a header with `gene` and, if wanted,
    `weight`. Raises SignatureError, with the line, where the file says something else.
    """
    path = Path(path)
    if not path.is_file():
        raise SignatureError(f"There is no file {path}.")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise SignatureError(f"{path} is not a text file in UTF-8: {error}.") from error
    if path.suffix.lower() == ".gmt":
        if name is not None:
            raise SignatureError(f"{path} names its signatures itself; leave out the name {name!r}.")
        return _read_gmt(path, lines)
    return [_read_table(path, lines, name or path.stem)]


def _read_gmt(path: Path, lines: list[str]) -> list[Signature]:
    signatures = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, *rest = line.rstrip().split("\t")
        if len(rest) < 2:
            raise SignatureError(
                f"{path}, line {number}: a GMT line is name, description and genes, separated by tabs."
            )
        members = dict(weighted(path, number, member) for member in rest[1:] if member.strip())
        signatures.append(
            Signature(name, tuple(members), tuple(members.values()), source=path.name, description=rest[0] or None)
        )
    if not signatures:
        raise SignatureError(f"{path} holds no signature.")
    repeated = {each.name for each in signatures if sum(other.name == each.name for other in signatures) > 1}
    if repeated:
        raise SignatureError(f"{path} holds more than one signature called {listed(sorted(repeated))}.")
    return signatures


def _read_table(path: Path, lines: list[str], name: str) -> Signature:
    delimiter = "," if path.suffix.lower() == ".csv" else "\t"
    rows = [
        [cell.strip() for cell in row]
        for row in csv.reader(lines, delimiter=delimiter)
        if any(cell.strip() for cell in row)
    ]
    header = [cell.lower() for cell in rows[0]] if rows else []
    if "gene" not in header:
        if any(len(row) > 1 for row in rows):
            raise SignatureError(
                f"{path}: a file of several columns needs a header with `gene` and, if wanted, `weight`; "
                f"its first line is {listed(rows[0])}."
            )
        return Signature(name, tuple(row[0] for row in rows), source=path.name)
    column = header.index("gene")
    short = [number for number, row in enumerate(rows, 1) if len(row) < len(header)]
    if short:
        raise SignatureError(f"{path}: fewer columns than the header in line {listed(short)}.")
    genes = tuple(row[column] for row in rows[1:])
    weights = _weights(path, [row[header.index("weight")] for row in rows[1:]]) if "weight" in header else ()
    return Signature(name, genes, weights, source=path.name)


def weighted(path: Path, number: int, member: str) -> tuple[str, float]:
    """A member of a GMT line: a gene, or gene,weight."""
    gene, comma, weight = member.strip().partition(",")
    try:
        return gene, float(weight) if comma else 1.0
    except ValueError as error:
        raise SignatureError(f"{path}, line {number}: {member!r} is neither a gene nor gene,weight.") from error


def _weights(path: Path, cells: Sequence[str]) -> tuple[float, ...]:
    try:
        return tuple(float(cell) for cell in cells)
    except ValueError as error:
        raise SignatureError(f"{path}: a weight is not a number ({error}).") from error
