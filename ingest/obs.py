"""Cell metadata: join a table to obs, add embeddings, and turn obs into the fields and columns of an atlas."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import issparse

from ingest.columns import parse_table, to_boolean, to_column, to_text
from ingest.fields import FieldReport, find_candidates
from sigdb.atlas.fields import FIELDS, SAMPLE_FIELDS, names_none
from sigdb.errors import ObsError, OptionError, listed, message, nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

__all__ = [
    "CELLS",
    "RESERVED",
    "add_embeddings",
    "add_other_columns",
    "choose_columns",
    "describe_fields",
    "divide_samples",
    "drop_placeholders",
    "find_other_spelling",
    "join_obs",
    "obs_table",
    "read_columns",
    "read_in_vivo",
    "read_table",
    "text_columns",
]

# The columns of obs that are a field of the atlas by default: the field's own name, or CELLxGENE's name.
USUAL = {**{name: (name,) for name in FIELDS}, "sample": ("sample", "sample_id"), "donor": ("donor", "donor_id")}
# The columns of the view `cells` that are not fields and that every atlas has.
CELLS = ("barcode", "cell_id", "sample_id", "n_counts", "n_genes", "study")
# The other columns that a view or macro of an atlas returns. In a query that joins one of these to `cells`, a column of
# obs of the same name would be ambiguous, and so the query would fail once any study has such a column.
RETURNED = (
    *("alias", "all_conditions", "all_types", "architecture", "attribution_scale", "baseline", "checkpoint_sha256"),
    *("chunk", "completeness_delta", "contribution", "control", "counts_from", "cumulative_share", "cutoff"),
    *("description", "device", "ensembl_id", "finished", "first_row", "fraction_nonzero", "fraction_of_cells"),
    *("gene", "gene_id", "group_id", "hit_rate", "integration_error", "is_ambiguous", "is_hit", "is_signed"),
    *("is_weighted", "key", "latent_dim", "licence", "match", "mean", "mean_z", "median_counts", "median_detected"),
    *("method", "min_detected", "model", "model_id", "n_cells", "n_controls", "n_expressed", "n_hits", "n_measured"),
    *("n_nonzero", "n_pairs", "n_read", "n_samples", "n_scores", "n_sets", "n_steps", "n_studies"),
    *("null_high", "null_low", "null_mean"),
    *("null_median", "null_sd", "one_condition", "organism", "p_two_sided", "p_value", "position", "rank", "run"),
    *("run_id", "score", "score_without", "sd", "share", "signature", "signed_score", "source", "started", "status"),
    *("study_id", "suggestion", "sum_abs", "sum_signed", "sum_sq", "summation", "symbol", "target_sum", "title"),
    *("value", "versions", "weight", "written", "z"),
)
# Names that no column of obs keeps.
RESERVED = frozenset({*CELLS, *FIELDS, *RETURNED})


def obs_table(
    obs: pd.DataFrame, *, study: str, mapping: Mapping[str, str], divide: bool = False
) -> tuple[pa.Table, list[str]]:
    """Turn obs into a table with a barcode, all fields of the atlas (NULL if obs has no such column) and all columns.

    mapping: field -> column of obs, for columns with unusual names; '' if the study has no such field. A column of obs
    that has a name of the atlas's own is kept as `obs_<name>`, and a column that differs from another one only in case
    as `<name>_2`. divide: whether samples in which a field varies are divided. Returns the table, and notes for the
    user. Raises OptionError for an unknown field or column in
    `mapping`, and ObsError for metadata that cannot be stored, such as a repeated barcode or a column of mixed types.
    """
    if obs.columns.has_duplicates:
        repeated = obs.columns[obs.columns.duplicated()].unique()
        raise ObsError(
            f"obs of {study} has {len(repeated)} columns more than once: {listed(repeated)}. Drop or rename."
        )
    chosen = choose_columns(obs, mapping)
    check_barcodes(obs, study)
    columns = {"barcode": pa.array(obs.index.astype(str), pa.string())}
    columns |= {
        field: to_text(obs[chosen[field]]) if field in chosen else pa.nulls(len(obs), pa.string()) for field in FIELDS
    }
    notes = drop_placeholders(columns)
    if "sample" not in chosen:
        columns["sample"], note = infer_samples(columns, study)
        notes.append(note)
    if nulls := columns["sample"].null_count:
        raise ObsError(f"{nulls} of {len(obs)} cells of {study} have no sample. Fill them in, or drop the cells.")
    columns["in_vivo"] = read_in_vivo(columns["in_vivo"])
    if divide:
        columns["sample"], more = divide_samples(columns, study)
        notes += more
    others = [name for name in obs.columns if name not in chosen.values()]
    notes += add_other_columns(columns, obs, others, study)
    return pa.table(columns), notes


def choose_columns(obs: pd.DataFrame, mapping: Mapping[str, str]) -> dict[str, str]:
    """Field -> column of obs: as mapped, else the first of the usual names that obs has."""
    for field, column in mapping.items():
        if field not in FIELDS:
            raise OptionError(
                f"The atlas has no field {field!r} (`mapping`).{nearest(field, FIELDS)} "
                f"Fields are: {', '.join(FIELDS)}."
            )
        if column and column not in obs.columns:
            hint = nearest(column, map(str, obs.columns))
            raise OptionError(
                f"obs has no column {column!r} for the field {field} (`mapping`).{hint} It has: {listed(obs.columns)}."
            )
    usual = {field: next((name for name in names if name in obs.columns), None) for field, names in USUAL.items()}
    return {field: column for field, column in {**usual, **mapping}.items() if column}


def describe_fields(obs: pd.DataFrame, table: pa.Table, mapping: Mapping[str, str]) -> tuple[FieldReport, ...]:
    """Where each field of a table that `obs_table` made of obs came from."""
    chosen = choose_columns(obs, mapping)
    free = [str(name) for name in obs.columns if name not in chosen.values() and obs[name].notna().any()]
    reports = []
    for field in FIELDS:
        values, column = table[field], chosen.get(field)
        is_whole = column is not None and not values.null_count
        candidates = () if is_whole or field in mapping else find_candidates(field, free)
        reports.append(FieldReport(field, column, len(values.unique().drop_null()), values.null_count, candidates))
    return tuple(reports)


def drop_placeholders(columns: dict[str, pa.Array], rows: str = "cells") -> list[str]:
    """Remove donors such as 'not given', which name nobody; return notes on them and on samples of this kind.

    rows: what the values belong to.
    """
    notes = []
    for field in [name for name in ("donor", "sample") if name in columns]:
        unnamed = [name for name in columns[field].unique().to_pylist() if names_none(field, name)]
        is_unnamed = pc.is_in(columns[field], pa.array(unnamed, pa.string()))
        if n_unnamed := pc.sum(is_unnamed).as_py():
            what = "count as missing" if field == "donor" else "stay one sample, which no comparison counts"
            of = f"{n_unnamed:,} of {len(is_unnamed):,} {rows}"
            notes.append(f"{field}: {of} have {listed(map(repr, unnamed), 3)}, which names no {field}; they {what}")
        if field == "donor":
            columns[field] = pc.if_else(is_unnamed, pa.scalar(None, pa.string()), columns[field])
    return notes


def check_barcodes(obs: pd.DataFrame, study: str) -> None:
    """Raise ObsError if cells of a study have the same barcode."""
    if obs.index.has_duplicates:
        repeated = obs.index[obs.index.duplicated()].unique()
        raise ObsError(
            f"{len(repeated)} cell names of {study} occur more than once: {listed(repeated, 5)}. Cells are identified "
            "by their names within the study: put the sample before each name, or use adata.obs_names_make_unique()."
        )


def infer_samples(columns: Mapping[str, pa.Array], study: str) -> tuple[pa.Array, str]:
    """Samples for a study without a sample column, and a note: its donors and what varies in them, or the study."""
    fields = sample_fields(columns).drop(columns="sample")
    keys = ["donor"] if columns["donor"].null_count < len(fields) else []
    groups = fields.groupby(keys or np.zeros(len(fields)))
    keys += [name for name in fields if name not in keys and (groups[name].nunique() > 1).any()]
    if not keys:
        return pa.array([study] * len(fields), pa.string()), "no sample column: the whole study is one sample"
    names = fields[keys].agg(" | ".join, axis=1)
    return pa.array(names, pa.string()), f"no sample column: one sample for each {' and '.join(keys)}"


def sample_fields(columns: Mapping[str, pa.Array]) -> pd.DataFrame:
    """The fields of samples as text, for each cell."""
    fields = pd.DataFrame({name: columns[name].to_pandas() for name in SAMPLE_FIELDS if name in columns})
    return fields.astype(object).where(fields.notna(), "unknown").astype(str)


def divide_samples(columns: Mapping[str, pa.Array], study: str) -> tuple[pa.Array, list[str]]:
    """Samples with one value of each field, and a note if there were others: 'p1' becomes 'p1 | flu' and 'p1 | normal'.

    Raises ObsError if such a name is the name of another sample.
    """
    fields = sample_fields(columns)
    n_values = fields.groupby("sample").transform("nunique")
    varying = [name for name in n_values if (n_values[name] > 1).any()]
    if not varying:
        return columns["sample"], []
    what = f"{' and '.join(varying)} {'varies' if len(varying) == 1 else 'vary'}"
    is_divided = (n_values[varying] > 1).any(axis=1)
    parts = fields[["sample", *varying]]
    names = fields["sample"].where(~is_divided, parts.agg(" | ".join, axis=1))
    if names.nunique() < len(parts[is_divided].drop_duplicates()) + fields["sample"][~is_divided].nunique():
        raise ObsError(f"{what} within samples of {study}, and dividing them gives equal names.")
    n_samples, example = fields["sample"][is_divided].nunique(), names[is_divided].iloc[0]
    samples = "1 sample, which is divided" if n_samples == 1 else f"{n_samples} samples, which are divided"
    return pa.array(names, pa.string()), [f"{what} within {samples}: {example!r} is one of the new samples"]


def read_in_vivo(values: pa.Array) -> pa.Array:
    """The field in_vivo; ObsError if it is neither true nor false."""
    booleans = to_boolean(values)
    if booleans is None:
        strange = [value for value in values.unique().to_pylist() if to_boolean(pa.array([value], pa.string())) is None]
        raise ObsError(f"in_vivo must be true or false, not {listed(sorted(strange))}.")
    return booleans


def add_other_columns(columns: dict[str, pa.Array], obs: pd.DataFrame, names: Sequence[str], study: str) -> list[str]:
    """Add columns of obs that are not fields; return notes on columns with another name or type."""
    if "" in names:
        raise ObsError(f"obs of {study} has a column without a name. Name it, or drop it.")
    notes, read = [], []
    taken = {name.lower() for name in (*columns, *RESERVED)}
    # Names that can stay go first, so that no renamed column takes them.
    for name in sorted(names, key=lambda name: str(name).lower() in RESERVED):
        kept = free_name(str(name), taken)
        if kept != str(name):
            is_own = str(name).lower() in RESERVED
            reason = (
                f"the atlas has its own column {str(name).lower()!r}" if is_own else "another one differs only in case"
            )
            notes.append(f"obs column {name!r} is kept as {kept!r}: {reason}")
        taken.add(kept.lower())
        columns[kept] = to_column(obs[name])
        if not pa.types.is_string(columns[kept].type) and any(isinstance(v, str) for v in obs[name].dropna()[:1]):
            read.append(name)
    if read:
        notes.append(f"{len(read)} obs columns of text are kept as whole numbers or true and false: {listed(read)}")
    return notes


def free_name(name: str, taken: Collection[str]) -> str:
    """The name of a column, or the first free one of obs_<name> (for a name of the atlas), <name>_2, <name>_3, ..."""
    if name.lower() not in taken:
        return name
    base = f"obs_{name}" if name.lower() in RESERVED else name
    choices = (base if n == 1 else f"{base}_{n}" for n in itertools.count(1))
    return next(choice for choice in choices if choice.lower() not in taken)


def text_columns(mapping: Mapping[str, str]) -> set[str]:
    """The columns of a table that stay text: those with the usual names of fields and ids, and those of `mapping`."""
    return {*CELLS, *(name for names in USUAL.values() for name in names), *mapping.values()} - {"n_counts", "n_genes"}


def join_obs(obs: pd.DataFrame, file: Path, path: Path, mapping: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Add the columns of a table (csv, tsv, parquet) to the obs of a study; they replace columns of the same name.

    The column `barcode` of the table, or else its first column, identifies the cells. mapping: as for `obs_table`;
    columns of fields stay text. Raises ObsError, with counts and examples, unless the table has exactly one row for
    each cell of `path`.
    """
    table = read_table(file, mapping)
    cells = obs.index.astype(str)
    barcodes = pd.Index(table.index.astype(str))
    problems = []
    for names, where in ((cells, path.name), (barcodes, file.name)):
        if names.has_duplicates:
            repeated = names[names.duplicated()].unique()
            problems.append(f"{len(repeated)} barcodes are repeated in {where} ({listed(repeated, 3)})")
    missing, unmatched = cells[~cells.isin(barcodes)], barcodes[~barcodes.isin(cells)]
    if len(missing):
        problems.append(f"{len(missing)} of {len(cells)} cells have no row ({listed(missing, 3)})")
    if len(unmatched):
        problems.append(f"{len(unmatched)} of {len(barcodes)} rows match no cell ({listed(unmatched, 3)})")
    if problems:
        raise ObsError(
            f"{file} does not fit the cells of {path.name}: {'; '.join(problems)}. It must have exactly one row for "
            f"each cell.{find_other_spelling(missing, unmatched)}"
        )
    return pd.concat(
        [
            obs.drop(columns=obs.columns.intersection(table.columns)),
            table.set_axis(barcodes).loc[cells].set_axis(obs.index),
        ],
        axis=1,
    )


