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
from tests.support import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
TOOLS = ROOT / ".venv-tools" / "bin" / "python"
NODE = ROOT / ".clients" / "node" / "node_modules"
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
    programs = {"sigdb": [sys.executable, "-m", "sigdb.cli"], "duckdb": [Path(sys.executable).with_name("duckdb")]}
    done = subprocess.run([*programs[program], *arguments], capture_output=True, text=True, cwd=folder)
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


@pytest.mark.skipif(not TOOLS.exists(), reason="the tools are not installed: make .venv-tools/ready")
@pytest.mark.parametrize("block", blocks("python tools"), ids=lambda block: block[:20])
def test_blocks_of_database_tools_run_without_sigdb(folder, block):
    done = subprocess.run([TOOLS, "-c", block], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("n_measured") == 2


@pytest.mark.skipif(shutil.which("node") is None or not NODE.exists(), reason="node is not installed")
@pytest.mark.parametrize("block", blocks("js"), ids=lambda block: block[:20])
def test_node_blocks_run(folder, block):
    (folder / "node_modules").symlink_to(NODE)
    (folder / "block.mjs").write_text(block)
    done = subprocess.run(["node", "block.mjs"], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "n_measured" in done.stdout


def test_the_blocks_are_there():
    assert len(blocks("console")) >= 2
    assert len(blocks("python")) >= 2
    assert [len(blocks(kind)) for kind in ("python tools", "js")] == [1, 1]


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
