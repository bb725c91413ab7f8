"""Gene signatures, and the GMT, CSV and TSV files that they are published in."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sigdb.errors import SignatureError, listed, nearest
from sigdb.text import count

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

__all__ = ["Signature", "read_signatures"]

# A symbol, an alias or an id: no white space, separators or quotes, and no decimal number.
GENE = re.compile(r"(?![-+]?\d*\.\d+(e[-+]?\d+)?$)[^\s,;\"“”\x00-\x1f]+", re.IGNORECASE)
# Headers of a column of genes, in the order in which they are used.
GENE_COLUMNS = (
    *("gene", "genes", "symbol", "symbols", "gene_symbol", "gene_symbols", "gene_name", "gene_names", "hgnc_symbol"),
    *("gene_id", "gene_ids", "ensembl_id", "ensembl_gene_id"),
)
WEIGHT_COLUMNS = ("weight", "weights")


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
            weights, genes = count(len(self.weights), "weight"), count(len(self.genes), "gene")
            raise SignatureError(f"Signature {self.name} has {weights} for {genes}.")
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


def read_signatures(
    path: str | os.PathLike[str], *, name: str | None = None, weight_column: str | None = None
) -> list[Signature]:
    r"""Read the signatures of a GMT, CSV, TSV or text file.

    Parameters
    ----------
    path
        `.gmt`: one signature per line, with name, description and genes separated by tabs. A gene may be `gene,weight`,
        as in files of Enrichr. Any other ending: one signature, with one gene per line, or with a header that has a
        column `gene` (or `symbol`) and optionally `weight`. Columns are separated by commas in `.csv`, else by tabs.
    name
        Name of the signature of a file that is not GMT. Left out, the name of the file without its ending.
    weight_column
        Name of the column that has the weights. Left out, the column `weight` if there is one. With an empty name,
        every weight is 1.

    Returns
    -------
    The signatures in the order of the file.

    Raises
    ------
    SignatureError
        There is no such file, it breaks these rules, or it may mean something else: a column of numbers may be
        weights, and a column of labels may name several signatures. The message gives the line or the column.

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
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SignatureError(f"{path} is not a text file in UTF-8: {error}.") from error
    if path.suffix.lower() != ".gmt":
        return [_read_table(path, text, name or path.stem, weight_column)]
    given = {"name": name, "weight_column": weight_column}
    if needless := [f"`{each}={value!r}`" for each, value in given.items() if value is not None]:
        raise SignatureError(
            f"{path} is a GMT file, which names its signatures and weights itself. Leave out {listed(needless)}."
        )
    return _read_gmt(path, text.split("\n"))


def unquote(cell: str) -> str:
    """A cell without white space around it, and without quotes around it."""
    cell = cell.strip()
    is_quoted = len(cell) > 1 and cell[0] == cell[-1] and cell[0] in "\"'"
    return cell[1:-1].strip() if is_quoted else cell


def _read_gmt(path: Path, lines: list[str]) -> list[Signature]:
    signatures = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, *rest = map(unquote, line.rstrip().split("\t"))
        if len(rest) < 2:
            raise SignatureError(
                f"{path}, line {number}: a line of a GMT file has a name, a description and genes, separated by tabs."
            )
        members = _members(path, number, filter(None, rest[1:]))
        signatures.append(
            Signature(name, tuple(members), tuple(members.values()), source=path.name, description=rest[0] or None)
        )
    if not signatures:
        raise SignatureError(f"{path} contains no signature.")
    counts = Counter(each.name for each in signatures)
    if repeated := sorted(name for name, count in counts.items() if count > 1):
        raise SignatureError(f"{path} contains more than one signature with the name {listed(repeated)}.")
    return signatures


def _members(path: Path, number: int, cells: Iterable[str]) -> dict[str, float]:
    """The genes of a GMT line with their weights; a gene may repeat with the same weight."""
    members: dict[str, float] = {}
    for cell in cells:
        gene, weight = parse_member(path, number, cell)
        if members.setdefault(gene, weight) != weight:
            raise SignatureError(
                f"{path}, line {number}: {gene} has more than one weight: {members[gene]:g} and {weight:g}."
            )
    return members


