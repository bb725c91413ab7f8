"""Atlases of SIGnature: a folder per cell type, with a TileDB array of scores and a table of its cells.

Rows of the two belong together by position alone. A folder holds cells of many studies, a study spans folders.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix, vstack

from ingest.given.files import file_version
from ingest.given.load import GivenScores, LoadOptions, load_study
from ingest.obs import choose_columns
from ingest.store.records import StudyInfo
from ingest.store.study import StudyReport, growing_atlas
from sigdb.errors import ObsError, ScoresError, listed, needs_extra

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["SignatureAtlas", "import_signature", "open_signature_atlas"]

ARRAY, METADATA = "attributions", "cell_metadata.csv.gz"
# Scores that are read at a time, while as many are checked and kept. An array is sorted by genes, 10,000 scores a tile,
# each of which is read for some thousand cells nearly as for a tenth of a million.
SLAB = 20_000_000
# Cells of the metadata that are read at a time.
ROW_GROUP = 1 << 16
MISSING = ["", "NA", "N/A", "NaN", "nan", "None"]
# pandas' types of columns with missing values.
NULLABLE = {pa.int64(): pd.Int64Dtype(), pa.float64(): pd.Float64Dtype(), pa.bool_(): pd.BooleanDtype()}
# Where SIGnature has the cell type.
CELL_TYPE = "prediction"


@dataclass(frozen=True)
class CellFolder:
    """The cells of one folder: its scores (cell, gene), open, and its table, by rows. n_scores: of all cells."""

    name: str
    path: Path
    array: Any
    table: pq.ParquetFile
    n_scores: int

    @property
    def n_cells(self) -> int:
        """How many cells the table has."""
        return int(self.table.metadata.num_rows)

    def version(self) -> list[object]:
        """What changes when scores or metadata do."""
        fragments = sorted(file.name for file in (self.path / ARRAY / "__fragments").glob("*"))
        return [self.name, fragments, *file_version(self.path / METADATA)]

    def metadata(self, rows: NDArray[np.int64]) -> pa.Table:
        """Rows of the table, ascending; all columns as text."""
        parts = []
        for number in np.unique(rows // ROW_GROUP):
            inside = rows[rows // ROW_GROUP == number] - number * ROW_GROUP
            parts.append(self.table.read_row_group(int(number)).take(inside))
        return pa.concat_tables(parts)

    def scores(self, rows: NDArray[np.int64], n_genes: int) -> csr_matrix:
        """Scores of ascending rows, (n_rows, n_genes)."""
        breaks = np.flatnonzero(np.diff(rows) > 1) + 1
        ranges = [slice(int(part[0]), int(part[-1])) for part in np.split(rows, breaks)]
        found = self.array.query(attrs=["vals"], dims=["x", "y"], order="U").multi_index[ranges, :]
        places = np.searchsorted(rows, found["x"])
        return csr_matrix((found["vals"], (places, found["y"].astype(np.int64))), shape=(len(rows), n_genes))


@dataclass(frozen=True)
class SignatureAtlas:
    """Folders whose cells are grouped by study: places says, for each study, the rows of each folder."""

    genes: Sequence[str]
    study_column: str
    places: Mapping[str, Sequence[tuple[CellFolder, NDArray[np.int64]]]]

    def mapping(self, study: str, given: Mapping[str, str]) -> dict[str, str]:
        """Where the fields of the atlas are in the metadata of a study, if not under their own names."""
        there = any(CELL_TYPE in folder.table.schema_arrow.names for folder, _ in self.places[study])
        return ({"cell_type": CELL_TYPE} if there else {}) | dict(given)

    def study(self, name: str, mapping: Mapping[str, str]) -> GivenScores:
        """The cells of a study, folder by folder. mapping: as for `obs_table`; the atlas's fields stay text."""
        parts = self.places[name]
        obs = study_obs(parts, self.study_column, mapping)
        ends = np.cumsum([len(rows) for _, rows in parts])
        density = max(folder.n_scores / folder.n_cells for folder, _ in parts)
        return GivenScores(
            obs=obs,
            genes=self.genes,
            rows=partial(self.rows, parts, ends),
            origin=f"scores: {ARRAY} of {listed([folder.name for folder, _ in parts])}",
            version=[folder.version() for folder, _ in parts],
            n_chunk=int(min(max(1, SLAB // max(1, density)), 1 << 17)),
        )

    def rows(
        self, parts: Sequence[tuple[CellFolder, NDArray[np.int64]]], ends: NDArray[np.int64], start: int, stop: int
    ) -> csr_matrix:
        """Scores of the cells start to stop of a study that is made of rows of folders, which end there."""
        pieces = []
        for (folder, rows), end in zip(parts, ends.tolist(), strict=True):
            first = end - len(rows)
            chosen = rows[max(start - first, 0) : max(stop - first, 0)]
            if len(chosen):
                pieces.append(folder.scores(chosen, len(self.genes)))
        return csr_matrix(vstack(pieces))


def import_signature(
    path: Path,
    folder: Path,
    genes: Sequence[str],
    options: LoadOptions,
    *,
    study_column: str = "study",
    about: Mapping[str, str | None] | None = None,
) -> tuple[list[StudyReport], list[str]]:
    """Add all studies of an atlas of SIGnature to the atlas at `path`, which is made if there is none.

    about: organism, source and licence of all of them. Each study is in the atlas whole, or not at all; what is there
    already, `options.if_exists` says what becomes of. Returns a report for each study that was added, and the names of
    the others. Errors as for `open_signature_atlas` and `load_study`.
    """
    with (
        open_signature_atlas(folder, genes, study_column=study_column) as found,
        growing_atlas(path) as (atlas, reports),
    ):
        for study in found.places:
            mapping = found.mapping(study, options.mapping)
            scores = found.study(study, mapping)
            info = StudyInfo(study, scores.origin, **(about or {}))
            reports += filter(None, [load_study(atlas, info, scores, replace(options, mapping=mapping))])
        added = {report.study for report in reports}
        return reports, [study for study in found.places if study not in added]


@contextmanager
def open_signature_atlas(path: Path, genes: Sequence[str], *, study_column: str = "study") -> Iterator[SignatureAtlas]:
    """Open a folder of folders, or one of them. genes: (n_genes,) the columns of the arrays.

    Raises ScoresError, with the numbers, where an array, its table and the genes are not of one length: rows could not
    be told to belong together.
    """
    found = sorted(array.parent for array in [path / ARRAY, *path.glob(f"*/{ARRAY}")] if array.is_dir())
    if not found:
        raise ScoresError(f"{path} has no folder {ARRAY!r}, nor has a folder in it.")
    places: defaultdict[str, list[tuple[CellFolder, NDArray[np.int64]]]] = defaultdict(list)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory()))
        for n, each in enumerate(found):
            folder = open_folder(stack, each, scratch / f"{n}.parquet", len(genes))
            for study, rows in rows_of_studies(folder, study_column):
                places[study].append((folder, rows))
        yield SignatureAtlas(genes, study_column, dict(sorted(places.items())))


def open_folder(stack: ExitStack, path: Path, table: Path, n_genes: int) -> CellFolder:
    """Open the array and the metadata of a folder, and check that they fit."""
    with needs_extra("signature"):
        import tiledb
    if not (path / METADATA).is_file():
        raise ScoresError(f"{path} has no {METADATA}.")
    try:
        place = str((path / ARRAY).absolute())  # TileDB takes paths from where the process was when it first opened one
        array = stack.enter_context(tiledb.open(place))
        fragments = tiledb.FragmentInfoList(place)
    except tiledb.TileDBError as error:
        raise ScoresError(f"{path / ARRAY} is no array that TileDB can open: {error}") from error
    dimensions = [array.schema.domain.dim(n).name for n in range(array.schema.domain.ndim)]
    if not array.schema.sparse or dimensions != ["x", "y"] or not array.schema.has_attr("vals"):
        raise ScoresError(f"{path / ARRAY} is not what SIGnature writes: a sparse array of x (cell), y (gene), vals.")
    write_parquet(path / METADATA, table)
    folder = CellFolder(
        path.name, path, array, stack.enter_context(pq.ParquetFile(table)), sum(part.cell_num for part in fragments)
    )
    check_lengths(folder, n_genes)
    return folder


def check_lengths(folder: CellFolder, n_genes: int) -> None:
    """Raise ScoresError unless array, metadata and genes are of one length. Trailing cells may be without scores."""
    rows, columns = (int(size) for size in folder.array.schema.domain.shape)
    ends = [0, 0] if not folder.n_scores else [int(last) + 1 for _, last in folder.array.nonempty_domain()]
    for what, length, named, end in (("cells", rows, folder.n_cells, ends[0]), ("genes", columns, n_genes, ends[1])):
        source = METADATA if what == "cells" else "the list of genes"
        if end > named:
            raise ScoresError(
                f"{folder.path}: the array has scores of {what} up to number {end}, but {source} has only {named}. "
                "They belong together by position: is one of them of another version?"
            )
        if length != named:
            raise ScoresError(
                f"{folder.path}: the array was made for {length} {what}, but {source} has {named}. They belong "
                "together by position: is one of them of another version?"
            )


def write_parquet(source: Path, table: Path) -> None:
    """Copy a table of text to where its rows can be found again, in bounded memory."""
    try:
        with pyarrow.csv.open_csv(source) as reader:
            names = reader.schema.names
        as_text = pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=MISSING
        )
        with pyarrow.csv.open_csv(source, convert_options=as_text) as reader:
            write_groups(reader, table)
    except (OSError, pa.ArrowException) as error:
        raise ObsError(f"{source} cannot be read as a table of cells: {error}") from error
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ObsError(f"{source} has {len(repeated)} columns more than once: {listed(repeated)}.")


