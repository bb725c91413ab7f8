"""The workflow of Gold et al.: filter cells, score them, call hits, rank groups of samples by their hit rates."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING, Unpack

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from sigdb.errors import QueryError
from sigdb.findings.columns import POPULATION, columns_of
from sigdb.scores.options import Options, score_parameters
from sigdb.statements import Answer, ask, parse_condition, parse_statement, replace_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

__all__ = ["Hits", "hits"]

GROUPS = pa.schema(
    {"label": pa.string(), "n_samples": pa.int64(), "mean_rate": pa.float64(), "median_rate": pa.float64()}
)


@dataclass(frozen=True)
class Hits:
    """Hit rates of samples. `answer` has one row a sample: its labels, n_cells, n_hits, hit_rate (of 1), coverage.

    `label` is the group it belongs to; `left_out` says why it is not part of the ranking, NULL if it is.
    """

    answer: Answer
    by: str
    rule: str

    @property
    def cutoff(self) -> float | None:
        """The score beyond which a cell is a hit; None if there is no sample."""
        return next(iter(self.answer.column("cutoff")), None)

    @property
    def samples(self) -> pa.Table:
        """The samples of the ranking, best group first."""
        return self.answer.table.filter(pc.is_null(self.answer.table["left_out"]))

    @property
    def groups(self) -> pa.Table:
        """One row a group: label, number of samples, mean and median of their hit rates; highest mean first."""
        rates = defaultdict(list)
        for row in self.samples.to_pylist():
            rates[str(row["label"])].append(row["hit_rate"])
        rows = [
            {"label": label, "n_samples": len(each), "mean_rate": fmean(each), "median_rate": median(each)}
            for label, each in rates.items()
        ]
        return pa.Table.from_pylist(rows, schema=GROUPS)

    @property
    def left_out(self) -> dict[str, int]:
        """How many samples are not part of the ranking, by reason."""
        return dict(Counter(reason for reason in self.answer.column("left_out") if reason is not None))


def hits(
    con: duckdb.DuckDBPyConnection,
    genes: str | Sequence[str],
    *,
    cells: str | None = None,
    by: str = "disease",
    percentile: float | None = None,
    quantile: float | None = None,
    cutoff: float | None = None,
    sd: float | None = None,
    below: bool = False,
    min_cells: int = 50,
    min_samples: int = 3,
    measured_only: bool = False,
    min_coverage: float = 0,
    **options: Unpack[Options],
) -> Hits:
    """Call hits in a population of cells, and rank groups of samples by the part of their cells that are hits.

    genes: a list of genes, or the name of a signature of the library. cells: a SQL condition on the view `cells`, which
    makes the population (default: every cell). by: a column of the view `samples`.
    A hit is strictly above (`below`: below) one of: a percentile of the population's scores (default: 95), the same as
    a quantile (0 to 1), a score (`cutoff`), or the mean plus `sd` standard deviations. The cut-off is that of the whole
    population; samples with fewer than `min_cells` cells in it are left out after, and then groups of fewer than
    `min_samples` samples. Other options are those of the macro `sample_hit_rates`. A rank is not a test: see `compare`.
    Raises QueryError for whatever cannot be asked so.
    """
    rules = {"percentile": percentile, "quantile": quantile, "cutoff": cutoff, "sd": sd}
    given = [name for name, value in rules.items() if value is not None]
    if len(given) > 1:
        raise QueryError(f"A hit has one cut-off; {len(given)} are given: {', '.join(given)}.")
    if quantile is not None and not 0 <= quantile <= 1:
        raise QueryError(f"quantile must be from 0 to 1, not {quantile}.")
    percentile = quantile * 100 if quantile is not None else 95 if not given else percentile
    parameters = score_parameters(con, genes, **options) | {
        "percentile": 95 if percentile is None else percentile, "cutoff": cutoff, "sd": sd, "below": below,
        "cells": POPULATION if cells else "sigdb_data.cell_data", "measured_only": measured_only,
        "min_coverage": min_coverage, "min_cells": min_cells, "min_samples": min_samples,
    }  # fmt: skip
    (label,) = columns_of(con, "samples", [by])
    answer = ask(con, hit_rates(label, cells), parameters)
    return Hits(answer, by, rule_in_words(percentile, cutoff, sd, below=below))


def hit_rates(by: str, cells: str | None) -> exp.Expression:
    """The statement: `findings/hit_rates` with its label, and the population as a CTE."""
    query = replace_columns(parse_statement("findings/hit_rates"), label_column=by)
    if cells:
        population = exp.select("cell_id").from_("cells").where(parse_condition(cells))
        query = query.with_(POPULATION, as_=population)
    return query


def rule_in_words(percentile: float | None, cutoff: float | None, sd: float | None, *, below: bool) -> str:
    """What a hit is."""
    side = "below" if below else "above"
    if cutoff is not None:
        return f"{side} a score of {cutoff:g}"
    if sd is not None:
        return f"{side} the mean plus {sd:g} standard deviations of the population's scores"
    return f"{side} the percentile {percentile:g} of the population's scores"
