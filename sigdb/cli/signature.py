"""The genes, or the signature of the library, that a command names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from sigdb.cli import complete
from sigdb.cli.output import errors, print_note

if TYPE_CHECKING:
    import duckdb

__all__ = ["SignatureParameters"]


@dataclass(frozen=True, kw_only=True)
class SignatureParameters:
    """The names that a command was given. A single name may be a signature of the library; other names are genes."""

    genes: Annotated[
        list[str],
        typer.Argument(
            metavar="GENE...",
            help="Genes, or one signature of the library, in any case.",
            autocompletion=complete.names,
        ),
    ]
    as_genes: Annotated[
        bool,
        typer.Option("--as-genes", help="A single name is a gene, even if the library has a signature of that name."),
    ] = False

    def look_up(self, con: duckdb.DuckDBPyConnection) -> str | list[str]:
        """A single name, or the list of genes. A name that means both gets a note on standard error."""
        from sigdb.statements import run_statement

        if self.as_genes or len(self.genes) > 1:
            return list(self.genes)
        (name,) = self.genes
        ((is_signature, is_gene),) = run_statement(con, "cli/library.meanings", {"name": name})
        if is_signature and is_gene:
            print_note(
                f"{name} is a signature of the library and also a gene. This is about the signature; --as-genes means "
                "the gene.",
                errors,
            )
        return name

    @property
    def title(self) -> str:
        """The names in a title: the first ones."""
        names = self.genes
        return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