def parse_member(path: Path, number: int, member: str) -> tuple[str, float]:
    """Split a member of a GMT line, which is a gene or gene,weight, into the two."""
    gene, comma, weight = member.partition(",")
    try:
        return gene, float(weight) if comma else 1.0
    except ValueError as error:
        raise SignatureError(
            f"{path}, line {number}: {member!r} is neither a gene nor gene,weight, such as CD79A,2.5."
        ) from error


def _read_table(path: Path, text: str, name: str, weight_column: str | None) -> Signature:
    rows = _rows(path, text)
    header = [re.sub(r"[\s.-]+", "_", cell.lower()) for cell in rows[0]] if rows else []
    gene_columns = [each for each in GENE_COLUMNS if each in header]
    if not gene_columns:
        if any(len(row) > 1 for row in rows):
            raise SignatureError(
                f"{path}: a file with several columns needs a header with the column gene and optionally weight. "
                f"Its first line is {listed(rows[0])}."
            )
        return Signature(name, tuple(row[0] for row in rows), source=path.name)
    if odd := [number for number, row in enumerate(rows, 1) if len(row) != len(header)]:
        raise SignatureError(
            f"{path}: fewer or more columns than the header in {len(odd)} of {len(rows)} lines: line {listed(odd)}."
        )
    columns = {each: [row[place] for row in rows[1:]] for place, each in enumerate(header)}
    if repeated := [name for name, count in Counter(filter(None, header)).items() if count > 1]:
        raise SignatureError(f"{path}: more than one column has the name {listed(repeated)}.")
    genes = columns.pop(gene_columns[0])
    return Signature(name, tuple(genes), _weights(path, columns, weight_column), source=path.name)


def _rows(path: Path, text: str) -> list[list[str]]:
    """The lines of a table that are not empty, split into cells."""
    delimiter = "," if path.suffix.lower() == ".csv" else "\t"
    try:
        rows = [list(map(unquote, row)) for row in csv.reader(io.StringIO(text), delimiter=delimiter)]
    except csv.Error as error:
        raise SignatureError(f"{path} is not a table of text: {error}.") from error
    return [row for row in rows if any(row)]


def _weights(path: Path, columns: dict[str, list[str]], chosen: str | None) -> tuple[float, ...]:
    """The weights of a table, from its columns without the genes; none if every gene weighs the same.

    SignatureError if a column that would not be used may have a meaning for the signature.
    """
    found = [each for each in ((chosen.lower(),) if chosen else WEIGHT_COLUMNS) if each in columns]
    if chosen and not found:
        raise SignatureError(f"{path} has no column {chosen}.{nearest(chosen, columns)} It has: {listed(columns)}.")
    for column, cells in columns.items():
        stated = [cell for cell in cells if cell]
        kinds = set(stated)
        is_used = column in (*found, *GENE_COLUMNS)
        if chosen is None and not is_used and 1 < len(kinds) < len(stated) and not all(map(_is_number, kinds)):
            raise SignatureError(
                f"{path}: the column {column} has {len(kinds)} values, such as {listed(sorted(kinds), 3)}. If they "
                "name several signatures, write one file for each, or a GMT file. Otherwise, remove the column, or "
                "name the column of weights with `weight_column` ('' for none)."
            )
    if found and chosen != "":
        return tuple(_weight(path, cell) for cell in columns[found[0]])
    # R and pandas write numbers of rows into a column without a name.
    named = {column: cells for column, cells in columns.items() if column and not column.startswith("unnamed")}
    numbers = [column for column, cells in named.items() if cells and all(map(_is_number, cells))]
    if numbers and chosen is None:
        raise SignatureError(
            f"{path} has no column weight, but columns of numbers: {listed(numbers)}. If one of them holds weights, "
            f"name it: `weight_column={numbers[0]!r}`. For equal weights: `weight_column=''`."
        )
    return ()


def _weight(path: Path, cell: str) -> float:
    try:
        return float(cell)
    except ValueError as error:
        raise SignatureError(f"{path}: a weight is not a number ({error}).") from error


def _is_number(cell: str) -> bool:
    """Whether a cell holds a number, or nothing, as where a number is missing."""
    try:
        float(cell or "nan")
    except ValueError:
        return cell.upper() == "NA"
    return True
