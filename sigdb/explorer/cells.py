"""The statements of the tab of cells: points of an embedding, and the genes and signatures of those in a lasso."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigdb.findings.plots.embedding import COLOURS, PALE, PERCENTILE
from sigdb.findings.ranks import RULE
from sigdb.statements import parse_statement

if TYPE_CHECKING:
    from sqlglot import exp

__all__ = ["CELLS", "RULE", "THEME", "rank_lassoed"]

# The colours of the largest groups and of all other cells, and the percentile at which the colours of scores end.
THEME = {"colours": COLOURS, "pale": PALE, "percentile": PERCENTILE}

CELLS = (
    *("findings/columns.embeddings", "explorer/cells.studies", "explorer/cells.groups", "explorer/cells.points"),
    *("explorer/cells.squares", "explorer/cells.genes", "explorer/cells.top_genes", "explorer/cells.attributions"),
)


def rank_lassoed() -> exp.Select:
    """The ranking of `sigdb.rank_signatures`, of the cells in a lasso beside the other cells of their study.

    A lasso does not choose whole groups of the cube. Its sums are those of explorer/cells.genes.
    """
    ranks, genes = parse_statement("findings/signature_ranks"), parse_statement("explorer/cells.genes")
    own = genes.ctes
    names = {each.alias for each in own}
    ranks.args["with_"].set("expressions", [*own, *(each for each in ranks.ctes if each.alias not in names)])
    return ranks
