"""What a reader can paste from the documentation is run, and prints what the page says; links lead somewhere.

A block's language says what happens to it: see `DONE`. A block that cannot be run here has `not-run` after its
language, and its page says so.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest
from markdown_it import MarkdownIt

import sigdb
from tests.support import ROOT

TOOLS = ROOT / ".venv-tools" / "bin" / "python"
NODE = ROOT / ".clients" / "node" / "node_modules"

# Pages that `make docs` writes. tests/sql/test_headers.py runs the examples of the first. The second has the texts of
# --help.
GENERATED = ["docs/sql.md", "docs/cli.md"]
WRITTEN = sorted(
    str(path.relative_to(ROOT))
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]
    if str(path.relative_to(ROOT)) not in GENERATED
)
PAGES = [*WRITTEN, *GENERATED]

DONE = {
    "console": "commands are run, and print what follows them",
    "python": "run",
    "python tools": "run, without sigdb",
    "python client": "run by tests/web, against a server",
    "sh client": "run by tests/web, against a server",
    "r client": "run by tests/web, against a server",
    "js": "run",
    "sql": "run on the demo atlas",
    "sh": "commands, options and targets of make exist",
    "json": "parsed",
    "text": "nothing: no code, or code that the page explains",
}
# What the blocks of a page need, which the page explains in words.
BEFORE = {
    "docs/guides/charts.md": "import sigdb\nfrom sigdb import plots\ncon = sigdb.connect('demo.duckdb')\n"
    "GENES = ['LYZ', 'CD14', 'FCN1', 'AIF1']",
    "docs/mlp-format.md": "import os, torch; os.mkdir('my-encoder'); net = torch.nn.Sequential(torch.nn.Linear(2, 1))",
}


class Block(NamedTuple):
    """A fenced block of code of a page."""

    page: str
    info: str
    code: str


@cache
def tokens(page):
    return MarkdownIt().enable("table").parse((ROOT / page).read_text(encoding="utf-8"))


BLOCKS = [Block(page, token.info, token.content) for page in WRITTEN for token in tokens(page) if token.type == "fence"]


# Pages whose blocks take long.
SLOW_PAGES = ("docs/guides/charts.md", "docs/guides/check-a-model.md")


def each_block(language):
    """A test for each block of a language."""
    found = [
        pytest.param(block, marks=[pytest.mark.slow] * (block.page in SLOW_PAGES))
        for block in BLOCKS
        if block.info == language
    ]
    return pytest.mark.parametrize("block", found, ids=lambda block: f"{block.page}: {block.code[:30]}")


@pytest.fixture
def folder(demo_path, tmp_path):
    """A folder with the demo atlas, as after `make demo`."""
    shutil.copy(demo_path, tmp_path / "demo.duckdb")
    return tmp_path


def run(command, folder):
    """What a command prints. It must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done


def words(text):
    """Text as words, with numbers as numbers: another machine may round the last digit of a score differently."""
    found = [word.replace(",", "") for word in text.split()]
    return [float(word) if re.fullmatch(r"-?\d+(\.\d+)?", word) else word for word in found]


def arguments(command):
    """The words of a shell command, or None if it continues on the next line."""
    try:
        return None if command.endswith("\\\n") else shlex.split(command.replace("\\\n", " "), comments=True)
    except ValueError:
        return None


def sessions(block):
    """Commands, which begin with `$ ` and may have several lines, and what each prints."""
    found = []
    for line in block.splitlines(keepends=True):
        if found and arguments(found[-1][0]) is None:
            found[-1][0] += line
        elif line.startswith("$ "):
            found.append([line.removeprefix("$ "), ""])
        else:
            found[-1][1] += line
    return [(arguments(command), output) for command, output in found]


