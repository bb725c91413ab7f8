"""Read a file of metadata for cells that an atlas has: which cells each row names, and the values it gives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ingest.columns import to_text
from ingest.fields import FieldReport, find_candidates, is_spelling, notes_on_missing
from ingest.obs import (
    CELLS,
    add_embeddings,
    add_other_columns,
    choose_columns,
    drop_placeholders,
    read_columns,
    read_in_vivo,
)
from ingest.options import check_exists
from sigdb.atlas.fields import FIELDS
from sigdb.errors import ObsError, OptionError, listed, nearest, needs_extra

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["AnnotateOptions", "Annotation", "read_annotation"]

ANNDATA = (".h5ad", ".zarr")
# The first column of a file names groups of cells if it is called like this, and barcodes otherwise.
GROUPS = ("sample", "donor", "study")


@dataclass(frozen=True)
class AnnotateOptions:
    """Which cells the rows of a file name, and which of its columns are taken.

    Parameters
    ----------
    on
        Column of the view `cells` -> column of the file that names cells by it, such as ``{"barcode": "cell"}`` or
        ``{"study": "study", "sample": "library"}``. All cells with these values get the values of the row. A column
        `study` of the file is always compared. Default: the barcode, in the column `barcode` or else in the first one;
        the sample, donor or study, if the first column has this name and there are no barcodes.
    study
        Change the cells of this study only.
    mapping
        Field of the atlas -> column of the file, such as ``{"donor": "patient"}``.
    columns
        Other columns to take. If neither `mapping`, `columns` nor `obsm` is given, all columns are taken.
    obsm
        Embeddings to take from AnnData, with their first two dimensions: ``X_umap`` becomes umap_1 and umap_2.
    unmatched
        What to do with rows that name no cell: ``error`` refuses the file, ``ignore`` leaves them out.
    clear
        An empty value of the file removes the value that a cell has. Default: the cell keeps its value.

    Raises
    ------
    OptionError
        If `unmatched` is neither of the two.

    Examples
    --------
    >>> from ingest import AnnotateOptions
    >>> AnnotateOptions(on={"sample": "library"}, mapping={"donor": "patient"}).unmatched
    'error'
    """

    on: Mapping[str, str] = field(default_factory=dict)
    study: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    columns: Sequence[str] = ()
    obsm: Sequence[str] = ()
    unmatched: str = "error"
    clear: bool = False

    def __post_init__(self) -> None:
        """Check the words."""
        if self.unmatched not in ("error", "ignore"):
            raise OptionError(f"`unmatched` must be 'error' or 'ignore', not {self.unmatched!r}.")

    @property
    def takes_all(self) -> bool:
        """Whether all columns of the file are taken."""
        return not (any(self.mapping.values()) or self.columns or self.obsm)


@dataclass(frozen=True)
class Annotation:
    """The rows of a file of metadata.

    name: of the file. keys: the texts that name cells, by columns of the view `cells`. values: the fields and other
    columns, in the types that the atlas stores. notes: what a user should know.
    """

    name: str
    keys: pa.Table
    values: pa.Table
    notes: tuple[str, ...]


def read_annotation(source: Path | pd.DataFrame, options: AnnotateOptions) -> Annotation:
    """Read a file, or take a data frame such as adata.obs, whose index holds the barcodes.

    Raises ObsError if the file cannot be read, or rows name no cells or the same cells; OptionError for columns or
    fields that do not exist.
    """
    name = source.name if isinstance(source, Path) else "the data frame"
    frame, notes = read_source(source, options), []
    keys = key_columns(frame, options.on, name)
    if not options.on and "barcode" not in frame:
        notes.append(f"{name} has no column 'barcode': its first column, {frame.columns[0]!r}, names the cells")
    named = pa.table({column: to_text(frame[of]) for column, of in keys.items()})
    check_keys(named, name)
    values, more = take_values(frame, set(keys.values()), options, name)
    return Annotation(name, named, values, (*notes, *more))


def read_source(source: Path | pd.DataFrame, options: AnnotateOptions) -> pd.DataFrame:
    """The columns of a file or data frame; the names of its rows are the column `barcode`."""
    if isinstance(source, Path):
        check_exists(source)
        if source.suffix not in ANNDATA and not source.is_dir():
            if options.obsm:
                raise OptionError(f"Only AnnData has embeddings (`obsm`), and {source.name} is a table.")
            return read_columns(source, {**options.mapping, **options.on})
        with needs_extra("ingest"):
            from ingest.counts.files import convert_errors, open_store
            from ingest.counts.frames import read_frame
        with open_store(source) as store, convert_errors(source):
            frame = add_embeddings(read_frame(store, "obs"), store.get("obsm", {}), options.obsm)
    else:
        frame = source
    if repeated := list(frame.columns[frame.columns.duplicated()].unique()):
        raise ObsError(f"{len(repeated)} columns occur more than once: {listed(repeated)}. Drop or rename them.")
    if isinstance(frame.index, pd.RangeIndex) or "barcode" in frame:
        return frame.reset_index(drop=True)
    return frame.rename_axis("barcode").reset_index()


def key_columns(frame: pd.DataFrame, on: Mapping[str, str], name: str) -> dict[str, str]:
    """Column of the view `cells` -> column of the file. A column `study` belongs to the key, as no cell changes it."""
    if not on:
        first = "barcode" if "barcode" in frame else str(frame.columns[0])
        on = {first if first in GROUPS else "barcode": first}
    for of in on.values():
        if of not in frame:
            hint = nearest(of, map(str, frame.columns))
            raise OptionError(f"{name} has no column {of!r} (`on`).{hint} It has: {listed(frame.columns)}.")
    return {**on, **({"study": "study"} if "study" in frame and "study" not in on else {})}


def check_keys(keys: pa.Table, name: str) -> None:
    """Raise ObsError if rows name no cell, or if several rows name the same cells."""
    for column in keys.column_names:
        if nulls := keys[column].null_count:
            raise ObsError(f"{nulls} of {len(keys)} rows of {name} have no {column}. Fill them in, or drop the rows.")
    counted = keys.group_by(keys.column_names).aggregate([([], "count_all")])
    if repeated := counted.filter(pc.greater(counted["count_all"], 1)).to_pylist():
        examples = [" / ".join(str(row[column]) for column in keys.column_names) for row in repeated]
        raise ObsError(
            f"{len(repeated)} of {len(counted)} names of cells occur more than once in {name}: {listed(examples, 3)}. "
            "Give each one row, or name the cells by more columns with `on`."
        )


def take_values(frame: pd.DataFrame, keys: set[str], options: AnnotateOptions, name: str) -> tuple[pa.Table, list[str]]:
    """The fields and other columns that are taken, and notes."""
    known = choose_columns(frame, options.mapping)
    chosen = {field: of for field, of in known.items() if field in options.mapping or of not in keys}
    if not options.takes_all:
        chosen = {field: of for field, of in chosen.items() if field in options.mapping or of in options.columns}
    columns: dict[str, pa.Array] = {each: to_text(frame[chosen[each]]) for each in FIELDS if each in chosen}
    notes = drop_placeholders(columns, "rows")
    if "in_vivo" in columns:
        columns["in_vivo"] = read_in_vivo(columns["in_vivo"])
    others, more = other_columns(frame, {*keys, *chosen.values()}, options, name)
    if options.takes_all:
        more += check_candidates([each for each in FIELDS if each not in {*known, *options.mapping}], others, name)
    notes += more + add_other_columns(columns, frame, others, name)
    if not columns:
        raise OptionError(f"{name} has no column to take beside those that name cells: {listed(sorted(keys))}.")
    return pa.table(columns), notes


def check_candidates(fields: Sequence[str], columns: Sequence[str], name: str) -> list[str]:
    """Notes on columns that look like fields which a file lacks; OptionError for the name of a field in other letters.

    In an atlas, a donor that is not in the field `donor` is not a donor for any comparison.
    """
    for lacking in fields:
        if spelled := [str(column) for column in columns if is_spelling(lacking, str(column))]:
            raise OptionError(
                f"{name} has no column {lacking!r}, but {listed(map(repr, spelled))}. "
                f"`mapping={ {lacking: spelled[0]} }` takes it as the field, `columns={spelled[:1]}` as another column."
            )
    found = {lacking: find_candidates(lacking, map(str, columns)) for lacking in fields}
    return notes_on_missing([FieldReport(each, None, 0, 0, names) for each, names in found.items() if names])


def other_columns(
    frame: pd.DataFrame, used: set[str], options: AnnotateOptions, name: str
) -> tuple[list[str], list[str]]:
    """The columns that are no field, and a note on columns that every cell has from its counts and its study."""
    for column in options.columns:
        if column not in frame:
            hint = nearest(column, map(str, frame.columns))
            raise OptionError(f"{name} has no column {column!r} (`columns`).{hint} It has: {listed(frame.columns)}.")
    keys = {f"{key.removeprefix('X_')}_{n}" for key in options.obsm for n in (1, 2)}
    wanted = list(frame.columns) if options.takes_all else [*options.columns, *sorted(keys)]
    fixed = [each for each in wanted if str(each).lower() in CELLS and each not in used]
    notes = [f"not taken, because no annotation changes them: {listed(fixed)}"] if fixed else []
    return [each for each in wanted if each not in used and each not in fixed], notes
