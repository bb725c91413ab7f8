"""The statements of the page, filled as the page fills them, give the rows of the findings of Python."""

from __future__ import annotations

import json
import re
from functools import cache

import altair as alt
import pytest
from sqlglot import exp

import sigdb
from sigdb.atlas.fields import NAMES_NONE
from sigdb.explorer.catalog import catalog, write_catalog
from sigdb.findings.groups import calibrated_scores
from sigdb.findings.hits import CutOff
from sigdb.findings.units import Design, unit_values
from sigdb.scores.names import ask_scores
from sigdb.scores.options import score_parameters

GENES = ["LYZ", "CD14", "FCN1", "AIF1"]
CELLS = "study IN ('wu2020_tcell', 'baron2016_pancreas') AND (tissue <> 'blood' OR tissue IS NULL)"
# As TOKENS of literals.js: text, quoted names and comments stay as they are.
TOKENS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*[\s\S]*?\*/|\$[A-Za-z_]\w*|[A-Za-z_]\w*")
SCORE = {"genes": GENES, "weights": None, "agg": "mean", "missing": "error", "run": None, "signed": False}
SCORE |= {"measured_only": False, "min_coverage": 0}
HIT = {"percentile": 99, "cutoff": None, "sd": None, "below": False, "against": "controls"}
UNNAMED = {f"unnamed_{field}s": sorted(names) for field, names in NAMES_NONE.items()}
POPULATION = "sigdb_data.cell_data"
UNITS = {"within_column": "cell_type", "group_column": "tissue", "unit_column": "donor", "pair_column": "donor"}


@cache
def made():
    return catalog()


def fill(sql: str, values: dict, words: dict) -> str:
    """A statement with its values and words, as `fill` of literals.js."""

    def value_of(found: re.Match) -> str:
        token = found.group()
        if token in words:
            return words[token]
        return exp.convert(values[token[1:]]).sql("duckdb") if token.startswith("$") else token

    return TOKENS.sub(value_of, sql)


def rows_of(con, name, by=None, cells=None, **values):
    """The rows of a statement of the page."""
    entry = made()["statements"][f"{name}.chosen" if cells else name]
    words = {word: f'"{column}"' for word, column in UNITS.items()} | {"label_column": f'"{by}"'}
    words |= {"is_chosen": f"({cells})"} if cells else {}
    population = "chosen_cells" if cells and name in ("hits", "compare") else POPULATION
    values = {**SCORE, **HIT, **UNNAMED, "cells": population, "unnamed": UNNAMED.get(f"unnamed_{by}s", []), **values}
    assert set(entry["parameters"]) <= set(values)
    return con.sql(fill(entry["sql"], values, words)).to_arrow_table()


def of_hits(con, name, cells):
    rows = rows_of(con, name, "donor", cells, min_cells=3, min_samples=1)
    return rows, sigdb.hits(con, GENES, by="donor", min_cells=3, min_samples=1, cells=cells).all_samples


def of_scores(con, name, cells):
    rows = rows_of(con, name, "tissue", cells, min_cells=5)
    columns = {"study": "study", "label": "tissue"}
    return rows, calibrated_scores(con, GENES, columns, cells, 5).table


def of_heat_map(con, name, cells):
    rows = rows_of(con, name, "study", cells, min_cells=5)
    return rows, sigdb.group_scores(con, GENES, by="study", cells=cells, min_cells=5).table


def of_distributions(con, name, cells):
    rows = rows_of(con, name, "disease", cells, n_bins=20, min_cells=10)
    return rows, sigdb.score_bins(con, GENES, by="disease", cells=cells, n_bins=20).table


def of_leading_genes(con, name, cells):
    return rows_of(con, name, cells=cells, n=3, min_cells=10), sigdb.leading_genes(con, GENES, n=3, groups=cells).table


def of_null(con, name, cells):
    rows = rows_of(con, name, cells=cells, n_controls=50, seed=0, n_bins=25, min_cells=10)
    return rows, sigdb.matched_null(con, GENES, n_controls=50, groups=cells).table


def of_gene_dots(con, name, cells):
    return rows_of(con, name, "tissue", cells, min_cells=10), sigdb.gene_dots(
        con, GENES, by="tissue", cells=cells
    ).table


def of_compare(con, name, cells):
    design = Design("tissue", "normal adjacent", "donor", "cell_type", "donor", (), 3, 3)
    population = "chosen_cells" if cells else POPULATION
    parameters = score_parameters(con, GENES) | CutOff().parameters | {"cells": population, "min_coverage": 0}
    rows = rows_of(con, name, None, cells)
    return rows, ask_scores(con, unit_values(design, "z", cells), parameters).table


FINDINGS = {name.removeprefix("of_"): make for name, make in globals().items() if name.startswith("of_")}


@pytest.fixture(scope="module")
def con(demo_path):
    with sigdb.connect(demo_path) as con:
        yield con


def in_order(table):
    """The rows in the order of their names. The last digits of a mean depend on the order of its threads."""
    rows = table.to_pylist()
    exact = [{name: value for name, value in row.items() if not isinstance(value, float)} for row in rows]
    order = sorted(range(len(rows)), key=lambda place: str(exact[place]))
    return [rows[place] for place in order]


@pytest.mark.parametrize("cells", [CELLS, pytest.param(None, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n == "heat_map" else n for n in FINDINGS])
def test_a_statement_of_the_page_gives_the_rows_of_the_finding(con, name, cells):
    rows, expected = FINDINGS[name](con, name, cells)
    assert expected.num_rows >= 3
    assert rows.schema == expected.schema
    found = in_order(rows)
    assert len(found) == expected.num_rows
    for row, wanted in zip(found, in_order(expected), strict=True):
        assert row == {
            each: pytest.approx(value, rel=1e-9, abs=1e-12) if isinstance(value, float) else value
            for each, value in wanted.items()
        }


def test_every_finding_of_the_catalog_is_tested():
    names = set(made()["statements"])
    assert {name for name in names if "/" not in name and not name.endswith(".chosen")} == set(FINDINGS)
    assert {f"{name}.chosen" for name in FINDINGS} <= names


@pytest.mark.parametrize("name", list(made()["specs"]))
def test_a_chart_reads_the_named_data_set(name):
    """It is valid, has no rows of its own, and says what its marks mean."""
    spec = made()["specs"][name]
    alt.Chart.from_dict(spec, validate=True)
    assert "datasets" not in spec
    if name.startswith("effects"):  # the page computes the tests
        assert spec["data"] == {"name": "tests"}
        return
    assert spec["data"] == {"name": "table"}
    assert all(line.endswith(".") for line in spec["usermeta"]["legend"])


def test_the_catalog_is_json(tmp_path):
    found = json.loads(write_catalog(tmp_path).read_text(encoding="utf-8"))
    assert found == made()
    assert all("label_column" not in entry["parameters"] for entry in found["statements"].values())


def test_the_words_of_notes_have_only_places_that_the_page_fills():
    places = {
        "low",
        "low_value",
        "high",
        "high_value",
        "what",
        "times",
        "consequence",
        "n_genes",
        "min_cells",
        "by",
        "min_samples",
    }
    texts = [text for text in made()["words"].values() if isinstance(text, str)] + [
        *made()["words"]["left_out"].values()
    ]
    assert {place for text in texts for place in re.findall(r"{(\w+)[^}]*}", text)} == places
