"""Cell metadata: which columns of a study's obs are the atlas's own fields, and which are kept as they are."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, Literal

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.sparse import issparse

from ingest.store.records import FIELDS, SAMPLE_FIELDS
from sigdb.errors import ObsError, listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["RESERVED", "join_obs", "obs_table", "with_embeddings"]

# Columns of obs that are a field of the atlas when nothing else is said: its own name, or CELLxGENE's.
USUAL = {**{name: (name,) for name in FIELDS}, "sample": ("sample", "sample_id"), "donor": ("donor", "donor_id")}
# The other columns of the view `cells` that are the atlas's own.
RESERVED = ("barcode", "cell_id", "sample_id", "n_counts", "n_genes", "study")

# pandas' types that have missing values, whatever the type.
NULLABLE: Literal["numpy_nullable"] = "numpy_nullable"


def obs_table(obs: pd.DataFrame, *, study: str, mapping: Mapping[str, str]) -> tuple[pa.Table, list[str]]:
    """Turn obs into a table with a barcode, all fields of the atlas (NULL where obs has none) and all other columns.

    mapping: field -> column of obs, where the usual names do not fit; '' for none. An obs column that is called like
    one of the atlas's own is kept as `obs_<name>`. Returns the table, and notes on what a user should know. Raises
    ObsError for an unknown field or column, a repeated barcode, or a column of mixed types.
    """
    chosen = choose_columns(obs, mapping)
    notes = []
    if obs.index.has_duplicates:
        repeated = obs.index[obs.index.duplicated()].unique()
        raise ObsError(
            f"{len(repeated)} cell names of {study} occur more than once: {listed(repeated, 5)}. A cell is found again "
            "by its name within the study, so put its sample before it, or use adata.obs_names_make_unique()."
        )
    columns = {"barcode": pa.array(obs.index.astype(str), pa.string())}
    for field in FIELDS:
        source = chosen.get(field)
        if source is None:
            columns[field] = pa.nulls(len(obs), pa.string())
        else:
            columns[field] = text(obs[source])
    if "sample" not in chosen:
        columns["sample"], note = made_up_samples(columns, study)
        notes.append(note)
    if nulls := columns["sample"].null_count:
        raise ObsError(f"{nulls} of {len(obs)} cells of {study} have no sample. Fill them in, or drop the cells.")
    columns["in_vivo"] = boolean(columns["in_vivo"])
    own = {*RESERVED, *FIELDS}
    if "" in obs.columns:
        raise ObsError(f"obs of {study} has a column without a name. Name it, or drop it.")
    for name in obs.columns:
        if name in chosen.values():
            continue
        kept = f"obs_{name}" if str(name).lower() in own else str(name)
        if kept != str(name):
            notes.append(f"obs column {name!r} is kept as {kept!r}: the atlas has a {str(name).lower()!r} of its own")
        if kept.lower() in {column.lower() for column in columns}:
            raise ObsError(f"obs of {study} has two columns called {kept!r}, case aside. Rename one.")
        columns[kept] = extra(obs[name])
    return pa.table(columns), notes


def made_up_samples(columns: Mapping[str, pa.Array], study: str) -> tuple[pa.Array, str]:
    """Samples for a study that names none: its donors, and what varies within a donor; or the whole study."""
    fields = pd.DataFrame({name: columns[name].to_pandas() for name in SAMPLE_FIELDS if name != "sample"})
    fields = fields.astype(object).where(fields.notna(), "unknown").astype(str)
    keys = ["donor"] if columns["donor"].null_count < len(fields) else []
    groups = fields.groupby(keys or np.zeros(len(fields)))
    keys += [name for name in fields if name not in keys and (groups[name].nunique() > 1).any()]
    if not keys:
        return pa.array([study] * len(fields), pa.string()), "no sample column: the whole study is one sample"
    names = fields[keys].agg(" | ".join, axis=1)
    return pa.array(names, pa.string()), f"no sample column: one sample for each {' and '.join(keys)}"


def choose_columns(obs: pd.DataFrame, mapping: Mapping[str, str]) -> dict[str, str]:
    """Field -> column: as mapped, else the first of the usual names that obs has."""
    for field, column in mapping.items():
        if field not in FIELDS:
            raise ObsError(f"There is no field {field!r} to map. Fields are: {', '.join(FIELDS)}.")
        if column and column not in obs.columns:
            near = difflib.get_close_matches(column, map(str, obs.columns), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ObsError(f"obs has no column {column!r} to map {field} to.{hint} It has: {listed(obs.columns)}.")
    usual = {field: next((name for name in names if name in obs.columns), None) for field, names in USUAL.items()}
    return {field: column for field, column in {**usual, **mapping}.items() if column}


def text(values: pd.Series[object]) -> pa.Array:
    """A column as strings; missing values are NULL."""
    return pa.array(values.astype(object).where(values.notna(), None).map(str, na_action="ignore"), pa.string())


def boolean(values: pa.Array) -> pa.Array:
    """A text column of true and false as booleans; ObsError if it holds anything else."""
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, None: None}
    lowered = [value and value.lower() for value in values.to_pylist()]
    if strange := sorted({value for value in lowered if value not in words}):
        raise ObsError(f"in_vivo must be true or false, not {listed(strange)}.")
    return pa.array([words[value] for value in lowered], pa.bool_())


def extra(values: pd.Series[object]) -> pa.Array:
    """A column that the atlas keeps as it is: text, integer, double or boolean; ObsError if it cannot."""
    if isinstance(values.dtype, pd.CategoricalDtype) or pd.api.types.is_string_dtype(values):
        return text(values)
    if pd.api.types.is_bool_dtype(values):
        return pa.array(values, pa.bool_(), from_pandas=True)
    if pd.api.types.is_integer_dtype(values):
        kind = pa.uint64() if (values > 2**63 - 1).any() else pa.int64()
        return pa.array(values, kind, from_pandas=True)
    if pd.api.types.is_float_dtype(values):
        return pa.array(values, pa.float64(), from_pandas=True)
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        raise ObsError(
            f"obs column {values.name!r} has times with a zone, which few clients of DuckDB can read. Make them times "
            "of UTC (tz_convert('UTC').dt.tz_localize(None)) or text, or drop it."
        )
    try:
        return pa.array(values, from_pandas=True)
    except pa.ArrowException as error:
        raise ObsError(
            f"obs column {values.name!r} cannot be stored: {error}. Make it one type, or drop it."
        ) from error


def join_obs(obs: pd.DataFrame, file: Path, path: Path) -> pd.DataFrame:
    """Add the columns of a table (csv, tsv, parquet) to the obs of a study; they replace those of the same names.

    The table's column `barcode`, or else its first, names the cells. Raises ObsError, with counts and examples, unless
    it has one row for each cell of `path`, and no other.
    """
    table = read_table(file)
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
        problems.append(f"{len(unmatched)} of {len(barcodes)} rows are of no cell ({listed(unmatched, 3)})")
    if problems:
        raise ObsError(
            f"{file} does not fit the cells of {path.name}: {'; '.join(problems)}. It must have one row for each cell, "
            f"and no other.{other_spelling(missing, unmatched)}"
        )
    return pd.concat(
        [
            obs.drop(columns=obs.columns.intersection(table.columns)),
            table.set_axis(barcodes).loc[cells].set_axis(obs.index),
        ],
        axis=1,
    )


def other_spelling(missing: pd.Index[str], unmatched: pd.Index[str]) -> str:
    """A hint, if barcodes that do not match are of the same bases."""
    bases = {found[0]: name for name in unmatched if (found := re.search("[ACGT]{8,}", name))}
    for name in missing:
        if (found := re.search("[ACGT]{8,}", name)) and found[0] in bases:
            return f" The same barcode may be {bases[found[0]]!r} there and {name!r} in the study: make them alike."
    return ""


def read_table(file: Path) -> pd.DataFrame:
    """A table of metadata, indexed by barcode."""
    separator = {".csv": ",", ".tsv": "\t", ".txt": "\t", ".parquet": ""}
    kind = file.with_suffix("").suffix if file.suffix == ".gz" else file.suffix
    if kind not in separator:
        raise ObsError(f"Metadata are read from .csv, .tsv (either also .gz) or .parquet, not from {file}.")
    try:
        table = read_text(file, separator[kind]) if separator[kind] else pd.read_parquet(file, dtype_backend=NULLABLE)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ObsError(f"{file} cannot be read as a table of metadata: {str(error).splitlines()[0]}") from error
    if not isinstance(table.index, pd.RangeIndex):
        table = table.reset_index()
    key = "barcode" if "barcode" in table.columns else table.columns[0]
    if nulls := int(table[key].isna().sum()):
        raise ObsError(f"{nulls} of {len(table)} rows of {file} have no barcode, in the column {key!r}.")
    return table.set_index(key)


def read_text(file: Path, separator: str) -> pd.DataFrame:
    """A table of text. Barcodes are text even if they look like numbers; whole numbers with gaps stay whole."""
    header = [str(name) for name in pd.read_csv(file, sep=separator, header=None, nrows=1, dtype=str).iloc[0]]
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise ValueError(f"it has {len(repeated)} columns more than once: {listed(repeated)}")
    table = pd.read_csv(file, sep=separator, dtype_backend=NULLABLE, low_memory=False)
    if table.empty:
        raise ValueError("it has no rows")
    if table.index.nlevels > 1:
        raise ValueError("it has rows with more fields than its header")
    if not isinstance(table.index, pd.RangeIndex):  # R names no column of row names
        table = table.reset_index()
    place = list(table.columns).index("barcode") if "barcode" in table.columns else 0
    barcodes = pd.read_csv(file, sep=separator, header=None, skiprows=1, usecols=[place], dtype=str)
    return table.assign(**{table.columns[place]: barcodes[place]})


def with_embeddings(obs: pd.DataFrame, obsm: Mapping[str, Any], keys: Sequence[str]) -> pd.DataFrame:
    """Add the first two dimensions of each embedding to obs: those of X_umap as umap_1 and umap_2; NaN is no position.

    obsm: arrays (n_cells, 2 or more), or elements of an open file that hold them. Raises ObsError for an embedding that
    is not there, or is not such an array, and for a name that obs has already.
    """
    added: dict[str, np.ndarray[Any, np.dtype[np.float64]]] = {}
    for key in keys:
        if key not in obsm:
            near = difflib.get_close_matches(key, list(obsm), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ObsError(f"obsm has no {key!r}.{hint} It has: {listed(sorted(obsm)) or 'nothing'}.")
        values = dense(obsm[key], key)
        if values.ndim != 2 or len(values) != len(obs) or values.shape[1] < 2:
            raise ObsError(f"obsm {key!r} is of shape {values.shape}; an embedding of {len(obs)} cells is two columns.")
        name = key.removeprefix("X_")
        added |= {f"{name}_{number}": values[:, number - 1].astype(np.float64) for number in (1, 2)}
    if taken := [name for name in added if name.lower() in {str(column).lower() for column in obs}]:
        raise ObsError(f"obs has columns called {listed(taken)} already: leave out --obsm, or rename them.")
    return pd.concat([obs, pd.DataFrame(added, index=obs.index)], axis=1)


def dense(element: Any, key: str) -> np.ndarray[Any, np.dtype[Any]]:
    """An element of obsm as an array, read if it is of an open file; ObsError if it holds anything but numbers."""
    values = element if isinstance(element, np.ndarray | pd.DataFrame) else anndata.io.read_elem(element)
    array = np.empty(0) if issparse(values) else np.asarray(values)
    if not np.issubdtype(array.dtype, np.number):
        raise ObsError(f"obsm {key!r} holds {array.dtype}, not numbers.")
    return array
