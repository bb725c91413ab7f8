"""Tables of groups that charts are made of: mean scores, distributions, genes. Each is one SQL statement."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Unpack

from sigdb.atlas.fields import NAMES_NONE
from sigdb.errors import QueryError, listed, nearest
from sigdb.findings.columns import (
    column_types,
    columns_of,
    cube_columns,
    group_by_columns,
    grouped,
    keep_cells,
    labelled_statement,
    where_cube,
)
from sigdb.findings.comparability import CALIBRATED, RAW, UNCALIBRATED, warn_of_groups
from sigdb.findings.hits import CutOff, population_name
from sigdb.findings.lost import explain_empty, explain_no_cells
from sigdb.scores.names import ask_scores
from sigdb.scores.options import ScoreOptions, check_options, score_parameters
from sigdb.statements import parse_statement, replace_columns, run_statement

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb

    from sigdb.answers import Answer
    from sigdb.scores.members import Genes

__all__ = ["calibrated_scores", "embedding", "embeddings_of", "gene_dots", "group_scores", "score_bins"]

# The default rule of hits.
ABOVE_CONTROLS = CutOff()


def group_scores(
    con: duckdb.DuckDBPyConnection,
    genes: Genes,
    *,
    by: str = "disease",
    cells: str | None = None,
    calibrated: bool = True,
    against: str = "controls",
    percentile: float | None = None,
    min_cells: int = 10,
    min_coverage: float = 0,
    **options: Unpack[ScoreOptions],
) -> Answer:
    """Compute the mean score by cell type and another column, calibrated by matched control genes.

    Raw scores are shares of what was detected in a cell, so they depend on depth and on the panel of genes. z and
    hit_rate compare each cell with control genes at the same depth in the same study: see the macro `signature_hits`.
    With ``against="cells"``, they compare it with the scores of the chosen cells.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A connection to an atlas.
    genes : str, Signature or list of str
        The name of a signature of the library, a `sigdb.Signature`, the name of a gene, or a list of genes.
    by : str
        A column of the cube: study, sample, donor, tissue, disease, assay, sex, development_stage, in_vivo or
        cell_type.
    cells : str, optional
        A SQL condition on the view `cells`: use these cells only. With ``calibrated=False``, it may name columns of the
        cube only.
    calibrated : bool
        False: compute no z and no hit_rate. The means then come from the cube, which holds sums by sample, cell type
        and gene, so no score of a cell is read.
    against, percentile
        What z and hits compare a score with, and the cut-off of a hit: as for `sigdb.hits`. The population is `cells`.
        With ``calibrated=False``, there are no hits, so another value than the default is an error.
    min_cells : int
        Groups of fewer cells are left out.
    min_coverage : float
        Studies that measured a smaller part of the genes (0 to 1) are left out.
    **options
        weights, agg, missing, run, signed, measured_only: see `sigdb.ScoreOptions`.

    Returns
    -------
    Answer
        One row per group: cell_type, label (the value of `by`), score (mean, in thousandths of a cell), z (mean; in
        standard deviations of the scores that a cell is compared with), hit_rate (of 1), score_se and z_se (standard
        errors of score and z), n_cells, n_samples, n_donors (with a name), n_units (donors, and samples whose donor has
        no name), coverage (least_measured of n_genes), least_measured (genes measured by the study of lowest coverage),
        n_genes, median_counts and median_detected (counts and detected genes of the median cell). The highest z comes
        first. Without calibration, the highest score comes first, and there are no errors, n_donors, n_units and
        coverage.

        The standard errors are cluster-robust: the cells of a unit are not independent. They are NULL for fewer than
        two units, for cells without a named donor or sample, and for cells of several studies, whose panels and depths
        differ.

    Raises
    ------
    QueryError
        If the genes, a column, a condition or an option cannot be used.

    Examples
    --------
    >>> genes = ["LYZ", "CD14", "FCN1", "AIF1"]
    >>> found = sigdb.group_scores(con, genes, by="study", cells="tissue = 'blood'")
    >>> found.column("cell_type")[0]
    'CD14+ Monocyte'
    """
    check_options(group_scores, options)
    rule = CutOff(against, percentile)
    rule.check()
    (label,) = cube_columns([by])
    if calibrated:
        columns = {"cell_type": "cell_type", "label": label}
        return calibrated_scores(con, genes, columns, cells, min_cells, min_coverage, rule=rule, **options)
    if rule != ABOVE_CONTROLS:
        raise QueryError("`calibrated=False` computes no hits, so `against` and `percentile` have no meaning with it.")
    parameters = score_parameters(con, genes, **options) | {"min_coverage": min_coverage, "min_cells": min_cells}
    found = ask_scores(con, where_cube(labelled_statement("group_scores", label), cells), parameters)
    found = explain_empty(con, found, list(dict.fromkeys(["cell_type", label])), cells, min_cells)
    return warn_of_groups(found, ["cell_type", "label"], RAW)


def calibrated_scores(
    con: duckdb.DuckDBPyConnection,
    genes: Genes,
    columns: Mapping[str, str],
    cells: str | None = None,
    min_cells: int = 1,
    min_coverage: float = 0,
    *,
    rule: CutOff = ABOVE_CONTROLS,
    **options: Unpack[ScoreOptions],
) -> Answer:
    """The statement `findings/group_hits`, grouped by columns of the view `cells`, which get other names."""
    # Only a comparison with the population depends on it.
    population = population_name(cells if rule.against == "cells" else None)
    parameters = score_parameters(con, genes, **options) | rule.parameters | {"cells": population}
    parameters |= {"min_coverage": min_coverage, "min_cells": min_cells}
    parameters |= {f"unnamed_{field}s": sorted(names) for field, names in NAMES_NONE.items()}
    query = group_by_columns(keep_cells(parse_statement("findings/group_hits"), cells), columns)
    with explain_no_cells(con, cells):
        found = ask_scores(con, query, parameters)
    found = explain_empty(con, found, list(dict.fromkeys(columns.values())), cells, min_cells)
    return warn_of_groups(found, list(columns), CALIBRATED if rule.against == "controls" else UNCALIBRATED)


def score_bins(
    con: duckdb.DuckDBPyConnection,
    genes: Genes,
    *,
    by: str = "cell_type",
    cells: str | None = None,
    n_bins: int = 60,
    min_cells: int = 10,
    **options: Unpack[ScoreOptions],
) -> Answer:
    """Count the cells of each group in bins of their score.

    The database counts, so no cell leaves it. All groups have the same bins, from the lowest score to the 99.9th
    percentile of all scores. Cells above it count in the last bin, so that one cell does not decide the width of bins.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A connection to an atlas.
    genes : str, Signature or list of str
        The name of a signature of the library, a `sigdb.Signature`, the name of a gene, or a list of genes.
    by : str
        The column of the view `cells` that groups them.
    cells : str, optional
        A SQL condition on the view `cells`: use these cells only.
    n_bins : int
        The number of bins.
    min_cells : int
        Groups of fewer cells are left out.
    **options
        weights, agg, missing, run, signed, measured_only: see `sigdb.ScoreOptions`.

    Returns
    -------
    Answer
        One row per group and bin that is not empty: label (the value of `by`), n_cells, mean and median (score)
        of the group, low and high (edges of the bin, in thousandths of a cell), n (cells in the bin), n_above (the
        cells of the last bin that are above its edge). The highest mean comes first.

    Raises
    ------
    QueryError
        If the genes, a column, a condition or an option cannot be used.

    Examples
    --------
    >>> found = sigdb.score_bins(con, ["LYZ", "CD14"], by="study", n_bins=10)
    >>> sum(found.column("n")) == con.execute("SELECT count(*) FROM cells").fetchone()[0]
    True
    """
    check_options(score_bins, options)
    (label,) = columns_of(con, "cells", [by])
    parameters = score_parameters(con, genes, **options) | {"n_bins": n_bins, "min_cells": min_cells}
    found = ask_scores(con, keep_cells(labelled_statement("score_bins", label), cells), parameters)
    found = explain_empty(con, found, [label], cells, min_cells)
    return replace(found, notes=(RAW, *found.notes))


def embedding(
    con: duckdb.DuckDBPyConnection,
    genes: Genes,
    *,
    basis: str = "umap",
    cells: str | None = None,
    n_bins: int = 120,
    max_points: int = 5000,
    **options: Unpack[ScoreOptions],
) -> Answer:
    """Show the score in an embedding that was ingested with the cells.

    A row is a cell. In a study of more than `max_points` cells, it is a square of a grid, with the mean score of its
    cells. The database counts, so no cell leaves it.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A connection to an atlas.
    genes : str, Signature or list of str
        The name of a signature of the library, a `sigdb.Signature`, the name of a gene, or a list of genes.
    basis : str
        The name of the embedding: 'umap' for the columns umap_1 and umap_2 of the view `cells`.
    cells : str, optional
        A SQL condition on the view `cells`: use these cells only.
    n_bins : int
        The number of squares along each side of the grid.
    max_points : int
        The most cells of a study that are shown one by one.
    **options
        weights, agg, missing, run, signed, measured_only: see `sigdb.ScoreOptions`.

    Returns
    -------
    Answer
        study, is_binned, x_low, x_high, y_low, y_high (the square, or the position of the cell twice), n (cells),
        cell_type (the commonest of the square) and score (mean, in thousandths of a cell). The highest scores of a
        study come last.

    Raises
    ------
    QueryError
        If the atlas has no such embedding, or if the genes, a condition or an option cannot be used.

    Examples
    --------
    The bundled studies have no embedding:

    >>> try:
    ...     sigdb.embedding(con, ["LYZ"])
    ... except sigdb.SigdbError as error:
    ...     print(str(error)[:43])
    There is no embedding umap in this atlas. I
    """
    check_options(embedding, options)
    if not isinstance(basis, str):
        raise QueryError(f"`basis` must be the name of an embedding, such as 'umap', not {basis!r}.")
    names = [f"{basis}_1", f"{basis}_2"]
    known = column_types(con, "cells")
    if not set(names) <= set(known):
        there = embeddings_of(con)
        raise QueryError(
            f"There is no embedding {basis} in this atlas.{nearest(basis, there)} It has: {listed(there) or 'none'}. "
            f"To keep an embedding of a study, ingest it with `ingest.IngestOptions(obsm=['X_{basis}'])`."
        )
    parameters = score_parameters(con, genes, **options) | {"n_bins": n_bins, "max_points": max_points}
    query = replace_columns(parse_statement("findings/embedding"), x_column=names[0], y_column=names[1])
    notes = ("Each study has an embedding of its own: positions of different studies cannot be compared.", RAW)
    found = explain_empty(con, ask_scores(con, keep_cells(query, cells), parameters), ["study"], cells, 1)
    return replace(found, notes=(*notes, *found.notes))


def embeddings_of(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The names of the embeddings that the cells have: umap first, then by name."""
    return [name for (name,) in run_statement(con, "findings/columns.embeddings")]


