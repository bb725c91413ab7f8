"""What to know about the genes of a score: what their names mean, and which of them a run did not read."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from sigdb.errors import listed, macro_message
from sigdb.statements import ask, full_names, run_statement, statement
from sigdb.text import count, percent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb
    from sqlglot import exp

    from sigdb.answers import Answer

__all__ = ["ask_scores", "gene_notes", "look_up_names", "name_notes", "unread_notes", "warn_of_genes"]

# A name, the symbol of its gene, its status, a suggestion, and the number of all names.
Name: TypeAlias = tuple[str, str | None, str, str | None, int]

# Genes that a sentence names.
NAMED = 3
UNREAD = (
    "Run {run} did not read {genes} in cells that express {them}, and counts {them} as 0 there: {examples}. The model "
    "reads a limited number of genes of a cell. A run that reads more can be added: use a model with a larger context, "
    "or for scGPT a larger `max_length`."
)

logger = logging.getLogger(__name__)


def ask_scores(con: duckdb.DuckDBPyConnection, query: exp.Expression, parameters: Mapping[str, Any]) -> Answer:
    """Run a statement about the score of $genes; the notes are `gene_notes`. Raises QueryError as `ask` does."""
    found = ask(con, query, parameters)
    return replace(found, notes=gene_notes(con, parameters["genes"], run=parameters["run"]))


def warn_of_genes(
    con: duckdb.DuckDBPyConnection,
    genes: Sequence[str] | None = None,
    *,
    run: str | int | None = None,
    signatures: Sequence[str] | None = None,
) -> None:
    """Log `gene_notes` as warnings, for results that have no place for notes."""
    for note in gene_notes(con, genes, run=run, signatures=signatures):
        logger.warning(note)


def gene_notes(
    con: duckdb.DuckDBPyConnection,
    genes: Sequence[str] | None = None,
    *,
    run: str | int | None = None,
    signatures: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """Sentences on the names of genes, and on genes that the run did not read; parameters as for `name_notes`."""
    names = name_notes(con, genes, run=run, signatures=signatures)
    return (*names, *unread_notes(con, genes, run=run, signatures=signatures))


def unread_notes(
    con: duckdb.DuckDBPyConnection,
    genes: Sequence[str] | None = None,
    *,
    run: str | int | None = None,
    signatures: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """A sentence on genes that the run did not read in many of the cells that express them; none if there are none."""
    if not run_statement(con, "scores/names.any_unread"):
        return ()
    parameters = {"genes": None if genes is None else list(genes), "run": run, "signatures": signatures}
    rows = run_statement(con, "scores/names.unread", parameters)
    if not rows:
        return ()
    n_genes = len({symbol for symbol, *_ in rows})
    examples = [f"{symbol} in {percent(share)} of these cells in {study}" for symbol, study, share, _ in rows]
    return (
        UNREAD.format(
            run=rows[0][3],
            genes=count(n_genes, "gene"),
            them="it" if n_genes == 1 else "them",
            examples=listed(examples, NAMED),
        ),
    )


def name_notes(
    con: duckdb.DuckDBPyConnection,
    genes: Sequence[str] | None = None,
    *,
    run: str | int | None = None,
    signatures: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """Sentences on the names that were left out, and on those that are not symbols of the atlas; none if all are.

    genes: the names. signatures: signatures of the library, whose genes count as well. The caller has checked both.
    """
    rows = look_up_names(con, genes, run=run, signatures=signatures)
    return (*left_out(rows), *other_names(rows))


def look_up_names(
    con: duckdb.DuckDBPyConnection,
    genes: Sequence[str] | None = None,
    *,
    run: str | int | None = None,
    signatures: Sequence[str] | None = None,
) -> list[Name]:
    """What the names mean that are not symbols of the run's genes."""
    parameters = {"genes": None if genes is None else list(genes), "run": run, "signatures": signatures}
    return con.execute(full_names(statement("scores/names.looked_up")), parameters).fetchall()


def left_out(rows: Sequence[Name]) -> Iterator[str]:
    """Sentences on the names that mean no gene of the run."""
    unknown = [
        f"{name}{macro_message(explain(status, suggestion))}"
        for name, symbol, status, suggestion, _ in rows
        if not symbol
    ]
    if not unknown:
        return
    n_asked = rows[0][-1]
    n_scored = n_asked - len(unknown)
    others = "it" if n_asked == 1 else "the other" if len(unknown) == 1 else f"the other {len(unknown)}"
    scored = f"Scored {n_scored} of {count(n_asked, 'gene')}."
    yield f"{scored} The model of this run does not know {others}: {listed(unknown)}."
    if n_scored < n_asked / 2:
        yield "Less than half of the genes are scored, so this is a score of another set of genes."


def explain(status: str, suggestion: str | None) -> str:
    """What is known about a name that means no gene, in brackets; nothing if nothing is known."""
    if status == "ambiguous":
        return f" (ambiguous{f': {suggestion}' if suggestion else ''})"
    if suggestion is None:
        return ""
    return f" (use {suggestion})" if suggestion.startswith("run := ") else f" (did you mean {suggestion}?)"


def other_names(rows: Sequence[Name]) -> Iterator[str]:
    """A sentence on the names that were found by another name of the gene, or in another case."""
    found = [f"{name} is {symbol} ({status})" for name, symbol, status, *_ in rows if symbol]
    if found:
        yield f"Names that are not symbols of this atlas: {listed(found, 5)}."
