"""Which genes' attribution differs between two groups of donors: every gene at once, from the cube."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from sigdb.answers import Answer
from sigdb.errors import QueryError, listed
from sigdb.findings.columns import where_cube
from sigdb.findings.comparability import RAW_GENES
from sigdb.findings.comparison_notes import ONE_MODEL_NOTE, depth_notes, units_left_out
from sigdb.findings.lost import check_chosen
from sigdb.findings.lost_units import advise_min_cells, check_groups
from sigdb.findings.statistics import Effect, benjamini_hochberg, combine
from sigdb.findings.testing import (
    ONE_MODEL,
    Sides,
    compare_studies,
    compare_study,
    count_donors,
    match_pairs,
    too_few,
)
from sigdb.findings.units import Design, Unit, check_design, comparable_units, group_by_unit, medians_of
from sigdb.statements import ask, check_numbers, parse_statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb
    from numpy.typing import NDArray

__all__ = ["GeneComparison", "GeneStudy", "gene_compare"]

MEASURES = ("mean_group", "mean_reference", "difference", "difference_se", "difference_low", "difference_high")
SCHEMA = pa.schema(
    [
        ("gene", pa.string()),
        ("study", pa.string()),
        ("test", pa.string()),
        ("n_nonzero", pa.int64()),
        *((name, pa.float64()) for name in (*MEASURES, "hedges_g", "g_se", "g_low", "g_high")),
        *((name, pa.float64()) for name in ("prediction_low", "prediction_high", "p_value", "i2")),
        ("n_studies", pa.int64()),
        ("is_finding", pa.bool_()),
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
        'Welch t', 'paired t', or 'linear model' if several samples come from one donor.
    n_group, n_reference : int
        The number of units in the group and in the reference.
    n_unpaired : int
        The number of other units, which have no partner. The paired test leaves them out; the model of all studies
        uses them.
    n_cells : int
        The number of cells of the units in the group and in the reference.
    n_untested : int
        The number of genes that were not tested, because they are not 0 in too few cells.
    """

    study: str
    test: str
    n_group: int
    n_reference: int
    n_unpaired: int
    n_cells: int
    n_untested: int


@dataclass(frozen=True)
class GenePart:
    """The genes of one study, sorted, with their values in each unit and the results of their test."""

    described: GeneStudy
    sides: Sides
    genes: NDArray[Any]
    nonzero: NDArray[np.int64]
    columns: dict[str, NDArray[np.float64]]

    def table(self, is_finding: Sequence[bool]) -> pa.Table:
        """One row per gene."""
        about = {"study": self.described.study, "test": self.described.test, "n_studies": 1}
        return gene_table(self.genes, self.columns, n_nonzero=self.nonzero, is_finding=is_finding, **about)