def find_other_spelling(missing: pd.Index[str], unmatched: pd.Index[str]) -> str:
    """A hint if barcodes that do not match have the same bases, such as ACGTACGT-1 and s1_ACGTACGT."""
    bases = {found[0]: name for name in unmatched if (found := re.search("[ACGT]{8,}", name))}
    for name in missing:
        if (found := re.search("[ACGT]{8,}", name)) and found[0] in bases:
            return f" The barcode {bases[found[0]]!r} of the table may be {name!r} of the study: spell them alike."
    return ""


def read_table(file: Path, mapping: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Read a table of cell metadata, indexed by barcode; ObsError if it cannot be read. mapping: as for `join_obs`."""
    table = read_columns(file, mapping)
    key = "barcode" if "barcode" in table.columns else table.columns[0]
    if nulls := int(table[key].isna().sum()):
        raise ObsError(f"{nulls} of {len(table)} rows of {file} have no barcode (column {key!r}).")
    return table.set_index(key)


def read_columns(file: Path, mapping: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Read the columns of a table of metadata; ObsError if it cannot be read. The columns of `mapping` stay text."""
    separator = {".csv": ",", ".tsv": "\t", ".txt": "\t", ".parquet": ""}
    kind = file.with_suffix("").suffix if file.suffix == ".gz" else file.suffix
    if kind not in separator:
        raise ObsError(f"Cell metadata are read from .csv, .tsv (either also .gz) or .parquet, not from {file}.")
    try:
        if separator[kind]:
            table = parse_table(read_text(file, separator[kind]), text_columns(mapping or {}))
        else:
            table = pd.read_parquet(file, dtype_backend="numpy_nullable")
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ObsError(f"{file} cannot be read as a table of cell metadata: {message(error)}") from error
    return table if isinstance(table.index, pd.RangeIndex) else table.reset_index()


def read_text(file: Path, separator: str) -> pa.Table:
    """Read a table as text, with the column of row names that R writes."""
    header = [str(name) for name in pd.read_csv(file, sep=separator, header=None, nrows=1, dtype=str).iloc[0]]
    if len(header) == 1 and (other := next((each for each in ";\t|," if each in header[0]), None)):
        raise ValueError(
            f"its only column is {header[0]!r}, so {other!r} seems to separate its columns. A .csv file has ',', and a "
            ".tsv file has tabs"
        )
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise ValueError(f"it has {len(repeated)} repeated column names: {listed(repeated)}")
    table = pd.read_csv(file, sep=separator, dtype=str)
    if table.empty:
        raise ValueError("it has no rows")
    if table.index.nlevels > 1:
        raise ValueError("it has rows with more fields than its header")
    if not isinstance(table.index, pd.RangeIndex):
        # R writes no header for its column of row names, and pandas reads an index as numbers.
        names = pd.read_csv(file, sep=separator, header=None, skiprows=1, usecols=[0], dtype=str)
        table = table.reset_index()
        table = table.assign(**{str(table.columns[0]): names[0]})
    kinds = pa.schema([(name, pa.string()) for name in table.columns])
    return pa.Table.from_pandas(table, kinds, preserve_index=False)


def add_embeddings(obs: pd.DataFrame, obsm: Mapping[str, Any], keys: Sequence[str]) -> pd.DataFrame:
    """Add the first two dimensions of each embedding to obs: X_umap becomes umap_1 and umap_2. NaN means no position.

    obsm: arrays (n_cells, 2 or more), or elements of an open file. Raises OptionError for an embedding that does not
    exist, and ObsError for one that is not such an array or whose columns obs has already.
    """
    added: dict[str, np.ndarray[Any, np.dtype[np.float64]]] = {}
    for key in keys:
        if key not in obsm:
            known = listed(sorted(obsm)) or "no embeddings"
            raise OptionError(f"The file has no embedding {key!r} (`obsm`).{nearest(key, obsm)} It has: {known}.")
        values = read_numbers(obsm[key], key)
        if values.ndim != 2 or len(values) != len(obs) or values.shape[1] < 2:
            raise ObsError(
                f"obsm {key!r} has the shape {values.shape}; an embedding of {len(obs)} cells has as many rows and at "
                "least two columns."
            )
        name = key.removeprefix("X_")
        added |= {f"{name}_{number}": values[:, number - 1].astype(np.float64) for number in (1, 2)}
    if taken := [name for name in added if name.lower() in {str(column).lower() for column in obs}]:
        raise ObsError(f"obs has columns called {listed(taken)} already: rename them, or leave `obsm` out.")
    return pd.concat([obs, pd.DataFrame(added, index=obs.index)], axis=1)


def read_element(element: Any) -> Any:
    """Read an element of an open file of AnnData."""
    import anndata  # part of the ingest extra, which scores from other tools do not need

    return anndata.io.read_elem(element)


def read_numbers(element: Any, key: str) -> np.ndarray[Any, np.dtype[Any]]:
    """An element of obsm as an array, read from its file if necessary; ObsError if it is sparse or not of numbers."""
    in_memory = isinstance(element, np.ndarray | pd.DataFrame) or issparse(element)
    values = element if in_memory else read_element(element)
    if issparse(values):
        raise ObsError(f"obsm {key!r} is a sparse matrix; an embedding must be dense.")
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.number):
        raise ObsError(f"obsm {key!r} holds {array.dtype}, not numbers.")
    return array
