"""How a signature is scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from sigdb.errors import QueryError, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb


__all__ = ["Options", "score_parameters"]


class Options(TypedDict, total=False):
    """How a signature is scored: the named arguments of the macro `signature_score`, with its defaults."""

    weights: Sequence[float] | None
    agg: str
    missing: str
    run: str | int | None
    signed: bool


def score_parameters(
    con: duckdb.DuckDBPyConnection,
    genes: str | Sequence[str],
    *,
    weights: Sequence[float] | None = None,
    agg: str = "mean",
    missing: str = "error",
    run: str | int | None = None,
    signed: bool = False,
) -> dict[str, Any]:
    """The parameters of a score macro: `genes` is a list of genes, or the name of a signature of the library.

    A signature brings its own weights. Raises QueryError for a name that is not in the library.
    """
    options = {"agg": agg, "missing": missing, "run": run, "signed": signed}
    if not isinstance(genes, str):
        return {"genes": list(genes), "weights": None if weights is None else list(weights), **options}
    if weights is not None:
        raise QueryError(f"The signature {genes} has weights of its own; give a list of genes to use others.")
    ((members, own),) = con.execute(
        "SELECT signature_genes($name), signature_weights($name)", {"name": genes}
    ).fetchall()
    if not members:
        known = [name for (name,) in con.execute("SELECT signature FROM signature_info ORDER BY 1").fetchall()]
        raise QueryError(
            f"There is no signature {genes} in this atlas. It has: {listed(known, 5) or 'none'}. "
            "A gene alone is a list of one."
        )
    return {"genes": members, "weights": None if set(own) == {1.0} else own, **options}
