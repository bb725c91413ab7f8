"""Read the tables obs and var as every version of anndata, and SeuratDisk, wrote them: with the labels in the file."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from ingest.counts.files import Group

__all__ = ["read_frame"]


def read_frame(store: Group, key: str) -> pd.DataFrame:
    """A table of AnnData, such as `obs` or `raw/var`; TypeError if the element is something else.

    A column that the file lists twice is one column. Codes of a factor become its labels, wherever these are kept.
    """
    element = store[key]
    if names := getattr(getattr(element, "dtype", None), "names", None):  # as anndata wrote it before version 0.7
        rows = element[()]
        frame = pd.DataFrame({name: decode(rows[name]) for name in names}).set_index(names[0])
        return add_labels(frame, labels_in_uns(store), all_fit=False)
    values = read(element)
    if isinstance(values, dict):  # a group of columns that does not say that it is a table
        index = next((name for name in ("_index", "index", "obs_names", "var_names") if name in values), None)
        values = pd.DataFrame(values).set_index(index) if index else None
    if not isinstance(values, pd.DataFrame):
        raise TypeError(f"its {key} is not a table")
    check_columns_complete(element, values, key)
    return add_labels(values.loc[:, ~values.columns.duplicated()], labels_beside(element))


def check_columns_complete(table: Group, frame: pd.DataFrame, key: str) -> None:
    """Raise ValueError if a column of a table has not one value for each row; pandas repeats a single value."""
    for name in frame.columns:
        column = table[name]
        parts = [part for part in ("codes", "values") if hasattr(column, "keys") and part in column]
        values = column[parts[0]] if parts else column
        if values.shape[:1] != (len(frame),):
            raise ValueError(f"its {key} has {values.shape[0]} values of {name} for {len(frame)} rows")


def read(element: Any) -> Any:
    """Read an element of AnnData, without the warnings that its format is old."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", anndata.OldFormatWarning)
        return anndata.io.read_elem(element)


def decode(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A column of an old table: bytes become text."""
    if values.dtype.kind not in "SO":
        return values
    return np.array([value.decode() if isinstance(value, bytes) else value for value in values], dtype=object)


def labels_in_uns(store: Group) -> dict[str, Any]:
    """The labels of factors as anndata kept them before version 0.7, for obs and var alike: `uns/NAME_categories`."""
    end = "_categories"
    uns = store.get("uns", {})
    return {name.removesuffix(end): read(uns[name]) for name in uns if name.endswith(end)}


def labels_beside(table: Group) -> dict[str, Any]:
    """The labels of factors that lie in a table, as anndata 0.7 and SeuratDisk keep them: `__categories/NAME`."""
    labels = table.get("__categories", {})
    return {name: read(labels[name]) for name in labels}


def add_labels(frame: pd.DataFrame, labels: dict[str, Any], *, all_fit: bool = True) -> pd.DataFrame:
    """Replace the codes in a table by labels. A negative code is a missing value.

    A column that holds labels already is left as it is (anndata 0.7 links them). all_fit: raise ValueError if a code
    has no label; otherwise such a column is left as it is, because labels in uns can belong to the other table.
    """
    for name in frame.columns.intersection(list(labels)):
        codes, words = frame[name].to_numpy(), np.atleast_1d(labels[name])
        if words.ndim != 1 or not np.issubdtype(codes.dtype, np.integer):
            continue
        if codes.max(initial=-1) < len(words):
            # The last of the words, which -1 takes, is a missing value.
            values = np.array([*words, None], dtype=object)[codes.clip(-1).astype(np.intp)]
            frame = frame.assign(**{name: pd.Categorical(values)})
        elif all_fit:
            raise ValueError(f"its column {name!r} has codes up to {codes.max()}, but only {len(words)} labels")
    return frame
