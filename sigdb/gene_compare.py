"""Which genes' attribution differs between two groups of donors: every gene at once, from the cube."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from sigdb.compare import Design, Unit, check_columns, grouped, partners, usable
from sigdb.errors import QueryError, listed
from sigdb.queries import Answer, ask, shipped
from sigdb.statistics import benjamini_hochberg, every_gene

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb
    from numpy.typing import NDArray

__all__ = ["GeneComparison", "gene_compare"]

UNSCORED = {"score": 0.0, "n_genes": 0, "n_measured": 0}


@dataclass(frozen=True)
class GeneComparison:
    """`table`: a row a gene, smallest p first: means, difference (group minus reference) and its 95% interval, p, q.

    Attributions are thousandths of a cell. `n_untested`: genes that too few cells have.
    """

    table: pa.Table
    answer: Answer
    test: str
    study: str
    group: str
    reference: str
    n_group: int
    n_reference: int
    n_cells: int
    n_untested: int
    left_out: dict[str, int]


def gene_compare(
    con: duckdb.DuckDBPyConnection,
    *,
    by: str,
    reference: str,
    group: str | None = None,
    study: str | None = None,
    unit: str = "donor",
    paired_by: str | None = None,
    cells: str | None = None,
    min_cells: int = 10,
    min_units: int = 3,
    min_nonzero: int = 10,
    run: str | int | None = None,
    signed: bool = False,
) -> GeneComparison:
    """Compare the mean attribution of every gene between two groups of units of one study: Welch's t, or a paired t.

    by, reference, unit, paired_by, cells, min_cells, min_units: as for `compare`. group: what is compared with the
    reference, if there is more than one other; study: the study, if more than one has both. Genes that are not 0 in
    fewer than `min_nonzero` cells are not tested. q values are Benjamini and Hochberg's over the genes tested.
    An association in these donors of what a model attributes, not of expression, and no cause. Raises QueryError.
    """
    design = Design(by, reference, unit, None, paired_by, (), min_cells, min_units)
    check_columns(con, design)
    query = grouped(shipped("unit_genes"), design, cells).group_by(exp.column("gene", table="u"))
    answer = ask(con, query, {"run": run, "signed": signed})
    left_out: Counter[str] = Counter()
    sizes = answer.table.filter(pc.is_null(answer.table["gene"])).to_pylist()
    units = list(usable([{**row, **UNSCORED} for row in sizes], design, {}, left_out))
    study, group = chosen(units, design, study, group)
    sides = [[u for u in units if u.study == study and u.group == side] for side in (group, reference)]
    pairs = partners(sides[0], sides[1], design)
    if pairs:
        sides = [[u for u in side if u.pair in pairs] for side in sides]
    fewest, needed = min(len(pairs) if pairs else len(sides[0]), len(sides[1])), max(min_units, 2)
    if fewest < needed:
        raise QueryError(f"{study} has {fewest} {'pairs' if pairs else 'units'} to compare; {needed} are needed.")
    genes, matrices, nonzero = dense(answer.table, sides, pairs)
    tested = nonzero >= min_nonzero
    found = every_gene(matrices[0][:, tested], matrices[1][:, tested], paired=bool(pairs))
    numbers = {name: pa.array(values, from_pandas=True) for name, values in found.items()}
    table = pa.table({"gene": pa.array(genes[tested]), "n_nonzero": pa.array(nonzero[tested]), **numbers})
    table = table.append_column("q_value", pa.array(benjamini_hochberg(table["p_value"].to_pylist()), pa.float64()))
    table = table.sort_by([("p_value", "ascending"), ("gene", "ascending")])
    return GeneComparison(
        table, answer, "paired t" if pairs else "Welch t", study,
        group, reference, len(sides[0]), len(sides[1]), sum(u.n_cells for side in sides for u in side),
        int((~tested).sum()), dict(left_out),
    )  # fmt: skip


def chosen(units: Sequence[Unit], design: Design, study: str | None, group: str | None) -> tuple[str, str]:
    """The one study and group that are compared with the reference; QueryError if it is none, or not clear which."""
    groups: dict[str, set[str]] = {}
    for unit in units:
        groups.setdefault(unit.study, set()).add(unit.group)
    wanted = sorted(
        (name, other)
        for name, there in groups.items()
        if design.reference in there and study in (None, name)
        for other in there - {design.reference}
        if group in (None, other)
    )
    if len(wanted) == 1:
        return wanted[0]
    if wanted:
        shown = listed(f"{other} in {name}" for name, other in wanted)
        raise QueryError(
            f"{len(wanted)} groups can be compared with {design.reference}: {shown}. Choose group and study."
        )
    there = "; ".join(f"{name}: {listed(sorted(each), 5)}" for name, each in sorted(groups.items()))
    raise QueryError(
        f"No study has units of {design.reference!r} and of {group or 'another group'}. There are: {there}."
    )


def dense(
    table: pa.Table, sides: Sequence[Sequence[Unit]], pairs: Sequence[str]
) -> tuple[NDArray[Any], list[NDArray[np.float64]], NDArray[np.int64]]:
    """Genes; per side the mean attributions (units or pairs, genes), in thousandths; cells in which a gene is not 0."""
    found = table.filter(pc.is_valid(table["gene"]))
    genes, columns = np.unique(found["gene"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    places = {(u.study, u.group, u.unit): (side, row) for side, each in enumerate(sides) for row, u in enumerate(each)}
    keys = zip(*(found[name].to_pylist() for name in ("study", "group", "unit")), strict=True)
    where = np.array([places.get((study, str(group), str(unit)), (-1, -1)) for study, group, unit in keys]).reshape(
        -1, 2
    )
    totals, counts = found["total"].to_numpy(), found["n_nonzero"].to_numpy()
    nonzero = np.zeros(len(genes), np.int64)
    matrices = []
    for side, each in enumerate(sides):
        own = where[:, 0] == side
        matrix = np.zeros((len(each), len(genes)))
        matrix[where[own, 1], columns[own]] = totals[own]
        np.add.at(nonzero, columns[own], counts[own])
        matrix /= np.array([unit.n_cells for unit in each])[:, None]
        if pairs:
            matrix = np.array([matrix[[unit.pair == pair for unit in each]].mean(axis=0) for pair in pairs])
        matrices.append(matrix)
    return genes, matrices, nonzero
