"""Files: the format of the suffix, all rows, the same values in each format, and no trace of a failure."""

from __future__ import annotations

import csv
import io
import json
import os
from html.parser import HTMLParser

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from sigdb.cli.formats import SUFFIXES, WRITERS, format_of
from sigdb.cli.options import Format
from sigdb.text import printable
from tests.sigdb.cli.conftest import run, words

ROWS = "SELECT i, i % 7 AS j, 'n' || i AS name FROM range(250) AS r (i)"
HOSTILE = "<script>alert(1)</script>|`x`*y*_z_ [a](javascript:b) &amp; $c$"


class Cells(HTMLParser):
    """The cells of the table of a page, and the tags of the page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.inside = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data


def markdown_rows(text: str) -> list[list[str]]:
    """The cells of the table of a Markdown text, as a reader shows them."""
    rows: list[list[str]] = []
    for token in MarkdownIt().enable(["table", "strikethrough"]).parse(text):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            assert {child.type for child in token.children} <= {"text"}
            rows[-1].append("".join(child.content for child in token.children))
    return rows


READ = {
    ".csv": lambda path: list(csv.reader(path.read_text().splitlines()))[1:],
    ".tsv": lambda path: list(csv.reader(path.read_text().splitlines(), delimiter="\t"))[1:],
    ".json": lambda path: [list(row.values()) for row in json.loads(path.read_text())],
    ".ndjson": lambda path: [list(json.loads(line).values()) for line in path.read_text().splitlines()],
    ".jsonl": lambda path: [list(json.loads(line).values()) for line in path.read_text().splitlines()],
    ".parquet": lambda path: [list(row.values()) for row in pq.read_table(path).to_pylist()],
    ".md": lambda path: markdown_rows(path.read_text())[1:],
    ".html": lambda path: Cells(path.read_text()).rows[1:],
    ".htm": lambda path: Cells(path.read_text()).rows[1:],
    ".txt": lambda path: [line.split() for line in path.read_text().splitlines()[2:]],
}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_has_the_format_of_its_suffix_and_all_rows(toy_path, tmp_path, monkeypatch, suffix):
    monkeypatch.setattr("sigdb.cli.output.BATCH", 60)
    path = tmp_path / f"x{suffix}"
    code, out, err = run("sql", toy_path, ROWS, "-o", path)
    assert (code, out, words(err)) == (0, "", f"Wrote {path}: 250 rows, 3 columns.")
    rows = READ[suffix](path)
    assert len(rows) == 250
    assert [str(value).replace(",", "") for value in rows[201]] == ["201", "5", "n201"]
    assert os.listdir(tmp_path) == [path.name]


def test_a_format_that_is_asked_for_wins(toy_path, tmp_path):
    run("sql", toy_path, "SELECT 1 AS a", "-o", tmp_path / "x.csv", "--format", "json")
    assert json.loads((tmp_path / "x.csv").read_text()) == [{"a": 1}]


def test_every_command_takes_its_format_from_the_file(workdir):
    for command in (["score", "toy.duckdb", "CD3E"], ["signatures", "list", "toy.duckdb"]):
        code, out, err = run(*command, "-o", "x.csv", cwd=workdir)
        assert (code, out) == (0, ""), err
        assert len(list(csv.reader((workdir / "x.csv").read_text().splitlines()))) > 1
    hits = ["hits", "toy.duckdb", "CD3E", "--cutoff", "1", "--min-cells", "1", "--min-samples", "1"]
    code, out, err = run(*hits, "-o", "hits.json", cwd=workdir)
    assert (code, out) == (0, ""), err
    assert "Wrote hits.json: 1 row, 9 columns. A hit is above" in words(err)
    assert "median_rate" in json.loads((workdir / "hits.json").read_text())[0]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_failure_leaves_the_file_as_it_was(toy_path, tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_text("before")
    failing = "SELECT CASE WHEN i < 20000 THEN i ELSE error('late') END AS i FROM range(20500) AS r (i)"
    code, _, err = run("sql", toy_path, failing, "-o", path)
    assert (code, "late" in err, path.read_text()) == (1, True, "before")
    assert os.listdir(tmp_path) == [path.name]


def test_a_full_disk_leaves_the_file_as_it_was(toy_path, tmp_path, monkeypatch):
    def write_half(names: object, batches: object, file: io.TextIOBase) -> None:
        file.write("half")
        raise OSError("No space left on device")

    monkeypatch.setitem(WRITERS, Format.csv, write_half)
    (tmp_path / "x.csv").write_text("before")
    code, _, err = run("sql", toy_path, "SELECT 1 AS a", "-o", tmp_path / "x.csv")
    assert (code, "No space left" in err, (tmp_path / "x.csv").read_text()) == (1, True, "before")
    assert os.listdir(tmp_path) == ["x.csv"]


def test_a_link_is_followed_and_a_device_is_written_to(toy_path, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "x.csv").symlink_to(tmp_path / "data" / "y.csv")
    run("sql", toy_path, "SELECT 1 AS a", "-o", tmp_path / "x.csv")
    assert (tmp_path / "x.csv").is_symlink()
    assert (tmp_path / "data" / "y.csv").read_text() == "a\n1\n"
    assert run("sql", toy_path, "SELECT 1 AS a", "-o", "/dev/null", "--format", "csv")[0] == 0


@pytest.mark.parametrize("form", [form for form in Format if form is not Format.parquet])
def test_an_empty_result_has_its_columns(toy_path, form):
    code, out, _ = run("sql", toy_path, "SELECT 1 AS a WHERE false", "--format", form)
    expected = {"json": "[]", "ndjson": "", "table": "0 rows.", "html": "<th>a</th>"}
    assert (code, expected.get(form, "a") in out) == (0, True)
    if form is Format.table:
        assert out.splitlines() == ["a", "─", "0 rows."]


def test_suffixes_and_formats():
    assert set(SUFFIXES.values()) == set(Format) == {*WRITERS, Format.parquet}
    assert format_of(None, None) is Format.table


def written(form: Format, names: list[str], rows: list[tuple[object, ...]]) -> str:
    file = io.StringIO()
    WRITERS[form](names, iter([rows] if rows else []), file)
    return file.getvalue()


def test_names_from_data_are_no_markup():
    page = Cells(written(Format.html, [HOSTILE, "n"], [(HOSTILE, 1)]))
    assert page.rows == [[HOSTILE, "n"], [HOSTILE, "1"]]
    assert "script" not in page.tags
    assert markdown_rows(written(Format.md, [HOSTILE, "n"], [(HOSTILE, 1)])) == [[HOSTILE, "n"], [HOSTILE, "1"]]


@settings(max_examples=50)
@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), min_size=1, max_size=4))
def test_readers_of_each_format_get_the_same_texts(rows):
    names = ["a", "b"]
    assert list(csv.reader(io.StringIO(written(Format.csv, names, rows), newline="")))[1:] == [list(r) for r in rows]
    assert [tuple(json.loads(line).values()) for line in io.StringIO(written(Format.ndjson, names, rows))] == rows
    shown = [[printable(text) for text in row] for row in rows]
    assert Cells(written(Format.html, names, rows)).rows[1:] == shown
    # Markdown has no blanks at the ends of a cell.
    stripped = [[text.strip() for text in row] for row in shown]
    assert [[text.strip() for text in row] for row in markdown_rows(written(Format.md, names, rows))[1:]] == stripped
