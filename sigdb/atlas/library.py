"""The library of signatures that an atlas carries. Kept scores and views of signatures follow every change to it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa

from sigdb.atlas import materialized, views
from sigdb.errors import SignatureError, listed
from sigdb.scores.members import find_signatures, signature_names
from sigdb.statements import run_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from sigdb.signatures import Signature

__all__ = ["add", "remove"]


def add(con: duckdb.DuckDBPyConnection, signatures: Sequence[Signature], *, replace: bool) -> None:
    """Add signatures, or replace signatures of the same names.

    con: open for writing, in a transaction of the caller. Raises SignatureError for names that cannot be added.
    """
    check_names([each.name for each in signatures], signature_names(con), replace=replace)
    info, members = signature_tables(signatures)
    run_statement(con, "atlas/records.add_signatures", sigdb_incoming=info, sigdb_incoming_members=members)
    materialized.refresh(con)


def remove(con: duckdb.DuckDBPyConnection, names: Sequence[str]) -> list[str]:
    """Remove signatures, with their kept scores in all runs and their views. Returns their names in the library.

    con: open for writing, in a transaction of the caller. Raises SignatureError if one of the names is unknown.
    """
    found = find_signatures(con, names)
    materialized.drop(con, found)
    if viewed := [name for name in views.view_names(con) if name in found]:
        views.drop(con, viewed)
    run_statement(con, "atlas/records.remove_signatures", sigdb_removed=pa.table({"signature": found}))
    return found


def check_names(names: Sequence[str], known: Sequence[str], *, replace: bool) -> None:
    """Raise SignatureError for names that repeat, that differ from another one in case only, or that are taken."""
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise SignatureError(
            f"{len(repeated)} of {len(set(names))} names are given to more than one signature: {listed(repeated)}. "
            "Give each signature a name of its own."
        )
    if not replace and (taken := [name for name in names if name in known]):
        raise SignatureError(
            f"{len(taken)} of {len(names)} signatures are in the library already: {listed(taken)}. "
            "Replace them with `replace=True`, or give the new ones other names."
        )
    # A library of an older sigdb may hold names that differ in case only. These may be replaced.
    others = {name.lower(): name for name in (*names, *known)}
    if alike := [name for name in names if name not in known and others[name.lower()] != name]:
        pairs = [f"{name} and {others[name.lower()]}" for name in alike]
        raise SignatureError(
            f"Names of signatures must differ in more than case, and {len(alike)} of {len(names)} "
            f"{'does' if len(alike) == 1 else 'do'} not: {listed(pairs)}. Choose other names."
        )


def signature_tables(signatures: Sequence[Signature]) -> tuple[pa.Table, pa.Table]:
    """Signatures as two tables: one row per signature, and one row per signature and gene."""
    info = pa.table(
        {
            "signature": pa.array([each.name for each in signatures], pa.string()),
            "source": pa.array([each.source for each in signatures], pa.string()),
            "description": pa.array([each.description for each in signatures], pa.string()),
        }
    )
    members = pa.table(
        {
            "signature": [each.name for each in signatures for _ in each.genes],
            "position": pa.array([n for each in signatures for n, _ in enumerate(each.genes)], pa.uint32()),
            "gene": [gene for each in signatures for gene in each.genes],
            "weight": [weight for each in signatures for weight in each.weights],
        }
    )
    return info, members
