"""Whose scores are asked for: a signature of the library, a `Signature`, a single gene, or a list of genes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import duckdb

from sigdb.errors import QueryError, SignatureError, closest, listed, macro_message, message, nearest
from sigdb.scores.names import look_up_names
from sigdb.signatures import Signature
from sigdb.statements import run_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Genes",
    "Members",
    "check_genes",
    "check_weights",
    "find_members",
    "find_signature",
    "find_signatures",
    "name_of",
    "reusable",
    "several",
    "signature_names",
    "text_list",
]

# What a public function takes as `genes`.
Genes: TypeAlias = "str | Signature | Iterable[str]"


@dataclass(frozen=True)
class Members:
    """The genes of a score with their weights; None stands for equal weights.

    is_signature: the genes were published under a name, not typed one by one.
    """

    genes: list[str]
    weights: list[float] | None
    is_signature: bool


def find_members(
    con: duckdb.DuckDBPyConnection, genes: Genes, weights: Iterable[float] | None = None, run: str | int | None = None
) -> Members:
    """The genes that a caller means.

    A text is a signature of the library, in any case, or else the name of one gene. QueryError if it is neither, or if
    weights are given for a signature, which has its own.
    """
    if isinstance(genes, Signature):
        check_weights(genes.name, weights)
        return Members(list(genes.genes), unequal(genes.weights), is_signature=True)
    if isinstance(genes, Mapping):
        raise QueryError(
            f"`genes` must be a list of names, not {type(genes).__name__}: {genes!r:.80}. "
            "Weights come with `sigdb.Signature(name, genes, weights)`."
        )
    if not isinstance(genes, str):
        if isinstance(genes, Set) and weights is not None:
            raise QueryError("A set has no order, so `weights` cannot go with it. Give the genes as a list.")
        return Members(text_list("genes", genes), number_list(weights), is_signature=False)
    name = find_signature(con, genes)
    if name is None:
        check_gene(con, genes, run)
        return Members([genes], number_list(weights), is_signature=False)
    check_weights(name, weights)
    ((members, own),) = run_statement(con, "scores/members.signature", {"name": name})
    return Members(members, unequal(own), is_signature=True)


def name_of(genes: Genes) -> str | None:
    """The name that genes were given by; None for a list."""
    return genes.name if isinstance(genes, Signature) else genes if isinstance(genes, str) else None


def several(genes: Genes | Mapping[str, Genes]) -> dict[str, Genes]:
    """One signature or a mapping of several, by name; QueryError if there is none, or for a name that is no text."""
    if not isinstance(genes, Mapping):
        return {name_of(genes) or "genes": genes}
    if not genes or not all(isinstance(name, str) for name in genes):
        raise QueryError(
            f"Several signatures must be given as `{{name: genes}}` with texts as names, not as {genes!r:.80}."
        )
    return dict(genes)


def reusable(genes: Genes) -> str | Signature | list[str]:
    """The same genes, in a form that can be read more than once, unlike a generator."""
    return genes if isinstance(genes, str | Signature) else text_list("genes", genes)


def find_signature(con: duckdb.DuckDBPyConnection, name: str) -> str | None:
    """The signature of the library with this name, or else in another case; None if there is none.

    QueryError if several names differ from the given one in case only.
    """
    alike = [each for (each,) in run_statement(con, "scores/members.named_alike", {"name": name})]
    if name in alike or not alike:
        return name if alike else None
    if len(alike) > 1:
        raise QueryError(f"{name} can mean several signatures of the library: {listed(alike)}. Write one of these.")
    return str(alike[0])


def find_signatures(con: duckdb.DuckDBPyConnection, names: Iterable[str]) -> list[str]:
    """The signatures of the library with these names, in any case, each once. SignatureError if one is unknown."""
    given = text_list("signatures", names)
    if not given:
        raise SignatureError("No signature is named. Give at least one.")
    found = {name: find_signature(con, name) for name in given}
    if unknown := [name for name, signature in found.items() if signature is None]:
        known = signature_names(con)
        words = listed(f"{name}{did_you_mean(closest(name, known))}" for name in unknown)
        some = f"{len(unknown)} of {len(found)} names are no signatures of the library: {words}."
        one = f"{unknown[0]} is no signature of the library.{nearest(unknown[0], known)}"
        raise SignatureError(f"{one if len(found) == 1 else some} It has: {listed(known, 5) or 'none'}.")
    return list(dict.fromkeys(name for name in found.values() if name is not None))


def did_you_mean(name: str | None) -> str:
    """A suggestion in brackets, or nothing."""
    return f" (did you mean {name}?)" if name else ""


def signature_names(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The names of all signatures of the library."""
    return [name for (name,) in run_statement(con, "scores/members.signature_names")]


