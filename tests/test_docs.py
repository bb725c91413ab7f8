"""What a reader can paste from the README is run, and prints what the README says it prints."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

import sigdb

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [(token.info, token.content) for token in MarkdownIt().parse(README) if token.type == "fence"]


def blocks(language):
    return [content for info, content in BLOCKS if info == language]


@pytest.fixture
def folder(demo_path, tmp_path):
    """A folder with the demo atlas, as after `make demo`."""
    shutil.copy(demo_path, tmp_path / "demo.duckdb")
    return tmp_path


def words(text):
    """Text as words, with numbers as numbers: another machine may round the last digit of a score otherwise."""
    found = [word.replace(",", "") for word in text.split()]
    return [float(word) if re.fullmatch(r"-?\d+(\.\d+)?", word) else word for word in found]


@pytest.mark.parametrize("block", blocks("console"), ids=lambda block: block[:40])
def test_console_blocks_print_what_they_say(folder, block):
    command, _, output = block.removeprefix("$ ").partition("\n")
    program, *arguments = shlex.split(command)
    assert program == "sigdb"
    done = subprocess.run([sys.executable, "-m", "sigdb.cli", *arguments], capture_output=True, text=True, cwd=folder)
    assert done.stderr == ""
    found, expected = words(done.stdout), words(output)
    assert len(found) == len(expected)
    for got, want in zip(found, expected, strict=True):
        assert got == (pytest.approx(want, rel=0.01) if isinstance(want, float) else want)


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block[:20])
def test_python_blocks_run(folder, block):
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_blocks_are_there():
    assert len(blocks("console")) >= 2
    assert len(blocks("python")) >= 2


@pytest.mark.parametrize(
    "page", ["README.md", *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").rglob("*.md")))]
)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text(encoding="utf-8")):
        assert (ROOT / page).parent.joinpath(target).exists(), target


@pytest.mark.parametrize("block", blocks("sql"), ids=lambda block: block[:20])
def test_sql_blocks_run(demo_path, block):
    with sigdb.connect(demo_path) as con:
        con.execute(block)