@each_block("console")
def test_commands_print_what_the_page_says(folder, block):
    programs = {"sigdb": [sys.executable, "-m", "sigdb"], "duckdb": [Path(sys.executable).with_name("duckdb")]}
    for (program, *rest), output in sessions(block.code):
        together = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run([*programs[program], *rest], text=True, cwd=folder, **together)
        found, expected = words(done.stdout), words(output)
        assert len(found) == len(expected)
        for got, want in zip(found, expected, strict=True):
            assert got == (pytest.approx(want, rel=0.01) if isinstance(want, float) else want)


@pytest.mark.slow
@each_block("python")
def test_python_runs(folder, block):
    assert run([sys.executable, "-c", f"{BEFORE.get(block.page, '')}\n{block.code}"], folder).stderr == ""


@pytest.mark.slow
@pytest.mark.skipif(not TOOLS.exists(), reason="the tools are not installed: make .venv-tools/ready")
@each_block("python tools")
def test_database_tools_run_without_sigdb(folder, block):
    assert run([TOOLS, "-c", block.code], folder).stdout.count("n_measured") == 2


@pytest.mark.skipif(shutil.which("node") is None or not NODE.exists(), reason="node is not installed")
@each_block("js")
def test_node_runs(folder, block):
    (folder / "node_modules").symlink_to(NODE)
    (folder / "block.mjs").write_text(block.code)
    assert "n_measured" in run(["node", "block.mjs"], folder).stdout


@each_block("sql")
def test_sql_runs(folder, monkeypatch, block):
    monkeypatch.chdir(folder)
    with duckdb.connect() if "ATTACH" in block.code else sigdb.connect("demo.duckdb") as con:
        con.execute(block.code)


@each_block("json")
def test_json_is_json(block):
    assert json.loads(block.code)


@pytest.mark.parametrize("page", WRITTEN)
def test_pages_say_what_is_not_run(page):
    """The language of a block says what the tests do with it. r and java have no runtime here."""
    kinds = {block.info for block in BLOCKS if block.page == page and not block.info.startswith("{")} - set(DONE)
    assert all(kind in {"r", "java"} or kind.endswith(" not-run") for kind in kinds), kinds
    if kinds:
        assert "not run" in (ROOT / page).read_text(encoding="utf-8").lower()


def test_the_blocks_are_there():
    """A parser that finds nothing would pass every test above."""
    counts = {kind: sum(block.info == kind for block in BLOCKS) for kind in DONE}
    assert counts["console"] >= 7
    assert counts["python"] >= 6
    assert counts["sql"] >= 3
    assert counts["sh"] >= 10
    assert (counts["python tools"], counts["js"]) == (1, 1)


# --- commands that are named


@cache
def commands():
    """The options of each command, as docs/cli.md lists them (`make lint` compares it with the commands)."""
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    parts = re.split(r"^#+ `(sigdb.*?)`$", page, flags=re.MULTILINE)[1:]
    return {
        name: {
            option
            for line in re.findall(r"^\* `(-.*?)`:?", text, re.MULTILINE)
            for option in re.findall(r"-[-\w]+", line)
        }
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    }


