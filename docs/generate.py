"""Write docs/sql.md from the headers of sql/ and docs/cli.md from the commands' help; --check fails if they differ.

Both say what the code says, so that no third text can go stale.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sigdb.atlas.schema import SqlObject, objects

DOCS = Path(__file__).parent


def sql_page() -> str:
    """The views and macros that people use, each with its contract and its example."""
    public = sorted((each for each in objects() if each.schema == "main"), key=lambda each: (each.name, each.kind))
    parts = [
        "# The SQL surface\n",
        "Written by `make docs` from the headers of `sql/`; the same texts are in the atlas, as comments "
        "(`SELECT function_name, comment FROM duckdb_functions() WHERE NOT internal`). "
        "Examples are run by the tests on the toy atlas of `tests/support/toy.py`.\n",
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
    """The help of every command, as typer renders it."""
    command = [sys.executable, "-m", "typer", "sigdb.cli", "utils", "docs", "--name", "sigdb"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "100"})
    return result.stdout.strip() + "\n"


def main() -> None:
    """Write the pages, or compare them."""
    stale = []
    for name, page in (("sql.md", sql_page()), ("cli.md", cli_page())):
        path = DOCS / name
        if "--check" not in sys.argv:
            path.write_text(page, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != page:
            stale.append(name)
    if stale:
        sys.exit(f"docs/{', docs/'.join(stale)} are not what the code says. Run: make docs")


main()
