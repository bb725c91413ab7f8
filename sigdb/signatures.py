"""Gene signatures, and the GMT, CSV and TSV files that they are published in."""

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

# A symbol, an alias or an id: no white space, no separators.
GENE = re.compile(r"[^\s,;\x00-\x1f]+")


@dataclass(frozen=True)
class Signature:
    """A named gene set with one weight per gene.

    Parameters
    ----------
    name
        Name of the signature; not empty.
    genes
        Names of the genes as the source has them: symbols, aliases or Ensembl ids. At least one, none twice.
    weights
        One finite weight per gene. Left out, every weight is 1.
    source
        Where the signature comes from, such as a file name.
    description
        What the source says about the signature.

    Raises
    ------
    SignatureError
        One of these rules is broken; the message names the genes.

    Examples
    --------
    >>> sigdb.Signature("B_CELL", ("MS4A1", "CD79A")).weights
    (1.0, 1.0)
    """

    name: str
    genes: tuple[str, ...]
    weights: tuple[float, ...] = ()
    source: str | None = None
    description: str | None = None

    def __post_init__(self) -> None:
        """Check the rules that later queries rely on."""
        if not self.name.strip():
            raise SignatureError("A signature needs a name: `name` is empty.")
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
                f"Signature {self.name}: {len(strange)} of {len(self.genes)} names cannot be genes: {listed(strange)}. "
                "Does the file have another format or another separator?"
            )
        repeated = [gene for gene, count in Counter(self.genes).items() if count > 1]
        if repeated:
            raise SignatureError(f"Signature {self.name} names {listed(repeated)} more than once.")


def read_signatures(path: str | os.PathLike[str], *, name: str | None = None) -> list[Signature]:
    r"""Read the signatures of a GMT, CSV, TSV or text file.

    Parameters
    ----------
    path
        `.gmt`: one signature per line, with name, description and genes separated by tabs. A gene may be `gene,weight`,
        as in files of Enrichr. Any other ending: one signature, with one gene per line, or with a header that has a
        column `gene` and optionally `weight`. Columns are separated by commas in `.csv`, else by tabs.
    name
        Name of the signature of a file that is not GMT. Left out, the name of the file without its ending.

    Returns
    -------
    The signatures in the order of the file.

    Raises
    ------
    SignatureError
        There is no such file, or it breaks these rules; the message gives the line.

    Examples
    --------
    >>> import pathlib
    >>> _ = pathlib.Path("b_cell.csv").write_text("gene,weight\nMS4A1,2\nCD79A,1\n")
    >>> [signature] = sigdb.read_signatures("b_cell.csv")
    >>> signature.name, signature.genes, signature.weights
    ('b_cell', ('MS4A1', 'CD79A'), (2.0, 1.0))
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
            raise SignatureError(f"{path} is a GMT file, which names its signatures itself. Leave out `name={name!r}`.")
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
                f"{path}, line {number}: a line of a GMT file has a name, a description and genes, separated by tabs."
            )
        members = dict(parse_member(path, number, member) for member in rest[1:] if member.strip())
        signatures.append(
            Signature(name, tuple(members), tuple(members.values()), source=path.name, description=rest[0] or None)
        )
    if not signatures:
        raise SignatureError(f"{path} contains no signature.")
    repeated = {each.name for each in signatures if sum(other.name == each.name for other in signatures) > 1}
    if repeated:
        raise SignatureError(f"{path} contains more than one signature with the name {listed(sorted(repeated))}.")
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
                f"{path}: a file with several columns needs a header with the column gene and optionally weight. "
                f"Its first line is {listed(rows[0])}."
            )
        return Signature(name, tuple(row[0] for row in rows), source=path.name)
    column = header.index("gene")
    short = [number for number, row in enumerate(rows, 1) if len(row) < len(header)]
    if short:
        raise SignatureError(
            f"{path}: fewer columns than the header in {len(short)} of {len(rows)} lines: line {listed(short)}."
        )
    genes = tuple(row[column] for row in rows[1:])
    weights = _weights(path, [row[header.index("weight")] for row in rows[1:]]) if "weight" in header else ()
    return Signature(name, genes, weights, source=path.name)


def parse_member(path: Path, number: int, member: str) -> tuple[str, float]:
    """Split a member of a GMT line, which is a gene or gene,weight, into the two."""
    gene, comma, weight = member.strip().partition(",")
    try:
        return gene, float(weight) if comma else 1.0
    except ValueError as error:
        raise SignatureError(
            f"{path}, line {number}: {member!r} is neither a gene nor gene,weight, such as CD79A,2.5."
        ) from error


def _weights(path: Path, cells: Sequence[str]) -> tuple[float, ...]:
    try:
        return tuple(float(cell) for cell in cells)
    except ValueError as error:
        raise SignatureError(f"{path}: a weight is not a number ({error}).") from error