def check_gene(con: duckdb.DuckDBPyConnection, name: str, run: str | int | None) -> None:
    """Raise QueryError if a name that is no signature is no gene either; the message suggests both.

    A gene that is ambiguous, or that only another run knows, passes: the check of the score says more about it.
    """
    unknown = unknown_genes(con, [name], run)
    if not unknown:
        return
    known = signature_names(con)
    gene = unknown[name]
    signature = closest(name, known)
    suggested = [f"{signature} (signature)" if signature else "", f"{gene} (gene)" if gene else ""]
    hint = " or ".join(filter(None, suggested))
    raise QueryError(
        f"{name} is neither a signature of the library nor a gene of this atlas."
        f"{f' Did you mean {hint}?' if hint else ''} The library has: {listed(known, 5) or 'no signature'}."
    )


def check_genes(con: duckdb.DuckDBPyConnection, names: Sequence[str], run: str | int | None, missing: str) -> None:
    """Raise QueryError if names in a list of genes are signatures of the library, and no genes.

    Names that may be missing pass, unless all names of the list are signatures.
    """
    signatures = {name.lower() for (name,) in run_statement(con, "scores/members.named", {"names": list(names)})}
    alike = [name for name in dict.fromkeys(names) if name.lower() in signatures]
    found = list(unknown_genes(con, alike, run)) if alike else []
    if not found or (missing == "ignore" and len(found) < len(set(names))):
        return
    words = (
        "is a signature of the library, not a gene" if len(found) == 1 else "are signatures of the library, not genes"
    )
    counted = f"{len(found)} of {len(set(names))} names {words}: {listed(found, 5)}."
    raise QueryError(
        f"{f'{found[0]} {words}.' if len(set(names)) == 1 else counted} Name one signature alone, as in "
        f"`sigdb.score(con, {found[0]!r})`, or name the genes themselves."
    )


def unknown_genes(con: duckdb.DuckDBPyConnection, names: Sequence[str], run: str | int | None) -> dict[str, str | None]:
    """The names that are genes of no run, each with a suggestion.

    The run is checked first, because DuckDB 1.4.2 can fail to look up names in a run that does not exist.
    """
    try:
        run_statement(con, "scores/members.run_check", {"run": run})
    except duckdb.Error as error:
        raise QueryError(macro_message(message(error))) from error
    rows = look_up_names(con, names, run=run)
    return {
        name: hint
        for name, _, status, hint, _ in rows
        if status == "missing" and not (hint or "").startswith("run := ")
    }


def text_list(parameter: str, names: Iterable[str]) -> list[str]:
    """Names as a list, from any collection of texts: a list, an array, a column, a set (sorted) or a generator.

    QueryError for anything else. A text is refused, because its letters would be taken for names.
    """
    if isinstance(names, str):
        raise QueryError(f"`{parameter}` must be a list of names, not the text {names!r}. Write [{names!r}].")
    if isinstance(names, Mapping) or not isinstance(names, Iterable):
        raise QueryError(f"`{parameter}` must be a list of names, not {type(names).__name__}: {names!r:.80}.")
    given = list(names)
    if odd := [each for each in given if not isinstance(each, str)]:
        raise QueryError(
            f"`{parameter}` must be a list of names. {len(odd)} of its {len(given)} values "
            f"{'is not text' if len(odd) == 1 else 'are not text'}: {listed(map(repr, odd), 3)}."
        )
    return sorted(given) if isinstance(names, Set) else [str(each) for each in given]


def number_list(weights: Iterable[float] | None) -> list[float] | None:
    """Weights as a list of numbers; QueryError for anything else."""
    if weights is None:
        return None
    try:
        return [float(each) for each in weights]
    except (TypeError, ValueError) as error:
        raise QueryError(f"`weights` must be a list of numbers, one per gene, not {weights!r:.80}.") from error


def unequal(weights: Sequence[float]) -> list[float] | None:
    """Weights, or None if all are 1."""
    return None if set(weights) == {1.0} else list(weights)


def check_weights(name: str, weights: Iterable[float] | None) -> None:
    """Raise QueryError if weights are given for a signature, which has its own."""
    if weights is not None:
        raise QueryError(f"The signature {name} has weights of its own. `weights` goes with a list of genes.")
