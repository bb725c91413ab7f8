"""Which genes' attribution differs between two groups of donors: every gene at once, from the cube."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from sigdb.errors import QueryError, listed
from sigdb.findings.compare import Design, Unit, check_columns, grouped, partners, usable
from sigdb.findings.statistics import Effect, benjamini_hochberg, combined, every_gene
from sigdb.statements import Answer, ask, parse_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb
    from numpy.typing import NDArray

__all__ = ["GeneComparison", "GeneStudy", "gene_compare"]

UNSCORED = {"score": 0.0, "n_genes": 0, "n_measured": 0}


COLUMNS = pa.schema(
    [
        ("gene", pa.string()), ("study", pa.string()), ("n_nonzero", pa.int64()), ("mean_group", pa.float64()),
        ("mean_reference", pa.float64()), ("difference", pa.float64()), ("difference_se", pa.float64()),
        ("difference_low", pa.float64()), ("difference_high", pa.float64()), ("hedges_g", pa.float64()),
        ("g_se", pa.float64()), ("p_value", pa.float64()), ("i2", pa.float64()), ("n_studies", pa.int64()),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class GeneStudy:
    """One study of a comparison: its test, units and cells. `n_untested`: genes that too few cells have."""

    study: str
    test: str
    n_group: int
    n_reference: int
    n_cells: int
    n_untested: int


@dataclass(frozen=True)
class GeneComparison:
    """`table`: a row a gene and study, and first, where two or more tested it, one of all together (study NULL).

    Within a study smallest p first: means, difference (group minus reference, thousandths of a cell) with its 95%
    interval, Hedges' g, p, q. `left_out`: how many units were not used, by reason.
    """

    table: pa.Table
    answer: Answer
    studies: tuple[GeneStudy, ...]
    group: str
    reference: str
    left_out: dict[str, int]

    @property
    def findings(self) -> pa.Table:
        """The rows to look at: of all studies together, or of the only one."""
        return self.table.filter(pc.is_null(self.table["study"])) if len(self.studies) > 1 else self.table


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
    """Compare the mean attribution of every gene between two groups of units: Welch's t, or a paired t, in each study.

    by, reference, unit, paired_by, cells, min_cells, min_units: as for `compare`. group: what is compared with the
    reference, if there is more than one other; study: only this study. Studies are combined as `compare` combines
    them: random-effects meta-analysis of Hedges' g. Genes that are not 0 in fewer than `min_nonzero` cells of a study,
    as those that it did not measure, are not tested there. q values are Benjamini and Hochberg's over all rows.
    An association in these donors of what a model attributes, not of expression, and no cause. Raises QueryError.
    """
    design = Design(by, reference, unit, None, paired_by, (), min_cells, min_units)
    check_columns(con, design)
    query = grouped(parse_statement("findings/unit_genes"), design, cells).group_by(exp.column("gene", table="u"))
    answer = ask(con, query, {"run": run, "signed": signed})
    left_out: Counter[str] = Counter()
    sizes = answer.table.filter(pc.is_null(answer.table["gene"])).to_pylist()
    units = list(usable([{**row, **UNSCORED} for row in sizes], design, {}, left_out))
    group, studies = chosen(units, design, study, group)
    parts, compared, too_small = [], [], {}
    for name in studies:
        sides = [[u for u in units if u.study == name and u.group == side] for side in (group, reference)]
        pairs = partners(sides[0], sides[1], design)
        if pairs:
            sides = [[u for u in side if u.pair in pairs] for side in sides]
        fewest, needed = min(len(pairs) if pairs else len(sides[0]), len(sides[1])), max(min_units, 2)
        if fewest < needed:
            too_small[name] = f"{name} has {fewest} {'pairs' if pairs else 'units'}"
            left_out[f"in {name}, which has too few"] = sum(map(len, sides))
            continue
        part, described = one_study(answer.table, name, sides, pairs, min_nonzero)
        parts.append(part)
        compared.append(described)
    if not parts:
        raise QueryError(f"{listed(too_small.values())} to compare; {max(min_units, 2)} are needed.")
    table = pa.concat_tables([sorted_by_p(all_studies(parts)), *map(sorted_by_p, parts)])
    table = table.append_column("q_value", pa.array(benjamini_hochberg(table["p_value"].to_pylist()), pa.float64()))
    return GeneComparison(table, answer, tuple(compared), group, reference, dict(left_out))


def chosen(units: Sequence[Unit], design: Design, study: str | None, group: str | None) -> tuple[str, list[str]]:
    """The group that is compared with the reference, and the studies that have both; QueryError if there is not one."""
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
    others = {other for _, other in wanted}
    if len(others) == 1:
        return others.pop(), [name for name, _ in wanted]
    if others:
        shown = listed(f"{other} in {name}" for name, other in wanted)
        raise QueryError(f"{len(others)} groups can be compared with {design.reference}: {shown}. Choose a group.")
    there = "; ".join(f"{name}: {listed(sorted(each), 5)}" for name, each in sorted(groups.items()))
    raise QueryError(
        f"No study has units of {design.reference!r} and of {group or 'another group'}. There are: {there}."
    )


def one_study(
    table: pa.Table, study: str, sides: Sequence[Sequence[Unit]], pairs: Sequence[str], min_nonzero: int
) -> tuple[pa.Table, GeneStudy]:
    """Compare the genes of one study; return a row a gene that was tested, and what they are made of."""
    genes, (group, reference), nonzero = dense(table, sides, pairs)
    tested = nonzero >= min_nonzero
    found = every_gene(group[:, tested], reference[:, tested], paired=bool(pairs))
    n = int(tested.sum())
    columns = {
        "gene": genes[tested], "study": [study] * n, "n_nonzero": nonzero[tested], "i2": [None] * n,
        "n_studies": [1] * n, **found,
    }  # fmt: skip
    arrays = [pa.array(columns[field.name], field.type, from_pandas=True) for field in COLUMNS]
    n_cells = sum(unit.n_cells for side in sides for unit in side)
    test = "paired t" if pairs else "Welch t"
    described = GeneStudy(study, test, len(sides[0]), len(sides[1]), n_cells, int((~tested).sum()))
    return pa.Table.from_arrays(arrays, schema=COLUMNS), described


def all_studies(parts: Sequence[pa.Table]) -> pa.Table:
    """A row for each gene that two or more studies tested: their random-effects meta-analysis."""
    genes: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for part in parts:
        for row in part.filter(pc.greater(part["g_se"], 0)).to_pylist():
            genes[row["gene"]].append(row)
    rows = []
    for gene, found in genes.items():
        if len(found) > 1:
            names = ("difference", "difference_se", "hedges_g", "g_se")
            whole = combined([Effect("one study", **{name: row[name] for name in names}) for row in found])
            rows.append({**asdict(whole), "gene": gene, "n_nonzero": sum(row["n_nonzero"] for row in found)})
    return pa.Table.from_pylist(rows, schema=COLUMNS)


def sorted_by_p(table: pa.Table) -> pa.Table:
    """The rows, smallest p first."""
    return table.sort_by([("p_value", "ascending"), ("gene", "ascending")])


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
