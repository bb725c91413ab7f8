"""Which genes' attribution differs between two groups of donors: every gene at once, from the cube."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from sigdb.answers import Answer, left_out_note
from sigdb.errors import QueryError, listed
from sigdb.findings.statistics import Effect, benjamini_hochberg, combine, compare_columns
from sigdb.findings.units import Design, Unit, check_design, comparable_units, group_by_unit, match_sides
from sigdb.statements import ask, parse_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb
    from numpy.typing import NDArray

__all__ = ["GeneComparison", "GeneStudy", "gene_compare"]

MEASURES = ("mean_group", "mean_reference", "difference", "difference_se", "difference_low", "difference_high")
SCHEMA = pa.schema(
    [
        ("gene", pa.string()),
        ("study", pa.string()),
        ("n_nonzero", pa.int64()),
        *((name, pa.float64()) for name in (*MEASURES, "hedges_g", "g_se", "p_value", "i2")),
        ("n_studies", pa.int64()),
    ]
)


@dataclass(frozen=True)
class GeneStudy:
    """One study of a gene comparison.

    Attributes
    ----------
    study : str
        Its name.
    test : str
        'Welch t' or 'paired t'.
    n_group, n_reference : int
        The number of units in the group and in the reference.
    n_cells : int
        The number of cells of these units.
    n_untested : int
        The number of genes that were not tested, because they are not 0 in too few cells.
    """

    study: str
    test: str
    n_group: int
    n_reference: int
    n_cells: int
    n_untested: int


@dataclass(frozen=True, kw_only=True)
class GeneComparison(Answer):
    """Differences of every gene between a group of donors and a reference: the result of `sigdb.gene_compare`.

    Attributes
    ----------
    table : pyarrow.Table
        One row per gene and study, the smallest p first. A gene that two or more studies tested also has a row for all
        studies together (study NULL); these rows come before the others. Columns: gene, study, n_nonzero (cells in
        which the gene is not 0), mean_group, mean_reference and their difference (in thousandths of a cell) with
        difference_se, difference_low and difference_high (95% interval), hedges_g, g_se, p_value, i2, n_studies,
        q_value.
    sql, notes
        As for `sigdb.Answer`. The SQL gives the sum of every gene in each unit.
    studies : tuple of GeneStudy
        The studies that were compared.
    group, reference : str
        The two groups.
    left_out : dict of str to int
        How many units were not compared, by reason.
    findings : pyarrow.Table
        The rows to look at first: for all studies together, or for the only study.
    """

    studies: tuple[GeneStudy, ...]
    group: str
    reference: str
    left_out: dict[str, int]

    @property
    def findings(self) -> pa.Table:
        """The rows to look at first: for all studies together, or for the only study."""
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
    """Compare the mean attribution of every gene between two groups of donors, study by study.

    The test is Welch's t test, or a paired t test. Studies are combined by a random-effects meta-analysis of Hedges' g,
    as in `sigdb.compare`. q values are adjusted by Benjamini and Hochberg's method over all rows. A difference is an
    association, in these donors, with what a model attributes. It is neither a difference in expression nor a cause.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A connection to an atlas.
    by, reference, unit, paired_by, cells, min_cells, min_units
        As for `sigdb.compare`.
    group : str, optional
        The value of `by` that is compared with the reference. Needed if there are several.
    study : str, optional
        Compare in this study only.
    min_nonzero : int
        A gene that is not 0 in fewer cells of a study is not tested there. This includes genes that the study did not
        measure.
    run, signed
        See `sigdb.ScoreOptions`.

    Returns
    -------
    GeneComparison
        One row per gene and study in `table`.

    Raises
    ------
    QueryError
        If the groups are not clear, if no study has enough units, or if donors have cells in both groups and
        `paired_by` is not given.
    MissingDependencyError
        If the extra `stats` is not installed.

    Examples
    --------
    >>> found = sigdb.gene_compare(
    ...     con, by="tissue", reference="normal adjacent", group="tumour", paired_by="donor", min_cells=3
    ... )
    >>> [(each.study, each.test, each.n_group) for each in found.studies]
    [('wu2020_tcell', 'paired t', 6)]
    """
    design = Design(by, reference, unit, None, paired_by, (), min_cells, min_units)
    check_design(con, design)
    query = group_by_unit(parse_statement("findings/unit_genes"), design, cells)
    found = ask(con, query.group_by(exp.column("gene", table="u")), {"run": run, "signed": signed})
    left_out: Counter[str] = Counter()
    sizes = found.table.filter(pc.is_null(found.table["gene"])).to_pylist()
    units = list(comparable_units(sizes, design, left_out))
    group, names = choose_group(units, design, study, group)
    parts, studies, too_small = [], [], []
    for name in names:
        both = [[unit for unit in units if (unit.study, unit.group) == (name, side)] for side in (group, reference)]
        pairs, *sides = match_sides(both[0], both[1], design)
        fewest = min(len(pairs) if pairs else len(sides[0]), len(sides[1]))
        if fewest < design.fewest:
            too_small.append(f"{name} has {fewest} {'pairs' if pairs else 'units'}")
            left_out[f"in {name}, which has too few"] = sum(map(len, sides))
            continue
        part, described = compare_in_study(found.table, name, sides, pairs, min_nonzero)
        parts.append(part)
        studies.append(described)
    if not parts:
        raise QueryError(f"{listed(too_small)} to compare; {design.fewest} are needed.")
    return GeneComparison(
        table=table_of(parts),
        sql=found.sql,
        notes=(*(describe_study(each, group, reference) for each in studies), *left_out_note("unit", left_out)),
        studies=tuple(studies),
        group=group,
        reference=reference,
        left_out=dict(left_out),
    )


def choose_group(units: Sequence[Unit], design: Design, study: str | None, group: str | None) -> tuple[str, list[str]]:
    """The group to compare with the reference, and the studies that have both; QueryError unless there is one group."""
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
        raise QueryError(
            f"{len(others)} groups can be compared with {design.reference}: {shown}. Choose one with `group`."
        )
    there = "; ".join(f"{name}: {listed(sorted(each), 5)}" for name, each in sorted(groups.items()))
    raise QueryError(
        f"No study has units of {design.reference!r} and of {group or 'another group'}. There are: {there or 'none'}."
    )


def compare_in_study(
    table: pa.Table, study: str, sides: Sequence[Sequence[Unit]], pairs: Sequence[str], min_nonzero: int
) -> tuple[pa.Table, GeneStudy]:
    """Compare the genes of one study. Returns one row per gene that was tested, and a description of the study."""
    genes, (group, reference), nonzero = gene_means(table, sides, pairs)
    tested = nonzero >= min_nonzero
    n_tested = int(tested.sum())
    columns = {
        "gene": genes[tested],
        "study": [study] * n_tested,
        "n_nonzero": nonzero[tested],
        "i2": [None] * n_tested,
        "n_studies": [1] * n_tested,
        **compare_columns(group[:, tested], reference[:, tested], paired=bool(pairs)),
    }
    arrays = [pa.array(columns[field.name], field.type, from_pandas=True) for field in SCHEMA]
    described = GeneStudy(
        study,
        test="paired t" if pairs else "Welch t",
        n_group=len(sides[0]),
        n_reference=len(sides[1]),
        n_cells=sum(unit.n_cells for side in sides for unit in side),
        n_untested=len(genes) - n_tested,
    )
    return pa.Table.from_arrays(arrays, schema=SCHEMA), described


def describe_study(each: GeneStudy, group: str, reference: str) -> str:
    """What was compared in a study, in words."""
    units = f"{each.n_group} units of {group}, {each.n_reference} of {reference}"
    return f"{each.study}: {each.test}, {units}; {each.n_untested} genes in too few cells."


def table_of(parts: Sequence[pa.Table]) -> pa.Table:
    """The rows of all studies together and of each study, smallest p first, with q values over all rows."""
    order = [("p_value", "ascending"), ("gene", "ascending")]
    table = pa.concat_tables([each.sort_by(order) for each in (combine_studies(parts), *parts)])
    return table.append_column("q_value", pa.array(benjamini_hochberg(table["p_value"].to_pylist()), pa.float64()))


def combine_studies(parts: Sequence[pa.Table]) -> pa.Table:
    """One row for each gene that two or more studies tested: their random-effects meta-analysis."""
    genes: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for part in parts:
        for row in part.filter(pc.greater(part["g_se"], 0)).to_pylist():
            genes[row["gene"]].append(row)
    rows = []
    for gene, found in genes.items():
        if len(found) > 1:
            names = ("difference", "difference_se", "hedges_g", "g_se")
            whole = combine([Effect("one study", **{name: row[name] for name in names}) for row in found])
            rows.append({**asdict(whole), "gene": gene, "n_nonzero": sum(row["n_nonzero"] for row in found)})
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def gene_means(
    table: pa.Table, sides: Sequence[Sequence[Unit]], pairs: Sequence[str]
) -> tuple[NDArray[Any], list[NDArray[np.float64]], NDArray[np.int64]]:
    """The genes, the mean attributions of each side, and the number of cells in which each gene is not 0.

    Means are in thousandths of a cell: (n_units or n_pairs, n_genes).
    """
    found = table.filter(pc.is_valid(table["gene"]))
    genes, columns = np.unique(found["gene"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    places = {(u.study, u.group, u.unit): (side, row) for side, each in enumerate(sides) for row, u in enumerate(each)}
    keys = zip(*(found[name].to_pylist() for name in ("study", "group", "unit")), strict=True)
    positions = [places.get((study, str(group), str(unit)), (-1, -1)) for study, group, unit in keys]
    where = np.array(positions).reshape(-1, 2)
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
