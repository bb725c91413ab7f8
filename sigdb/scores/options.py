"""How a signature is scored: the options that all scores have, with their defaults."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from sigdb.errors import QueryError, listed, nearest
from sigdb.scores.members import check_genes, find_members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import duckdb

    from sigdb.scores.members import Genes

__all__ = [
    "GeneOptions",
    "ScoreOptions",
    "SignatureOptions",
    "check_options",
    "complete_options",
    "score_parameters",
]


class GeneOptions(TypedDict, total=False):
    """Which attributions are used: the options that every score has.

    Attributes
    ----------
    missing : {'error', 'ignore'}
        What happens to a gene that the atlas does not know: an error, or the gene is left out. Default: 'ignore' for a
        signature, 'error' for genes that are named one by one. The notes of the result say what was left out.
    run : str or int
        The name or id of an attribution run. Default: the default run of the atlas.
    signed : bool
        Keep the sign of the attributions. By default, absolute values are used. An error if the run has no signs.
    """

    missing: str | None
    run: str | int | None
    signed: bool


class SignatureOptions(GeneOptions, total=False):
    """The options of a score whose weights come with the signature.

    Attributes
    ----------
    agg : {'mean', 'sum'}
        Whether the score is the mean over the genes (the default) or their sum.
    measured_only : bool
        Divide a mean by the genes that the cell's study measured. By default, all genes of the signature count, and a
        gene that was not measured counts as 0. The score is NULL in a study that measured none of the genes.
    """

    agg: str
    measured_only: bool


class ScoreOptions(SignatureOptions, total=False):
    """The options of a score: the named arguments of the SQL macro `signature_score`.

    Attributes
    ----------
    weights : list of float
        One weight per gene, in the order of the genes. A mean divides by the sum of their absolute values.
        Default: 1 for each gene, or the weights of a signature of the library.
    """

    weights: Iterable[float] | None


DEFAULTS: ScoreOptions = {
    "weights": None,
    "agg": "mean",
    "missing": None,
    "run": None,
    "signed": False,
    "measured_only": False,
}


def check_options(function: Callable[..., Any], options: Mapping[str, Any], kind: type[Any] = ScoreOptions) -> None:
    """Raise QueryError if a public function was given an option that its `kind` does not have."""
    if unknown := [name for name in options if name not in kind.__optional_keys__]:
        own = inspect.signature(function).parameters.values()
        known = sorted({each.name for each in own if each.kind is not each.VAR_KEYWORD} | kind.__optional_keys__)
        raise QueryError(
            f"sigdb.{function.__name__} has no parameter `{unknown[0]}`.{nearest(unknown[0], known)} "
            f"It has: {listed(known, 30)}."
        )


def complete_options(options: ScoreOptions) -> ScoreOptions:
    """The options that were given, with defaults for the rest."""
    return {**DEFAULTS, **options}


def check_values(options: ScoreOptions) -> None:
    """Raise QueryError for values that SQL would take for others: 'no' for true, and True for a text."""
    for name, values in {
        "signed": (False, True),
        "measured_only": (False, True),
        "missing": (None, "error", "ignore"),
    }.items():
        value = options[name]  # type: ignore[literal-required]
        if not isinstance(value, str | bool | None) or value not in values:
            raise QueryError(f"{name} must be {values[-2]!r} or {values[-1]!r}, not {value!r}.")


def score_parameters(con: duckdb.DuckDBPyConnection, genes: Genes, **options: Unpack[ScoreOptions]) -> dict[str, Any]:
    """The parameters of a score macro: all options, the genes, and the weights that a signature brings.

    genes: as for `sigdb.scores.members.find_members`. Raises QueryError for a name that means nothing.
    """
    completed = complete_options(options)
    check_values(completed)
    members = find_members(con, genes, completed["weights"], completed["run"])
    missing = completed["missing"] or ("ignore" if members.is_signature else "error")
    if not members.is_signature:
        check_genes(con, members.genes, completed["run"], missing)
    return {**completed, "genes": members.genes, "weights": members.weights, "missing": missing}