@dataclass(frozen=True, kw_only=True)
class GeneComparison(Answer):
    """Differences of every gene between a group of donors and a reference: the result of `sigdb.gene_compare`.

    Attributes
    ----------
    table : pyarrow.Table
        One row per gene and study, the smallest p first. A gene that two or more studies tested also has two rows with
        the study NULL: 'one model of all studies' and 'random effects', as for `sigdb.compare`. The findings come
        first. Columns: gene, study, test, n_nonzero (cells in which the gene is not 0), mean_group, mean_reference and
        their difference (in thousandths of a cell) with difference_se, difference_low and difference_high (95%
        interval), hedges_g with g_se, g_low and g_high, prediction_low and prediction_high, p_value, i2, n_studies,
        q_value, is_finding.
    sql, notes
        As for `sigdb.Answer`. The SQL gives the sum of every gene in each unit.
    studies : tuple of GeneStudy
        The studies that were compared.
    group, reference : str
        The two groups.
    left_out : dict of str to int
        How many units were not compared, by reason.
    findings : pyarrow.Table
        The rows to look at first, one per gene: all studies in one model, or the only study that tested the gene. Their
        q values are adjusted over these rows.
    """

    studies: tuple[GeneStudy, ...]
    group: str
    reference: str
    left_out: dict[str, int]

    @property
    def findings(self) -> pa.Table:
        """The rows to look at first, one per gene: all studies in one model, or the only study that tested the gene."""
        return self.table.filter(self.table["is_finding"])


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
    """Compare the mean attribution of every gene between two groups of donors, study by study and over all studies.

    The tests are those of `sigdb.compare`: Welch's t test or a paired t test in each study, one linear model of all
    units over the studies that tested the gene, and beside it a random-effects meta-analysis of Hedges' g. q values are
    adjusted by Benjamini and Hochberg's method over the findings, over the studies behind them, and over the
    meta-analyses. A difference is an association, in these donors, with what a model attributes. It is neither a
    difference in expression nor a cause.

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
    check_numbers({"min_nonzero": min_nonzero})
    query = group_by_unit(where_cube(parse_statement("findings/unit_genes"), cells), design)
    found = ask(con, query.group_by(exp.column("gene", table="u")), {"run": run, "signed": signed})
    sizes = found.table.filter(pc.is_null(found.table["gene"])).to_pylist()
    units, lost = comparable_units(sizes, design)
    check_chosen(con, sizes, cells)
    check_groups(units, lost, design, study, group)
    left_out = Counter(reason for _, reason in lost)
    group, names = choose_group(units, design, study, group)
    parts, too_small = [], []
    for name in names:
        both = [[unit for unit in units if (unit.study, unit.group) == (name, side)] for side in (group, reference)]
        part = compare_in_study(found.table, both, design, min_nonzero)
        if isinstance(part, str):
            too_small.append(f"{name} has {part}")
            left_out[f"in {name}, which has too few"] = sum(map(len, both))
        else:
            parts.append(part)
    if not parts:
        advice = advise_min_cells(units, lost, design, study, group)
        raise QueryError(f"{listed(too_small)} to compare; {design.fewest} are needed. {advice}".strip())
    studies = tuple(part.described for part in parts)
    about = [describe_study(each, group, reference) for each in studies]
    depths = [depth_of(part, group, reference) for part in parts]
    return GeneComparison(
        table=table_of(parts, design),
        sql=found.sql,
        notes=(
            *about,
            *([ONE_MODEL_NOTE] if len(parts) > 1 else []),
            *units_left_out(left_out),
            *depth_notes(depths, RAW_GENES),
        ),
        studies=studies,
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
    table: pa.Table, both: Sequence[Sequence[Unit]], design: Design, min_nonzero: int
) -> GenePart | str:
    """Compare the genes of one study that enough cells show; or say how few units it has to compare."""
    pairs = match_pairs(both[0], both[1], design)
    genes, (group, reference), nonzero = gene_means(table, both)
    shown = nonzero >= min_nonzero
    sides = Sides(both[0], both[1], pairs, (group[:, shown], reference[:, shown]))
    if too_few(sides, design):
        return describe_few(sides)
    tested, used = compare_study(sides, design), sides.tested_by(design)
    described = GeneStudy(
        both[0][0].study,
        test=tested.test,
        n_group=len(used.group),
        n_reference=len(used.reference),
        n_unpaired=len(sides.units) - len(used.units),
        n_cells=sum(unit.n_cells for unit in used.units),
        n_untested=int((~shown).sum()),
    )
    return GenePart(described, sides, genes[shown], nonzero[shown], dict(tested.columns or {}))


def describe_few(sides: Sides) -> str:
    """How many units, or donors, the smaller side of a study has."""
    units = min(len(sides.group), len(sides.reference))
    donors = min(count_donors(sides.group), count_donors(sides.reference))
    return f"{donors} donors" if donors < units else f"{units} units"


def describe_study(each: GeneStudy, group: str, reference: str) -> str:
    """What was compared in a study, in words."""
    units = f"{each.n_group} units of {group}, {each.n_reference} of {reference}"
    unpaired = f"; {each.n_unpaired} units without a partner are not in this test" if each.n_unpaired else ""
    return f"{each.study}: {each.test}, {units}{unpaired}; {each.n_untested} genes in too few cells."


def depth_of(part: GenePart, group: str, reference: str) -> dict[str, Any]:
    """The depth of both sides of a study, as in a row of `sigdb.compare`."""
    medians = medians_of("group", part.sides.group) | medians_of("reference", part.sides.reference)
    return {"study": part.described.study, "group": group, "reference": reference, **medians}


def table_of(parts: Sequence[GenePart], design: Design) -> pa.Table:
    """The findings, the meta-analyses and the other rows of each study, smallest p first, with q values."""
    tested = defaultdict(list)
    for number, part in enumerate(parts):
        for gene in part.genes[np.isfinite(part.columns["p_value"])]:
            tested[gene].append(number)
    studies = [part.table([tested[gene] == [number] for gene in part.genes]) for number, part in enumerate(parts)]
    whole = pa.concat_tables([*model_studies(parts, tested, design), *studies])
    by_p = [("p_value", "ascending"), ("gene", "ascending")]
    findings = whole.filter(whole["is_finding"]).sort_by(by_p)
    others = whole.filter(pc.invert(whole["is_finding"])).sort_by([("study", "ascending"), *by_p])
    return pa.concat_tables([add_q_values(each) for each in (findings, combine_studies(studies).sort_by(by_p), others)])


def add_q_values(table: pa.Table) -> pa.Table:
    """The same rows with q values over all of them."""
    return table.append_column("q_value", pa.array(benjamini_hochberg(table["p_value"].to_pylist()), pa.float64()))


def model_studies(parts: Sequence[GenePart], tested: Mapping[str, Sequence[int]], design: Design) -> Iterator[pa.Table]:
    """All studies of a gene in one model: one table for the genes that the same studies tested."""
    together: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for gene, numbers in tested.items():
        if len(numbers) > 1:
            together[tuple(numbers)].append(gene)
    for numbers, genes in together.items():
        chosen = [parts[number] for number in numbers]
        places = [np.searchsorted(part.genes, genes) for part in chosen]
        sides = [part.sides.choose_columns(place) for part, place in zip(chosen, places, strict=True)]
        nonzero = sum(part.nonzero[place] for part, place in zip(chosen, places, strict=True))
        columns = dict(compare_studies(sides, design).columns or {})
        yield gene_table(
            genes, columns, study=None, test=ONE_MODEL, n_nonzero=nonzero, n_studies=len(numbers), is_finding=True
        )


def gene_table(genes: Sequence[str] | NDArray[Any], columns: Mapping[str, Any], **others: Any) -> pa.Table:
    """A table with one row per gene. Values for all genes are repeated; columns without a value are NULL."""
    n = len(genes)
    given: dict[str, Any] = dict.fromkeys(SCHEMA.names) | {"gene": genes, **columns, **others}
    filled = {name: [each] * n if each is None or np.isscalar(each) else each for name, each in given.items()}
    arrays = [pa.array(filled[field.name], field.type, from_pandas=True) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


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
            n_nonzero = sum(row["n_nonzero"] for row in found)
            rows.append({**asdict(whole), "gene": gene, "n_nonzero": n_nonzero, "is_finding": False})
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def gene_means(
    table: pa.Table, sides: Sequence[Sequence[Unit]]
) -> tuple[NDArray[Any], list[NDArray[np.float64]], NDArray[np.int64]]:
    """The genes, the mean attributions of each side, and the number of cells in which each gene is not 0.

    Means are in thousandths of a cell: (n_units, n_genes). Genes are sorted.
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
        matrices.append(matrix)
    return genes, matrices, nonzero
