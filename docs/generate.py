"""Write docs/sql.md from the headers of `sql/`, and docs/cli.md from the help of the commands.

The pages repeat what the code says, so that they cannot go stale. With --check, nothing is written: the script fails if
a page differs from the code.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from sigdb.atlas.schema import SqlObject, objects

DOCS = Path(__file__).parent
WIDTH = 120


def sql_page() -> str:
    """The public views and macros, each with its contract and its example."""
    public = sorted((each for each in objects() if each.schema == "main"), key=lambda each: (each.name, each.kind))
    parts = [
        "# The SQL surface\n",
        "`make docs` writes this page from the headers of `sql/`. An atlas carries the same texts as comments:\n"
        "`SELECT function_name, comment FROM duckdb_functions() WHERE NOT internal`.\n"
        "The tests run the examples on the toy atlas of `tests/support/toy.py`.\n",
        "## Macros\n",
        *(section(each) for each in public if each.kind != "VIEW"),
        "## Views\n",
        *(section(each) for each in public if each.kind == "VIEW"),
    ]
    return "\n".join(parts)


def section(each: SqlObject) -> str:
    """One view or macro."""
    example = f"```sql\n{each.example};  --> {each.expected}\n```\n"
    heading = (
        each.name if each.kind == "VIEW" else f"{each.name} ({'table' if each.kind == 'MACRO TABLE' else 'scalar'})"
    )
    signature = "" if each.kind == "VIEW" else f"```\n{each.signature}\n```\n\n"
    return f"### {heading}\n\n{signature}```text\n{each.contract}\n```\n\n{example}"


def cli_page() -> str:
    """The help of every command, as typer writes it, in lines of at most 120 characters."""
    command = [sys.executable, "-m", "typer", "sigdb.cli", "utils", "docs", "--name", "sigdb"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "100"})
    return wrap_prose(result.stdout.strip()) + "\n"


def wrap_prose(text: str) -> str:
    """Wrap the paragraphs and list items of a Markdown text; code and headings stay as they are."""
    lines, is_code = [], False
    for line in text.splitlines():
        is_code ^= line.startswith("```")
        if is_code or line.startswith(("#", "```")):
            lines.append(line)
        else:
            indent = "  " if line.startswith("* ") else ""
            options = {"subsequent_indent": indent, "break_long_words": False, "break_on_hyphens": False}
            lines += textwrap.wrap(line, WIDTH, **options) or [""]
    return "\n".join(line.rstrip() for line in lines)


def main() -> None:
    """Write the pages, or compare them with the code."""
    stale = []
    for name, page in (("sql.md", sql_page()), ("cli.md", cli_page())):
        path = DOCS / name
        if "--check" not in sys.argv:
            path.write_text(page, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != page:
            stale.append(name)
    if stale:
        sys.exit(f"docs/{', docs/'.join(stale)} differ from the code. Run: make docs")


main()