@cache
def targets():
    """The targets of the Makefile."""
    return set(re.findall(r"^([\w./-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))


def named_commands(page):
    """The commands that a page names: in blocks for a shell, in indented blocks, and within the text."""
    for token in tokens(page):
        if token.type == "code_block" or (token.type == "fence" and token.info == "sh"):
            yield from (line for line in re.split(r"(?<!\\)\n", token.content) if line.strip())
        yield from (child.content for child in token.children or () if child.type == "code_inline")


@pytest.mark.parametrize("page", WRITTEN)
def test_named_commands_exist(page):
    for text in named_commands(page):
        program, *rest = text.replace("\\\n", " ").split() or [""]
        if program == "make":
            assert set(rest[:1]) - set(re.findall(r"\w+=.*", text)) <= targets(), text
        elif program == "sigdb":
            name = max((name for name in commands() if f"{text} ".startswith(f"{name} ")), key=len)
            rest = text.removeprefix(name).split()
            assert name != "sigdb" or not rest or rest[0].startswith("-"), f"There is no such command: {text}"
            options = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
            assert options <= commands()[name] | commands()["sigdb"], text


# --- tests and files that are named


@cache
def names_of_tests():
    """The names of all tests."""
    found = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    return set(re.findall(r"^def (test_\w+)", found, re.MULTILINE))


@pytest.mark.parametrize("page", WRITTEN)
def test_named_tests_and_files_exist(page):
    named = [child.content for token in tokens(page) for child in token.children or () if child.type == "code_inline"]
    assert {text for text in named if re.fullmatch(r"test_\w+", text)} <= names_of_tests()
    for text in named:
        if re.fullmatch(r"(sigdb|ingest|sql|tests|docs|benchmarks)/[a-z0-9_./]*(/|\.\w+)", text):
            assert (ROOT / text).exists(), text


# --- links and lines


def slug(heading):
    """The anchor of a heading, as GitHub and MyST make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@cache
def anchors(path):
    """The anchors of a page."""
    found = MarkdownIt().parse(path.read_text(encoding="utf-8"))
    return {
        slug("".join(child.content for child in after.children))
        for before, after in pairwise(found)
        if before.type == "heading_open"
    }


def markdown(page):
    """The Markdown of a page, or of the cells of a notebook."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if page.endswith(".md"):
        return text
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")


def links(page):
    """The targets of a page's links and pictures."""
    for token in MarkdownIt().enable("table").parse(markdown(page)):
        targets = (child.attrs.get("href") or child.attrs.get("src") for child in token.children or ())
        yield from (str(target) for target in targets if target)


NOTEBOOKS = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("notebooks/*.ipynb"))


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_notebooks_are_stored_with_whole_tables(page):
    """pandas leaves out columns and rows of large tables, and writes ... in their place."""
    cells = [
        cell for cell in json.loads((ROOT / page).read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"
    ]
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)], "run all cells, in order"
    for output in (output for cell in cells for output in cell["outputs"]):
        assert output["output_type"] != "error"
        assert not re.search(r"<t[dh]>\.\.\.</t[dh]>", "".join(output.get("data", {}).get("text/html", "")))


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS])
def test_links_lead_somewhere(page):
    for target in links(page):
        if re.match(r"https?:", target):
            continue
        place, _, anchor = target.partition("#")
        path = (ROOT / page).parent / place if place else ROOT / page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


@pytest.mark.parametrize("name", ["sigdb", "ingest"])
def test_every_public_name_is_in_the_reference(name):
    module = pytest.importorskip(name)
    page = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    listed = set(re.findall(rf"\.\. (?:auto\w+|py:module):: {name}\.(\w+)$", page, re.MULTILINE))
    assert listed == set(module.__all__)


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", WRITTEN)
def test_lines_are_short(page):
    """At most 120 characters, except in rows of a table and in lines that a link makes longer."""
    for number, line in enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), 1):
        if not line.startswith("|") and "](" not in line and "://" not in line:
            assert len(line) <= 120, f"{page}:{number}"


def test_the_table_of_markers_is_what_the_benchmark_gives(demo_path):
    """The page compares attribution with expression; the figures of both are measured again, to the last digit."""
    pytest.importorskip("anndata")
    from benchmarks.markers import by_study, compare

    with sigdb.connect(demo_path) as con:
        found = by_study(compare(con))
    table = re.findall(
        r"^\| (\w+) \|(.*\d.*)\|$", markdown("docs/concepts/expression.md").partition("##")[2], re.MULTILINE
    )
    shown = {study: [float(number) for number in re.findall(r"[\d.]+", row)] for study, row in table if study in found}
    assert shown.keys() == found.keys()
    for study, figures in found.items():
        assert shown[study] == pytest.approx(list(figures.values()), abs=0.0051), study
