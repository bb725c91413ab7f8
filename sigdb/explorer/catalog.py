"""Write catalog.json: the statements that the page asks, the specifications of its charts, and the words of its notes.

The statements are those of `sql/`, as the findings of Python ask them, with words in the places of columns and of the
condition that chooses cells. The page fills in these words, and the values of parameters.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from sigdb.atlas.fields import NAMES_NONE
from sigdb.explorer.cells import CELLS, RULE, THEME, rank_lassoed
from sigdb.findings import comparability
from sigdb.findings.columns import CUBE, group_by_columns, grouped, keep_cells
from sigdb.findings.hits import COMPARED_WITH, REASONS, RENAME, choose_population
from sigdb.findings.nulls import NOTES
from sigdb.findings.plots.distributions import distributions_spec
from sigdb.findings.plots.effects import forest
from sigdb.findings.plots.genes import contributions_spec, dots_spec
from sigdb.findings.plots.heat import heat_map_spec
from sigdb.findings.plots.hits import hit_rates_spec
from sigdb.findings.plots.intervals import intervals_spec
from sigdb.findings.plots.null import null_scores_spec
from sigdb.findings.plots.theme import configure, make_safe
from sigdb.findings.plots.top import top_genes_spec
from sigdb.findings.top import PARTLY_MEASURED
from sigdb.statements import parse_condition, parse_statement, statement, to_sql

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["catalog", "write_catalog"]

# The statements of the frame of the page: filters, signatures, and what the atlas holds.
FRAME = (
    *("explorer/frame.groups", "explorer/frame.types", "explorer/frame.run_names"),
    *("explorer/frame.library", "explorer/frame.members", "explorer/frame.check"),
    *("cli/atlas.overview", "cli/atlas.studies", "cli/atlas.runs", "findings/provenance"),
    *("findings/coverage", "findings/missing_genes", "findings/not_measured", "findings/top_genes"),
)
# The word that stands in a statement for the condition that chooses cells.
CONDITION = "is_chosen"
# The columns that group the findings of hits, by the name that a statement gives them. Words end in _column.
SCORES = {"study": "study", "label": "label_column"}
HEAT_MAP = {"cell_type": "cell_type", "label": "label_column"}
UNITS = {"study": "study", **{name: f"{name}_column" for name in ("within", "group", "unit", "pair")}}


def catalog() -> dict[str, Any]:
    """The statements by their name, each with its text and the names of its parameters, and the charts."""
    statements = {name: as_entry(parse_statement(name), statement(name).strip()) for name in (*FRAME, *CELLS)}
    for name, (query, choose) in findings().items():
        statements[name] = as_entry(query)
        statements[f"{name}.chosen"] = as_entry(choose(query.copy()))
    statements["explorer/cells.signatures"] = as_entry(rank_lassoed()) | {"notes": [RULE]}
    return {
        "version": version("sigdb-atlas"),
        "statements": statements,
        "specs": {name: make_safe(configure(spec)) for name, spec in specs().items()},
        "columns": list(CUBE),
        "names_none": {field: sorted(names) for field, names in NAMES_NONE.items()},
        "words": words(),
        "embedding": THEME,
    }


def as_entry(query: exp.Expression, text: str | None = None) -> dict[str, Any]:
    """A statement with its text and the names of its parameters, in alphabetical order."""
    for column in query.find_all(exp.Column):
        if column.name.endswith("_column"):
            column.this.set("quoted", False)
    return {
        "sql": text or to_sql(query),
        "parameters": sorted({node.name for node in query.find_all(exp.Placeholder)}),
    }


def findings() -> dict[str, tuple[exp.Select, Callable[[exp.Select], exp.Select]]]:
    """The statements of findings by the name of their tab, and what makes them ask about the chosen cells only."""
    group_hits, unit_hits = (parse_statement(f"findings/{name}") for name in ("group_hits", "unit_hits"))
    return {
        "scores": (group_by_columns(group_hits.copy(), SCORES), choose_cells),
        "heat_map": (group_by_columns(group_hits, HEAT_MAP), choose_cells),
        "distributions": (parse_statement("findings/score_bins"), choose_cells),
        "hits": (parse_statement("findings/hit_rates"), lambda query: choose_population(query, CONDITION)),
        "leading_genes": (parse_statement("findings/leading_genes"), choose_groups),
        "null": (parse_statement("findings/null"), choose_groups),
        "gene_dots": (parse_statement("findings/gene_dots"), choose_samples),
        "compare": (group_by_columns(unit_hits, UNITS), lambda query: choose_population(query, CONDITION)),
    }


def choose_cells(query: exp.Select) -> exp.Select:
    """The statement about cells that fulfil the condition."""
    return keep_cells(query, CONDITION)


def choose_groups(query: exp.Select) -> exp.Select:
    """The statement about groups of the cube that fulfil the condition."""
    first = next(select for select in query.find_all(exp.Select) if select.args.get("where"))
    first.where(parse_condition(CONDITION), copy=False)
    return query


def choose_samples(query: exp.Select) -> exp.Select:
    """The statement about samples and cell types that fulfil the condition, in each of its parts that group them."""
    for select in grouped(query):
        select.where(parse_condition(CONDITION), copy=False)
    return query


def specs() -> Mapping[str, Any]:
    """The charts by name. Each reads the rows of the statement that its function names; effects, those of tests."""
    return {
        "intervals": intervals_spec(),
        "heat_map": heat_map_spec(),
        "distributions": distributions_spec(),
        "hit_rates": hit_rates_spec(),
        "contributions": contributions_spec(),
        "null_scores": null_scores_spec(),
        "dots": dots_spec(),
        "top_genes": top_genes_spec(),
        **{f"effects_{of}": forest(["one study"], "hedges_g", of) for of in ("z", "hits")},
    }


def words() -> Mapping[str, Any]:
    """The words of notes, and the limits beyond which groups are warned of. In brackets: what the page fills in."""
    return {
        "depth": comparability.DEPTH,
        "depth_factor": comparability.DEPTH_FACTOR,
        "depths": comparability.DEPTHS,
        "coverage": comparability.COVERAGE,
        "coverage_step": comparability.COVERAGE_STEP,
        "raw": comparability.RAW,
        "calibrated": comparability.CALIBRATED,
        "uncalibrated": comparability.UNCALIBRATED,
        "within": comparability.WITHIN,
        "compared": comparability.COMPARED,
        "left_out": REASONS,
        "rename": RENAME,
        "compared_with": COMPARED_WITH,
        "null": NOTES[0],
        "partly_measured": PARTLY_MEASURED,
    }


def write_catalog(folder: Path) -> Path:
    """Write catalog.json into the folder of the built page."""
    path = folder / "catalog.json"
    path.write_text(json.dumps(catalog(), ensure_ascii=False), encoding="utf-8")
    return path


if __name__ == "__main__":
    write_catalog(Path(str(files("sigdb") / "data" / "explorer")))
