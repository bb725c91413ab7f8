"""Findings of any size and with any values, made without an atlas: what charts must be able to draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sigdb.answers import Answer
from sigdb.findings import plots
from sigdb.findings.compare import SCHEMA, UNITS, Comparison
from sigdb.findings.gene_compare import GeneComparison, GeneStudy
from sigdb.findings.hits import GROUPS, Hits
from sigdb.findings.leading import LeadingGenes
from sigdb.findings.nulls import Null

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SQL = "SELECT 1"
P_VALUES = {"q_value": 20, "p_value": 21, "p_two_sided": 22}


@dataclass(frozen=True)
class Case:
    """How many groups a finding has, what their names end with, and values that replace the first ones."""

    n: int = 5
    suffix: str = ""
    odd: tuple[float | None, ...] = ()

    def name(self, number: int, what: str = "group") -> str:
        """The name of a group."""
        return f"{what} {number}{self.suffix}"

    def numbers(self, seed: int, size: int | None = None) -> list[float | None]:
        """Seeded numbers between -1 and 4, the odd ones first."""
        size = self.n if size is None else size
        values = np.random.default_rng(seed).uniform(-1, 4, size).tolist()
        return [*self.odd[:size], *values[len(self.odd[:size]) :]]


def hits_of(case: Case) -> Hits:
    """Hits with six samples in every second group, and one in the others."""
    rates, means = iter(case.numbers(1, 7 * case.n)), case.numbers(2)
    samples = [
        {"study": case.name(0, "study"), "sample": case.name(s, "sample"), "n_cells": 10 ** (s % 5), "n_hits": 1}
        | {"hit_rate": clip(next(rates)), "label": case.name(g), "left_out": None}
        | {"n_samples": 6 if g % 2 else 1, "mean_rate": clip(means[g])}
        for g in range(case.n)
        for s in range(6 if g % 2 else 1)
    ]
    groups = [
        {"label": case.name(g), "n_samples": 6 if g % 2 else 1, "mean_rate": clip(rate)} for g, rate in enumerate(means)
    ]
    schema = pa.schema(
        [(name, pa.string()) for name in ("study", "sample", "label", "left_out")]
        + [(name, pa.int64()) for name in ("n_cells", "n_hits", "n_samples")]
        + [(name, pa.float64()) for name in ("hit_rate", "mean_rate")]
    )
    return Hits(
        table=pa.Table.from_pylist(groups, schema=GROUPS),
        sql=SQL,
        all_samples=pa.Table.from_pylist(samples, schema=schema),
        by="disease",
        rule="above the 99th percentile",
        against="controls",
    )


def clip(value: float | None) -> float | None:
    """A number as a rate from 0 to 1; NaN, infinity and None stay."""
    return value if value is None or not np.isfinite(value) else min(max(value, 0.0), 1.0)


def answer(case: Case, columns: dict[str, Sequence[Any]], kind: type[Answer] = Answer) -> Any:
    """A finding with one row per group; columns of numbers are named by a seed."""
    return kind(pa.table({name: pa.array(values) for name, values in columns.items()}), SQL)


def cube_columns(case: Case) -> dict[str, pa.Array]:
    """The columns that name a group of the cube."""
    names = {
        "study": [case.name(i % 7, "study") for i in range(case.n)],
        "tissue": [None if i % 3 else case.name(i % 2, "tissue") for i in range(case.n)],
        "disease": [case.name(i % 4, "disease") for i in range(case.n)],
        "cell_type": [None if i == 1 else case.name(i, "type") for i in range(case.n)],
    }
    return {name: pa.array(values, pa.string()) for name, values in names.items()} | sizes(case)


def sizes(case: Case) -> dict[str, pa.Array]:
    """Numbers of cells, samples and genes. The first group measured no gene, the second one few."""
    few = [0, 3, *([10] * case.n)][: case.n]
    names = {"n_cells": [10**9, *range(1, case.n)][: case.n], "n_samples": [1] * case.n, "n_genes": [10] * case.n}
    names |= {"least_measured": few, "n_measured": few}
    return {name: pa.array(values, pa.int64()) for name, values in names.items()}


def floats(values: Sequence[float | None]) -> pa.Array:
    """Numbers as a column."""
    return pa.array(values, pa.float64(), from_pandas=False)


def group_scores_of(case: Case) -> Answer:
    """The result of `sigdb.group_scores`: as many labels as cell types."""
    columns = cube_columns(case)
    columns |= {"label": columns["disease"] if case.n < 50 else columns["cell_type"], "z": floats(case.numbers(3))}
    columns |= {"z_se": floats(case.numbers(28)), "n_units": pa.array([i % 4 for i in range(case.n)], pa.int64())}
    columns |= {"n_donors": columns["n_units"], "median_detected": floats(case.numbers(31))}
    return answer(case, {**columns, "score": floats(case.numbers(4)), "median_counts": floats(case.numbers(5))})


def top_genes_of(case: Case) -> Answer:
    """The result of `sigdb.top_genes`: the first gene was measured nowhere."""
    columns = {
        "gene": pa.array([case.name(i, "gene") for i in range(case.n)], pa.string()),
        "score": floats(case.numbers(29)),
        "fraction_nonzero": floats([clip(value) for value in case.numbers(30)]),
        "n_cells": pa.array([10] * case.n, pa.int64()),
        "n_measured": pa.array([0, *([10] * case.n)][: case.n], pa.int64()),
        "rank": pa.array(range(1, case.n + 1), pa.int64()),
    }
    return answer(case, columns)


def score_bins_of(case: Case) -> Answer:
    """The result of `sigdb.score_bins`: four bins a group, the last one with cells above it."""
    mean, low = case.numbers(6), case.numbers(7, 4 * case.n)
    rows = [
        {"label": None if g == 1 else case.name(g), "n_cells": 10, "mean": mean[g], "median": mean[g]}
        | {"low": low[4 * g + b], "high": 4.0 + b, "n": b + 1, "n_above": int(b == 3)}
        for g in range(case.n)
        for b in range(4)
    ]
    schema = pa.schema(
        [("label", pa.string())]
        + [(name, pa.float64()) for name in ("mean", "median", "low", "high")]
        + [(name, pa.int64()) for name in ("n_cells", "n", "n_above")]
    )
    return Answer(pa.Table.from_pylist(rows, schema=schema), SQL)


def embedding_of(case: Case) -> Answer:
    """The result of `sigdb.embedding`: studies of 20 cells or squares (2 if there are many), some without a type."""
    size = 20 if case.n < 100 else 2
    n = size * case.n
    x, y, score = (case.numbers(seed, n) for seed in (8, 9, 10))
    binned = [bool(i // size % 2) for i in range(n)]
    columns = {
        "study": pa.array([case.name(i // size, "study") for i in range(n)], pa.string()),
        "is_binned": pa.array(binned, pa.bool_()),
        "x_low": floats(x),
        "y_low": floats(y),
        "x_high": floats([value if value is None else value + 0.2 for value in x]),
        "y_high": floats([value if value is None else value + 0.2 for value in y]),
        "n": pa.array([1] * n, pa.int64()),
        "cell_type": pa.array([None if i % 20 == 3 else case.name(i % 5, "type") for i in range(n)], pa.string()),
        "score": floats(score),
    }
    return Answer(pa.table(columns), SQL)


def gene_dots_of(case: Case, n_genes: int = 4) -> Answer:
    """The result of `sigdb.gene_dots`."""
    n = case.n * n_genes
    columns = {
        "label": pa.array([case.name(i // n_genes) for i in range(n)], pa.string()),
        "n_cells": pa.array([5] * n, pa.int64()),
        "gene": pa.array([case.name(i % n_genes, "gene") for i in range(n)], pa.string()),
        "score": floats([value if value is None else abs(value) for value in case.numbers(11, n)]),
        "fraction_nonzero": floats([clip(value) for value in case.numbers(12, n)]),
        "n_cells_measured": pa.array([0 if i % n_genes == 0 else 5 for i in range(n)], pa.int64()),
    }
    return Answer(pa.table(columns), SQL)


def leading_genes_of(case: Case, n_genes: int = 3) -> LeadingGenes:
    """The result of `sigdb.leading_genes`: the groups have different genes."""
    groups = pa.table(cube_columns(case)).to_pylist()
    values = iter(case.numbers(13, case.n * n_genes))
    score = case.numbers(14)
    rows = [
        {
            **row,
            "gene": case.name(g * n_genes + k, "gene"),
            "contribution": (value := next(values)),
            "share": clip(value),
        }
        | {"rank": k + 1, "score": score[g], "score_without": 1.0}
        for g, row in enumerate(groups)
        for k in range(n_genes)
    ]
    extra = [(name, pa.float64()) for name in ("contribution", "share", "score", "score_without")]
    schema = pa.schema([*pa.table(cube_columns(case)).schema, ("gene", pa.string()), ("rank", pa.int64()), *extra])
    found = {"study": [case.name(0, "study")] * 2, "gene": [case.name(3, "gene"), case.name(4, "gene")]}
    return LeadingGenes(table=pa.Table.from_pylist(rows, schema=schema), sql=SQL, not_measured=pa.table(found))


def null_of(case: Case) -> Null:
    """The result of `sigdb.matched_null`."""
    seeds = {"score": 15, "z": 16, "null_low": 17, "null_median": 18, "null_high": 19}
    columns = cube_columns(case) | {name: floats(case.numbers(seed)) for name, seed in seeds.items()}
    columns |= {name: floats([clip(p) for p in case.numbers(seed)]) for name, seed in P_VALUES.items()}
    columns |= {"n_controls": pa.array([1000] * case.n, pa.int64())}
    return answer(case, columns, Null)


def comparison_of(case: Case) -> Comparison:
    """The result of `sigdb.compare`: pairs of three donors in every group; every fourth row was not tested."""
    effect, p = case.numbers(23), case.numbers(24)
    rows, units = [], []
    for i in range(case.n):
        name = {"signature": "genes", "within": case.name(i, "type"), "study": case.name(0, "study")}
        tested = i % 4 != 3
        rows.append(
            {**name, "group": case.name(0), "reference": case.name(1), "is_finding": True, "n_pairs": 3}
            | {"n_group": 3, "n_reference": 3, "n_donors": 3, "test": "paired t" if tested else "none"}
            | {"n_cells_group": 30, "n_cells_reference": 30, "note": None if tested else "fewer than 3 units"}
            | dict.fromkeys(("hedges_g", "difference"), effect[i] if tested else None)
            | dict.fromkeys(("g_low", "difference_low"), -2.0 if tested else None)
            | dict.fromkeys(("g_high", "difference_high"), 500.0 if tested else None)
            | dict.fromkeys(("p_value", "q_value"), clip(p[i]) if tested else None)
        )
        units += [
            {**name, "group": case.name(side), "unit": f"d{d}", "pair": case.name(d, "donor"), "n_cells": 10}
            | {"value": value}
            for (side, d), value in zip(
                [(side, d) for side in range(2) for d in range(3)], case.numbers(25 + i, 6), strict=True
            )
        ]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    compared = pa.Table.from_pylist(units, schema=UNITS)
    found = {"genes": Answer(table, SQL)}
    return Comparison(
        table=table, sql=SQL, units=found, left_out={}, compared=compared, reference=case.name(1), of="score"
    )


def gene_comparison_of(case: Case) -> GeneComparison:
    """The result of `sigdb.gene_compare`: the first genes have q < 0.05."""
    difference, p = case.numbers(26), case.numbers(27)
    columns = {
        "gene": pa.array([case.name(i, "gene") for i in range(case.n)], pa.string()),
        "study": pa.array([case.name(0, "study")] * case.n, pa.string()),
        "difference": floats(difference),
        "p_value": floats([clip(value) if i < len(case.odd) else 10 ** -(9 * i / case.n) for i, value in enumerate(p)]),
        "q_value": floats([0.01 if i > 0.7 * case.n else 0.5 for i in range(case.n)]),
        "is_finding": pa.array([True] * case.n, pa.bool_()),
    }
    study = GeneStudy(case.name(0, "study"), "paired t", 3, 3, 0, 60, 0)
    return GeneComparison(
        table=pa.table(columns), sql=SQL, studies=(study,), group=case.name(0), reference=case.name(1), left_out={}
    )


CHARTS: dict[str, tuple[Callable[[Any], Any], Callable[[Case], Any]]] = {
    "hit_rates": (plots.hit_rates, hits_of),
    "heat_map": (plots.heat_map, group_scores_of),
    "intervals": (plots.intervals, group_scores_of),
    "top_genes": (plots.top_genes, top_genes_of),
    "distributions": (plots.distributions, score_bins_of),
    "embedding": (plots.embedding, embedding_of),
    "dots": (plots.dots, gene_dots_of),
    "contributions": (plots.contributions, leading_genes_of),
    "null_scores": (plots.null_scores, null_of),
    "effects": (plots.effects, comparison_of),
    "volcano": (plots.volcano, gene_comparison_of),
}
ODD = (None, float("nan"), float("inf"), float("-inf"), 1e300, -1e300, 0.0)
LONG = " </script><script>document.title='owned'</script> " + "x" * 150
CASES = {
    "few": Case(),
    "one": Case(1),
    "none": Case(0),
    "300": Case(300),
    "2000": Case(2000),
    "odd": Case(12, odd=ODD),
    "only_odd": Case(3, odd=ODD[:4]),
    "long": Case(12, suffix=LONG),
}


def draw(chart: str, case: str) -> Any:
    """A chart of a made finding."""
    plot, make = CHARTS[chart]
    return plot(make(CASES[case]))