def write_groups(reader: pyarrow.csv.CSVStreamingReader, table: Path) -> None:
    """Write all batches of a reader, ROW_GROUP rows a group."""
    with pq.ParquetWriter(table, reader.schema) as writer:
        waiting: list[pa.RecordBatch] = []
        for batch in reader:
            waiting.append(batch)
            rows = pa.Table.from_batches(waiting)
            while len(rows) >= ROW_GROUP:
                writer.write_table(rows[:ROW_GROUP], row_group_size=ROW_GROUP)
                rows = rows[ROW_GROUP:]
            waiting = rows.to_batches()
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting), row_group_size=ROW_GROUP)


def rows_of_studies(folder: CellFolder, column: str) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Each study of a folder, and its rows; ObsError where a cell is of none."""
    if column not in folder.table.schema_arrow.names:
        there = listed(folder.table.schema_arrow.names)
        raise ObsError(f"{folder.path / METADATA} has no column {column!r}, which names the study. It has: {there}.")
    encoded = folder.table.read(columns=[column])[column].combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    if encoded.null_count:
        raise ObsError(f"{encoded.null_count} of {len(encoded)} cells of {folder.path} are of no study ({column!r}).")
    codes = encoded.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(encoded.dictionary) + 1))
    for code, study in enumerate(encoded.dictionary.to_pylist()):
        yield study, order[bounds[code] : bounds[code + 1]]


def study_obs(
    parts: Sequence[tuple[CellFolder, NDArray[np.int64]]], study_column: str, mapping: Mapping[str, str]
) -> pd.DataFrame:
    """The metadata of a study's cells, named by the column `barcode` or `index`.

    Where both are missing, or not unique in the study, cells are named by folder and row.
    """
    table = pa.concat_tables([folder.metadata(rows) for folder, rows in parts], promote_options="default")
    table = table.drop_columns([study_column])
    table = table.rename_columns([name or "index" for name in table.column_names])  # pandas does not name its index
    names = [f"{folder.name}:{row}" for folder, rows in parts for row in rows.tolist()]
    for key in ("barcode", "index"):
        if key in table.column_names and pc.count_distinct(table[key]).as_py() == len(table):
            names = table[key].to_pylist()
            table = table.drop_columns([key])
            break
    fields = set(choose_columns(pd.DataFrame(columns=table.column_names), mapping).values())
    columns = {name: table[name] if name in fields else typed(table[name]) for name in table.column_names}
    return pa.table(columns).to_pandas(types_mapper=NULLABLE.get).set_axis(pd.Index(names, name="barcode"))


def typed(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text as whole numbers, numbers or booleans, where all of it is; numbers like 007 stay text."""
    if pc.any(pc.match_substring_regex(values, r"^[+-]?0\d")).as_py():
        return values
    for kind in (pa.int64(), pa.float64(), pa.bool_()):
        try:
            return values.cast(kind)
        except pa.ArrowInvalid:
            continue
    return values
