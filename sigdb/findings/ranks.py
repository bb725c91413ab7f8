"""What is special about some cells: all signatures of the library, ranked by how much they are raised there."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import erfc, sqrt
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from sigdb.answers import join_sql, left_out_note
from sigdb.errors import QueryError, listed
from sigdb.findings.columns import choose_groups
from sigdb.findings.comparability import DEEPER, warn_of_differences
from sigdb.findings.statistics import benjamini_hochberg
from sigdb.statements import ask, parse_statement
from sigdb.text import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from sigdb.answers import Answer

__all__ = ["rank_signatures"]

RULE = (
    "z compares the genes of a signature with control genes of the same level in the same study: above_controls is the "
    "part of the controls that are raised less, 0.5 for random genes."
)
GENES_ARE_RANDOM = (
    "p and q treat the genes as random, not the cells or donors. The genes of a real signature vary together, so a "
    "small p does not say that other donors would show the same."
)


def rank_signatures(
    con: duckdb.DuckDBPyConnection, *, cells: str, min_cells: int = 10, run: str | int | None = None
) -> Answer:
    """Rank all signatures of the library by how much they are raised in a group of cells.

    The group is compared with the other cells of the same studies, so depth and panel differ little. In each study,
    the difference of each gene is ranked among 51 genes of the same level, which are the controls of `sigdb.hits`. All
    of this comes from the cube, in one query, however many signatures there are.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        A connection to an atlas.
    cells : str
        The group: a SQL condition on the columns of the cube, such as ``"cell_type = 'MDC'"``.
    min_cells : int
        Studies with fewer cells of the group, or fewer others, are left out.
    run : str or int, optional
        The name or id of an attribution run. Default: the default run of the atlas.

    Returns
    -------
    Answer
        One row per signature, the highest z first: signature, z, p_value (one-sided: raised), q_value (Benjamini and
        Hochberg, over all signatures), above_controls (the mean part of its control genes that are raised less, of 1),
        difference (score - score_others), score and score_others (mean scores in thousandths of a cell; in the group,
        and in the others of the same studies), n_asked (genes of the signature), n_genes (that the model knows),
        n_measured (by one of the studies), n_cells, n_samples and n_studies of the group.

    Raises
    ------
    QueryError
        If no study has cells of the group and others, or if the condition or the run cannot be used.

    Examples
    --------
    >>> found = sigdb.rank_signatures(con, cells="cell_type in ('CD14+ Monocyte', 'MDC')")
    >>> found.column("signature")[:2]
    ['HALLMARK_TNFA_SIGNALING_VIA_NFKB', 'HALLMARK_INFLAMMATORY_RESPONSE']
    """
    parameters = {"run": run, "min_cells": min_cells}
    sides = ask(con, choose_groups(parse_statement("findings/signature_rank_sides"), cells), parameters)
    used, left_out = split_studies(sides.table.to_pylist(), cells, min_cells)
    found = ask(con, choose_groups(parse_statement("findings/signature_ranks"), cells), parameters)
    if not found.table.num_rows:
        raise QueryError("The library of this atlas has no signature.")
    ranked = found.table.filter(pc.and_(pc.is_valid(found.table["z"]), pc.invert(found.table["has_conflict"])))
    group = [each[True] for each in used.values()]
    counts = {
        "n_cells": sum(each["n_cells"] for each in group),
        "n_samples": sum(each["n_samples"] for each in group),
        "n_studies": len(group),
    }
    notes = (
        describe(used, counts),
        RULE,
        GENES_ARE_RANDOM,
        *left_out,
        *left_out_note("signature", refused(found.table)),
        *poorly_measured(ranked),
        *deeper(used),
    )
    return replace(found, table=complete(ranked, counts), sql=join_sql([sides.sql, found.sql]), notes=notes)


def split_studies(
    rows: Sequence[dict[str, Any]], cells: str, min_cells: int
) -> tuple[dict[str, dict[bool, dict[str, Any]]], tuple[str, ...]]:
    """The studies that have both sides, and a note on the others. QueryError if there is no such study."""
    studies: dict[str, dict[bool, dict[str, Any]]] = {}
    for row in rows:
        studies.setdefault(row["study"], {})[row["in_group"]] = row
    chosen = {study: sides for study, sides in studies.items() if True in sides}
    if not chosen:
        raise QueryError(f"No cell of this run fulfils the condition: {cells}")
    reasons: Counter[str] = Counter()
    used = {}
    for study, sides in chosen.items():
        few = [
            what for what, side in (("cells of the group", True), ("others", False)) if size(sides, side) < min_cells
        ]
        if few:
            reasons[f"fewer than {min_cells} {few[0]}"] += 1
        else:
            used[study] = sides
    note = left_out_note("study", reasons)
    if not used:
        raise QueryError(
            f"No study has {min_cells} cells of the group and as many others to compare them with. {note[0]} Choose "
            f"other cells, or a lower `min_cells`. The condition was: {cells}"
        )
    return used, note


def size(sides: dict[bool, dict[str, Any]], side: bool) -> int:
    """The number of cells of one side of a study."""
    return int(sides[side]["n_cells"]) if side in sides else 0


def describe(used: dict[str, dict[bool, dict[str, Any]]], counts: dict[str, int]) -> str:
    """What is compared with what."""
    others = sum(size(sides, False) for sides in used.values())
    return (
        f"{count(counts['n_cells'], 'cell')} of {count(counts['n_samples'], 'sample')}, beside "
        f"{count(others, 'other cell')} of the same studies: {listed(used, 5)}."
    )


def refused(table: pa.Table) -> dict[str, int]:
    """How many signatures have no place in the ranking, by reason."""
    conflicts = pc.sum(table["has_conflict"]).as_py() or 0
    unmeasured = pc.sum(pc.and_(pc.is_null(table["z"]), pc.invert(table["has_conflict"]))).as_py() or 0
    reasons = {"a gene has two weights": conflicts, "none of their genes was measured": unmeasured}
    return {reason: n for reason, n in reasons.items() if n}


def poorly_measured(table: pa.Table) -> tuple[str, ...]:
    """A note on the signatures of which less than half was measured."""
    few = table.filter(pc.less(pc.multiply(table["n_measured"], 2), table["n_asked"]))
    if not few.num_rows:
        return ()
    names = listed(few["signature"].to_pylist(), 3)
    of = "1 signature" if few.num_rows == 1 else f"{few.num_rows} signatures"
    return (f"Less than half of the genes were measured of {of}: {names}.",)


def deeper(used: dict[str, dict[bool, dict[str, Any]]]) -> tuple[str, ...]:
    """Warnings of studies whose cells of the group are deeper or shallower than the others."""
    notes: list[str] = []
    for study, sides in used.items():
        names = {True: f"the group in {study}", False: "the others"}
        rows = [{**row, "side": names[side]} for side, row in sides.items()]
        notes += warn_of_differences(rows, "side", DEEPER)
    return tuple(notes)


def complete(table: pa.Table, counts: dict[str, int]) -> pa.Table:
    """The table of a ranking: p and q values after z, and the size of the group at the end."""
    p_values = [erfc(z / sqrt(2)) / 2 for z in table["z"].to_pylist()]
    added = {"p_value": p_values, "q_value": list(benjamini_hochberg(p_values))}
    columns = {"signature": table["signature"], "z": table["z"]}
    columns |= {name: pa.array(values, pa.float64()) for name, values in added.items()}
    columns |= {name: table[name] for name in table.column_names if name not in (*columns, "has_conflict")}
    columns |= {name: pa.array([n] * table.num_rows, pa.int64()) for name, n in counts.items()}
    return pa.table(columns)