def gene_dots(
    con: duckdb.DuckDBPyConnection,
    genes: Genes,
    *,
    by: str = "cell_type",
    cells: str | None = None,
    min_cells: int = 10,
    missing: str | None = None,
    run: str | int | None = None,
    signed: bool = False,
) -> Answer:
    """Compute the mean attribution of each gene by group, and the fraction of cells in which it is not 0.

    The means come from the cube. A gene that a study did not measure counts as 0: n_cells_measured tells such a 0 from
    one that was measured.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A connection to an atlas.
    genes : str, Signature or list of str
        The name of a signature of the library, a `sigdb.Signature`, the name of a gene, or a list of genes.
    by : str
        A column of the cube, as for `sigdb.group_scores`.
    cells : str, optional
        A SQL condition on the columns of the cube: use these cells only.
    min_cells : int
        Groups of fewer cells are left out.
    missing, run, signed
        See `sigdb.ScoreOptions`.

    Returns
    -------
    Answer
        One row per group and gene: label (the value of `by`), n_cells, gene, score (mean attribution, in thousandths of
        a cell), fraction_nonzero (of the cells), n_cells_measured (cells of the studies that measured the gene).

    Raises
    ------
    QueryError
        If the genes, a column, a condition or an option cannot be used.

    Examples
    --------
    >>> sigdb.gene_dots(con, ["LYZ", "CD14"], cells="study = 'zheng2017_pbmc68k'").column("gene")[:2]
    ['CD14', 'LYZ']
    """
    (label,) = cube_columns([by])
    parameters = score_parameters(con, genes, missing=missing, run=run, signed=signed) | {"min_cells": min_cells}
    query = labelled_statement("gene_dots", label)
    if cells is not None:
        for select in grouped(query):
            select.replace(where_cube(select, cells))
    found = explain_empty(con, ask_scores(con, query, parameters), [label], cells, min_cells)
    return replace(found, notes=(RAW, *found.notes))
