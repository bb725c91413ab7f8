"""What the findings on a signature say, in sentences that open a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sigdb.errors import listed
from sigdb.findings.comparability import RAW, warnings_of
from sigdb.text import count, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from sigdb.answers import Answer
    from sigdb.findings.compare import Comparison
    from sigdb.findings.hits import CutOff, Hits
    from sigdb.findings.nulls import Null

__all__ = [
    "cautions_of",
    "comparison_sentence",
    "coverage_sentence",
    "groups_sentence",
    "null_sentence",
    "samples_sentence",
]

# Groups and comparisons that a sentence names.
NAMED = 3
SIGNIFICANT = 0.05
# A study that measured a smaller part of the genes is named.
HALF = 0.5


def groups_sentence(scores: Answer, min_cells: int, rule: CutOff) -> str:
    """The groups of cells in which the genes score highest, beside what the rule of hits compares them with."""
    compared = {"controls": "matched control genes", "cells": "in the mean of these cells"}[rule.against]
    rows = [row for row in scores.table.to_pylist() if row["z"] is not None]
    if not rows:
        others = "control genes" if rule.against == "controls" else "other cells"
        return f"No group of {min_cells} cells or more has scores that could be compared with {others}."
    if rows[0]["z"] <= 0:
        best = describe_cells(rows[0])
        return f"In no group of cells do the genes score higher than {compared}. The highest is {best}."
    text = f"The genes score highest in {join_words([describe_cells(row) for row in rows[:NAMED] if row['z'] > 0])}"
    if rule.against == "cells":
        return f"{text}."
    expected = 100 - rule.parameters["percentile"]
    return f"{text}; random genes have a mean z of 0, and {expected:g}% hits."


def describe_cells(row: Mapping[str, Any]) -> str:
    """A group of cells with its label, z, hit rate and size."""
    cell_type, label = row["cell_type"] or "cells without a type", row["label"]
    numbers = [f"mean z {row['z']:.2g}"]
    if row["hit_rate"] is not None:
        numbers.append(f"{percent(row['hit_rate'])} of {count(row['n_cells'], 'cell')} are hits")
    label = "" if label in (None, row["cell_type"]) else f"{label}; "
    return f"{cell_type} ({label}{', '.join(numbers)})"


def samples_sentence(found: Hits, min_cells: int, min_samples: int) -> str:
    """The groups of samples with the most and the fewest hits."""
    rows = [row for row in found.table.to_pylist() if row["mean_rate"] is not None]
    if not rows:
        needed = f"{count(min_samples, 'sample')} of {count(min_cells, 'cell')} or more"
        return f"By {found.by}, no group can be ranked: none has {needed}."
    words = [describe_samples(row) for row in rows]
    if len(rows) == 1:
        return f"By {found.by}, only one group has enough samples to be ranked: {words[0]}."
    return (
        f"By {found.by}, the share of hits is highest in {words[0]} and lowest in {words[-1]}, of {len(rows)} groups."
    )


def describe_samples(row: Mapping[str, Any]) -> str:
    """A group of samples with its hit rate and size."""
    if row["n_samples"] == 1:
        return f"{row['label']} ({percent(row['mean_rate'])} of the cells are hits; 1 sample)"
    share = f"on average, {percent(row['mean_rate'])} of a sample's cells are hits"
    return f"{row['label']} ({share}; {row['n_samples']:,} samples)"


def comparison_sentence(found: Comparison | None, by: str) -> str:
    """What the tests between groups of donors say, with q."""
    if found is None:
        return "No groups of donors were tested against each other, so a difference between groups may be chance."
    tested = sorted(
        (row for row in found.findings.to_pylist() if row["q_value"] is not None), key=lambda row: row["q_value"]
    )
    if not tested:
        reasons = listed(sorted({note for note in found.column("note") if note}), NAMED) or "no units on both sides"
        return f"No comparison of {by} with {found.reference} could be tested: {reasons}."
    passed = [row for row in tested if row["q_value"] < SIGNIFICANT]
    subject = f"{len(passed) or 'None'} of {count(len(tested), 'comparison')} of donors with {found.reference}"
    verb = "have" if len(passed) > 1 else "has"
    if not passed:
        return f"{subject} {verb} q < {SIGNIFICANT}. The smallest q: {describe_test(tested[0])}."
    more = f" and {len(passed) - NAMED} more" if len(passed) > NAMED else ""
    return f"{subject} {verb} q < {SIGNIFICANT}: {'; '.join(map(describe_test, passed[:NAMED]))}{more}."


def describe_test(row: Mapping[str, Any]) -> str:
    """A tested comparison with its direction, effect, q and donors."""
    where = f" in {row['within']}" if row["within"] else ""
    side = "higher" if row["difference"] > 0 else "lower"
    effect = "" if row["hedges_g"] is None else f"g = {row['hedges_g']:.2g}, "
    return f"{row['group']} is {side}{where} ({effect}q = {row['q_value']:.2g}, {count(row['n_donors'], 'donor')})"


def null_sentence(found: Null) -> str:
    """How many groups score higher than random genes with similar attributions."""
    tested = [row["q_value"] for row in found.table.to_pylist() if row["q_value"] is not None]
    passed = sum(q < SIGNIFICANT for q in tested)
    verb = "scores" if passed == 1 else "score"
    groups = f"{passed or 'None'} of {count(len(tested), 'group')} {verb}"
    return f"{groups} higher than random genes with similar attributions in the same study (q < {SIGNIFICANT})."


def coverage_sentence(coverage: pa.Table, missing: pa.Table) -> str:
    """How many genes of the signature the model knows and the studies measured, and which it does not know."""
    rows = coverage.to_pylist()
    unknown = [row["gene"] for row in missing.to_pylist() if row["symbol"] is None]
    n_genes, n_asked = rows[0]["n_genes"], rows[0]["n_asked"]
    known = f"The model knows {'all' if n_genes == n_asked else f'{n_genes} of'} {count(n_asked, 'gene')}"
    known = "The model knows the gene" if n_genes == n_asked == 1 else known
    known += f" (not {listed(unknown, NAMED + 2)})" if unknown else ""
    least, most = (pick(row["n_measured"] for row in rows) for pick in (min, max))
    if least == n_genes:
        return f"{known}, and every study measured {'it' if n_genes == 1 else 'them all'}."
    text = f"{known}, and the studies measured {least if least == most else f'{least} to {most}'} of these."
    few = [row["study"] for row in rows if row["n_measured"] < HALF * n_genes]
    return f"{text} Fewer than half were measured in {listed(few)}." if few else text


def cautions_of(found: Sequence[Answer]) -> list[str]:
    """The warnings of the first finding whose groups differ in depth or in coverage."""
    return next(filter(None, ([note for note in warnings_of(each) if note != RAW] for each in found)), [])


def join_words(words: Sequence[str]) -> str:
    """A list in words: A, B and C."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
