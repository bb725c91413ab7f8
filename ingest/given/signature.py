"""Import an atlas of SIGnature: one folder per cell type, with a TileDB array of scores and a table of its cells.

Rows of the array and of the table match by position only. A folder has cells of many studies, and a study can span
folders.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix, vstack

from ingest.columns import parse_table
from ingest.given.files import file_version
from ingest.given.load import LoadOptions, load_study
from ingest.given.scores import GivenScores
from ingest.obs import text_columns
from ingest.store.records import StudyInfo
from ingest.store.study import StudyReport, study_session
from sigdb.errors import DamagedError, ObsError, ScoresError, listed, nearest, needs_extra

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["import_signature"]

ARRAY, METADATA = "attributions", "cell_metadata.csv.gz"
# Scores to read at a time, while the last ones are checked and written. An array is sorted by gene, in tiles of 10,000
# scores, so reading a thousand cells takes nearly as long as reading a hundred thousand.
SLAB = 20_000_000
# Rows of metadata to read at a time.
ROW_GROUP = 1 << 16
MISSING = ["", "NA", "N/A", "NaN", "nan", "None"]
# The column of SIGnature that holds the cell type.
CELL_TYPE = "prediction"


@dataclass(frozen=True)
class CellFolder:
    """The cells of one folder. array: their scores (cell, gene). table: their metadata. n_scores: of all cells."""

    name: str
    path: Path
    array: Any
    table: pq.ParquetFile
    n_scores: int

    @property
    def n_cells(self) -> int:
        """The number of rows of the metadata."""
        return int(self.table.metadata.num_rows)

    def version(self) -> list[object]:
        """A value that changes if the scores or the metadata do."""
        fragments = sorted(file.name for file in (self.path / ARRAY / "__fragments").glob("*"))
        return [self.name, fragments, *file_version(self.path / METADATA)]

    def read_metadata(self, rows: NDArray[np.int64]) -> pa.Table:
        """Read rows of the metadata, in ascending order; all columns as text."""
        parts = []
        for number in np.unique(rows // ROW_GROUP):
            inside = rows[rows // ROW_GROUP == number] - number * ROW_GROUP
            parts.append(self.table.read_row_group(int(number)).take(inside))
        return pa.concat_tables(parts)

    def read_scores(self, rows: NDArray[np.int64], n_genes: int) -> csr_matrix:
        """Read the scores of rows, in ascending order: (n_rows, n_genes). Raises DamagedError."""
        import tiledb

        breaks = np.flatnonzero(np.diff(rows) > 1) + 1
        ranges = [slice(int(part[0]), int(part[-1])) for part in np.split(rows, breaks)]
        try:
            found = self.array.query(attrs=["vals"], dims=["x", "y"], order="U").multi_index[ranges, :]
        except tiledb.TileDBError as error:
            raise DamagedError(f"{self.path / ARRAY} cannot be read: {error}") from error
        positions = np.searchsorted(rows, found["x"])
        return csr_matrix((found["vals"], (positions, found["y"].astype(np.int64))), shape=(len(rows), n_genes))


# Folders, each with the rows of it that belong to one study.
Parts: TypeAlias = "Sequence[tuple[CellFolder, NDArray[np.int64]]]"


@dataclass(frozen=True)
class SignatureAtlas:
    """An atlas of SIGnature, with its cells grouped by study. genes: (n_genes,), the columns of the arrays."""

    genes: Sequence[str]
    study_column: str
    studies: Mapping[str, Parts]

    def mapping(self, study: str, given: Mapping[str, str]) -> dict[str, str]:
        """Field of the atlas -> column of the metadata of a study, as given, with the column of the cell type."""
        has_type = any(CELL_TYPE in folder.table.schema_arrow.names for folder, _ in self.studies[study])
        return ({"cell_type": CELL_TYPE} if has_type else {}) | dict(given)

    def scores_of(self, study: str, mapping: Mapping[str, str]) -> GivenScores:
        """The scores of a study, folder by folder. mapping: as for `obs_table`; columns that it names stay text."""
        parts = self.studies[study]
        density = max(folder.n_scores / folder.n_cells for folder, _ in parts)
        return GivenScores(
            obs=study_obs(parts, self.study_column, mapping),
            genes=self.genes,
            rows=partial(read_rows, parts, len(self.genes)),
            origin=f"scores: {ARRAY} of {listed([folder.name for folder, _ in parts])}",
            version=[folder.version() for folder, _ in parts],
            n_chunk=int(min(max(1, SLAB // max(1, density)), 1 << 17)),
        )


def read_rows(parts: Parts, n_genes: int, start: int, stop: int) -> csr_matrix:
    """Read the scores of the cells start to before stop of a study: (stop - start, n_genes)."""
    pieces, first = [], 0
    for folder, rows in parts:
        chosen = rows[max(start - first, 0) : max(stop - first, 0)]
        if len(chosen):
            pieces.append(folder.read_scores(chosen, n_genes))
        first += len(rows)
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
    """Add all studies of an atlas of SIGnature to an atlas, each study all or nothing.

    After an interruption, the next call for the same folder continues from the chunks that are kept beside the atlas.
    Samples in which a field varies are divided, see `LoadOptions`. If studies cannot be added, the others are.

    Parameters
    ----------
    path
        The atlas; made if it does not exist.
    folder
        A folder of folders, one per cell type, each with an array `attributions` (cells x genes) and a table
        `cell_metadata.csv.gz`; or one such folder.
    genes
        (n_genes,) the names of the columns of the arrays, in order.
    options
        What is known of the scores, and how to store them. The column `prediction` becomes the cell type unless
        `options.mapping` names another one.
    study_column
        The column of the metadata that names the study of a cell.
    about
        The organism, source and licence of all studies.

    Returns
    -------
    reports : list of StudyReport
        One per study that was added.
    skipped : list of str
        The studies that the atlas has already, and that stay as they are.

    Raises
    ------
    ScoresError
        If an array, its metadata and the genes have different lengths, or for the reasons of `load_study`.
    ObsError
        If a table lacks the study column, a cell has no study, or the metadata of a study cannot be stored.
    DamagedError
        If an array cannot be read.
    MissingDependencyError
        If TileDB is not installed.
    GeneSpaceError, StudyExistsError
        As for `load_study`.

    Examples
    --------
    >>> from ingest.given.signature import import_signature
    >>> import_signature(path, folder, genes, LoadOptions(model="SIGnature"))  # doctest: +SKIP
    """
    with (
        open_signature_atlas(folder, genes, study_column=study_column) as source,
        study_session(path) as (atlas, reports),
    ):
        failed: dict[str, ObsError | ScoresError] = {}
        for study in source.studies:
            mapping = source.mapping(study, options.mapping)
            scores = source.scores_of(study, mapping)
            info = StudyInfo(study, scores.origin, **(about or {}))
            chosen = replace(options, mapping=mapping, divide_samples=True)
            try:
                reports += filter(None, [load_study(atlas, info, scores, chosen)])
            except (ObsError, ScoresError) as error:
                failed[study] = error
        raise_failures(failed, len(source.studies))
        added = {report.study for report in reports}
        return reports, [study for study in source.studies if study not in added]


def raise_failures(failed: Mapping[str, ObsError | ScoresError], n_studies: int) -> None:
    """Raise the error of a study that was not added; if there were other studies, say which ones, and why."""
    if not failed:
        return
    first = next(iter(failed.values()))
    if n_studies == 1:
        raise first
    reasons = " ".join(f"{study}: {error}" for study, error in list(failed.items())[:3])
    raise type(first)(
        f"{len(failed)} of {n_studies} studies were not added: {listed(failed)}. The others are in the atlas. "
        f"{reasons} When that is corrected, the same call with `if_exists='skip'` adds them."
    ) from first


@contextmanager
def open_signature_atlas(path: Path, genes: Sequence[str], *, study_column: str = "study") -> Iterator[SignatureAtlas]:
    """Open a folder of folders, or one of them; parameters as for `import_signature`.

    Raises ScoresError, with the numbers, if an array, its table and the genes have different lengths: rows match by
    position only.
    """
    found = sorted(array.parent for array in [path / ARRAY, *path.glob(f"*/{ARRAY}")] if array.is_dir())
    if not found:
        raise ScoresError(f"Neither {path} nor a folder in it has a folder {ARRAY!r}.")
    studies: defaultdict[str, list[tuple[CellFolder, NDArray[np.int64]]]] = defaultdict(list)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory()))
        for n, each in enumerate(found):
            folder = open_folder(stack, each, scratch / f"{n}.parquet", len(genes))
            for study, rows in rows_of_studies(folder, study_column):
                studies[study].append((folder, rows))
        yield SignatureAtlas(genes, study_column, dict(sorted(studies.items())))


def open_folder(stack: ExitStack, path: Path, table: Path, n_genes: int) -> CellFolder:
    """Open the array and the metadata of a folder, and check that their lengths match."""
    with needs_extra("signature"):
        import tiledb
    if not (path / METADATA).is_file():
        raise ScoresError(f"{path} has no {METADATA}.")
    try:
        # Absolute: TileDB resolves paths from the working directory at the time when it first opened one.
        uri = str((path / ARRAY).absolute())
        array = stack.enter_context(tiledb.open(uri))
        fragments = tiledb.FragmentInfoList(uri)
    except tiledb.TileDBError as error:
        raise ScoresError(f"{path / ARRAY} is not an array that TileDB can open: {error}") from error
    dimensions = [array.schema.domain.dim(n).name for n in range(array.schema.domain.ndim)]
    if not array.schema.sparse or dimensions != ["x", "y"] or not array.schema.has_attr("vals"):
        raise ScoresError(f"{path / ARRAY} is not as SIGnature writes it: a sparse array of x (cell), y (gene), vals.")
    write_parquet(path / METADATA, table)
    folder = CellFolder(
        path.name, path, array, stack.enter_context(pq.ParquetFile(table)), sum(part.cell_num for part in fragments)
    )
    check_lengths(folder, n_genes)
    return folder


def check_lengths(folder: CellFolder, n_genes: int) -> None:
    """Raise ScoresError unless array, metadata and genes have the same lengths. The last cells may have no scores."""
    rows, columns = (int(size) for size in folder.array.schema.domain.shape)
    ends = [0, 0] if not folder.n_scores else [int(last) + 1 for _, last in folder.array.nonempty_domain()]
    advice = "They match by position only: is one of them of another version?"
    for what, length, n_names, end in (("cells", rows, folder.n_cells, ends[0]), ("genes", columns, n_genes, ends[1])):
        source = METADATA if what == "cells" else "the list of genes"
        if end > n_names:
            raise ScoresError(
                f"{folder.path}: the array has scores of {what} up to number {end}, but {source} has only {n_names}. "
                f"{advice}"
            )
        if length != n_names:
            raise ScoresError(
                f"{folder.path}: the array was made for {length} {what}, but {source} has {n_names}. {advice}"
            )


def write_parquet(source: Path, table: Path) -> None:
    """Convert a table of text to Parquet, whose rows can be read in any order, in bounded memory."""
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
    """Write all batches of a reader, in groups of ROW_GROUP rows."""
    with pq.ParquetWriter(table, reader.schema) as writer:
        pending: list[pa.RecordBatch] = []
        for batch in reader:
            pending.append(batch)
            rows = pa.Table.from_batches(pending)
            while len(rows) >= ROW_GROUP:
                writer.write_table(rows[:ROW_GROUP], row_group_size=ROW_GROUP)
                rows = rows[ROW_GROUP:]
            pending = rows.to_batches()
        if pending:
            writer.write_table(pa.Table.from_batches(pending), row_group_size=ROW_GROUP)


def rows_of_studies(folder: CellFolder, column: str) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Each study of a folder, and its rows, in ascending order; ObsError if a cell has no study."""
    names = folder.table.schema_arrow.names
    if column not in names:
        raise ObsError(
            f"{folder.path / METADATA} has no column {column!r}, which names the study.{nearest(column, names)} It "
            f"has: {listed(names)}. Name another one with `study_column`."
        )
    encoded = folder.table.read(columns=[column])[column].combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    if encoded.null_count:
        raise ObsError(f"{encoded.null_count} of {len(encoded)} cells of {folder.path} have no study ({column!r}).")
    codes = encoded.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(encoded.dictionary) + 1))
    for code, study in enumerate(encoded.dictionary.to_pylist()):
        yield study, order[bounds[code] : bounds[code + 1]]


def study_obs(parts: Parts, study_column: str, mapping: Mapping[str, str]) -> pd.DataFrame:
    """The metadata of a study's cells, indexed by the column `barcode` or `index`.

    If neither is unique in the study, cells are named by folder and row.
    """
    table = pa.concat_tables([folder.read_metadata(rows) for folder, rows in parts], promote_options="default")
    table = table.drop_columns([study_column])
    # pandas writes an index without a name.
    table = table.rename_columns([name or "index" for name in table.column_names])
    names = [f"{folder.name}:{row}" for folder, rows in parts for row in rows.tolist()]
    for key in ("barcode", "index"):
        if key in table.column_names and pc.count_distinct(table[key]).as_py() == len(table):
            names = table[key].to_pylist()
            table = table.drop_columns([key])
            break
    return parse_table(table, text_columns(mapping)).set_axis(pd.Index(names, name="barcode"))
