"""Rules for the code as a whole: SQL stands in sql/, files and functions are short, imports are few and in order."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from sigdb.atlas.file import SCHEMA_VERSION
from sigdb.atlas.upgrade import OLDEST_SCHEMA
from sigdb.statements import named_parts, sql_root
from tests.support import ROOT

LIBRARY = [path for folder in ("sigdb", "ingest") for path in sorted((ROOT / folder).rglob("*.py"))]
CODE = [*LIBRARY, *sorted((ROOT / "tests").rglob("*.py"))]
OUTSIDE_CLI = [path for path in LIBRARY if not path.is_relative_to(ROOT / "sigdb" / "cli")]

# A text is taken for SQL if it begins with one of these, and goes on as SQL does.
STARTS = (
    *("SELECT", "FROM", "WITH", "VALUES", "INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "CREATE", "ALTER", "DROP"),
    *("COMMENT ON", "COPY", "EXPORT", "IMPORT", "DESCRIBE", "SUMMARIZE", "EXPLAIN", "SHOW", "PIVOT", "CALL"),
    *("WHERE", "GROUP BY", "ORDER BY", "QUALIFY", "HAVING"),
)
SQL = re.compile(rf"\s*({'|'.join(STARTS)})\b(\s+[^\sa-z]|\s+[a-z_]+\.|\s*$|\s+[a-z_]+\s+[A-Z]|\s+[\w.]+\s*$)")
# Short statements about the session or the file. They may stand in Python; all others stand in sql/.
IN_PYTHON = re.compile(
    r"\s*(SET|RESET|BEGIN|COMMIT|ROLLBACK|CHECKPOINT|USE|ATTACH|DETACH|INSTALL|LOAD|PRAGMA)\b", re.IGNORECASE
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def of_each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=name_of)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def texts_of(tree: ast.Module) -> list[tuple[int, str]]:
    """The text constants of a module that are not docstrings, with their lines."""
    documented = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    docstrings = {node.body[0].value for node in documented if ast.get_docstring(node) is not None}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [(node.lineno, node.value) for node in constants if node not in docstrings]


def first_text(node: ast.AST) -> str:
    """The constant text that an expression starts with, or nothing."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=[first, *_]):
            return first_text(first)
        case ast.BinOp(left=left, op=ast.Add() | ast.Mod()):
            return first_text(left)
        case ast.Call(func=ast.Attribute(value=value, attr="format" | "format_map" | "replace")):
            return first_text(value)
        case ast.Call(func=ast.Attribute(attr="join"), args=[ast.List(elts=[first, *_]) | ast.Tuple(elts=[first, *_])]):
            return first_text(first)
    return ""


def is_built(node: ast.AST) -> bool:
    """Whether an expression builds text from pieces."""
    match node:
        case ast.JoinedStr() | ast.BinOp(op=ast.Add() | ast.Mod()):
            return True
        case ast.Call(func=ast.Attribute(attr="format" | "format_map" | "join")):
            return True
    return False


def executed(tree: ast.Module) -> list[ast.expr]:
    """The statements in calls of `.execute(`, `.executemany(`, `.sql(` and `.query(`."""
    methods = ("execute", "executemany", "sql", "query")
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    return [call.args[0] for call in calls if call.func.attr in methods and call.args]


@pytest.mark.parametrize(
    "code",
    [
        "con.execute('SELECT 1')",
        "con.sql('from cells')",
        "con.execute(f'SELECT {name}')",
        "con.execute('INSERT INTO t ' + values)",
        "query = 'SELECT ' + columns",
        "query = 'SELECT %s' % name",
        "query = 'DELETE FROM {}'.format(table)",
        "query = ' '.join(['SELECT a', 'FROM b'])",
        "query = 'SELECT a FROM b'",
        "query = f'DROP TABLE {name}'",
        "query = 'SELECT a FROM b ' + where + ' LIMIT 1'",
    ],
)
def test_the_rules_about_sql_see(code):
    assert inline_sql(ast.parse(code)) + formatted_sql(ast.parse(code)) != []


@pytest.mark.parametrize(
    "code",
    [
        "con.execute('BEGIN')",
        "con.execute('ATTACH ' + literal(path))",
        "con.execute(statement('schema'))",
        "query.sql('duckdb')",
        "f'Update sigdb, or {hint}'",
        "f'Set the {name} first'",
        "'Select ' + name",
    ],
)
def test_the_rules_about_sql_allow(code):
    assert inline_sql(ast.parse(code)) + formatted_sql(ast.parse(code)) == []


def inline_sql(tree: ast.Module) -> list[str]:
    """Statements that stand in Python and belong in sql/."""
    run = [(node.lineno, first_text(node)) for node in executed(tree)]
    found = [(line, text) for line, text in run if re.match(r"[\s(]*[A-Za-z]+\b", text) and text != "duckdb"]
    found += [(line, text) for line, text in texts_of(tree) if SQL.match(text) and " " in text.strip()]
    return [f"{line}: {text}" for line, text in sorted(set(found)) if not IN_PYTHON.match(text)]


def formatted_sql(tree: ast.Module) -> list[str]:
    """SQL that is built from pieces of text."""
    texts = [(node.lineno, first_text(node)) for node in ast.walk(tree) if is_built(node)]
    return [f"{line}: {text}" for line, text in texts if SQL.match(text) and not IN_PYTHON.match(text)]


@of_each(LIBRARY)
def test_sql_stands_in_sql_files(path):
    assert inline_sql(tree_of(path)) == []


@of_each(LIBRARY)
def test_no_sql_is_built_from_text(path):
    """Values are bound, and sqlglot writes identifiers."""
    assert formatted_sql(tree_of(path)) == []


@of_each(CODE)
def test_files_are_short_and_formatted(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    assert not re.search(r"# fmt: (skip|off)\b", text)


@of_each(LIBRARY)
def test_functions_are_short(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            length = node.end_lineno - first.lineno + 1
            assert length <= 40, f"{path}:{node.lineno}: {node.name} has {length} lines"


LOAD_ALL_NAMES = """
import sys, sigdb
for name in sigdb.__all__:
    getattr(sigdb, name)
print(*{name.split(".")[0] for name in sys.modules})
"""


def test_the_public_names_of_sigdb_load_nothing_heavy():
    """Names are imported when they are first used, so `import sigdb` alone would show nothing."""
    command = [sys.executable, "-c", LOAD_ALL_NAMES]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    heavy = {"torch", "captum", "anndata", "ingest", "pandas", "scipy", "statsmodels", "altair", "scanpy", "h5py"}
    assert (heavy | {"zarr", "grimp", "pyspark", "tiledb", "jinja2", "typer"}).isdisjoint(loaded)


def test_given_scores_are_loaded_without_the_extra_ingest():
    """`sigdb import-signature` needs the extra `signature` only."""
    blocked = ("torch", "captum", "anndata", "h5py", "zarr", "safetensors")
    code = f"import sys; sys.modules.update(dict.fromkeys({blocked})); import ingest.given.signature"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_modules_import_each_other_in_a_circle():
    """Imports within functions count as well; those for type checkers only do not."""
    grimp = pytest.importorskip("grimp")
    graph = grimp.build_graph("sigdb", "ingest", exclude_type_checking_imports=True)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(error.args[1]))


def commands() -> list[str]:
    """The names of the commands of `sigdb`."""
    from typer.main import get_command

    from sigdb.cli import app

    return list(get_command(app).commands)


FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


@of_each([path for path in OUTSIDE_CLI if "__main__" not in path.read_text(encoding="utf-8")])
def test_messages_name_parameters_not_flags(path):
    """The command line turns `` `layer` `` into --layer, and `` `sigdb.export_lake(atlas, lake)` `` into a command."""
    command = re.compile(rf"\bsigdb ({'|'.join(commands())})\b")
    assert [
        f"{line}: {text}" for line, text in texts_of(tree_of(path)) if FLAG.search(text) or command.search(text)
    ] == []


@cache
def statements() -> dict[str, str]:
    """The text of each statement by the name by which Python asks for it."""
    root = Path(str(sql_root()))
    found = {}
    for path in sorted(root.rglob("*.sql")):
        file, text = str(path.relative_to(root).with_suffix("")), path.read_text(encoding="utf-8")
        parts = named_parts(text)
        found |= {f"{file}.{name}": part for name, part in parts.items()} if parts else {file: text}
    return found


@cache
def names_in_python() -> tuple[set[str], set[str]]:
    """All text constants of the library, and the beginnings of f-strings that name statements."""
    texts = {text for path in LIBRARY for _, text in texts_of(tree_of(path))}
    calls = [node for path in LIBRARY for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
    arguments = [argument for call in calls if is_of_statements(call.func) for argument in call.args]
    return texts, {first_text(each) for each in arguments if isinstance(each, ast.JoinedStr)} - {""}


def is_of_statements(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name.endswith("statement")


# sigdb.atlas.schema installs all files of these folders.
INSTALLED = ("views/", "macros/")


# sigdb.atlas.upgrade runs one step for each of these schemas.
UPGRADES = {f"upgrades/{number:03}" for number in range(OLDEST_SCHEMA, SCHEMA_VERSION)}


@pytest.mark.parametrize("name", [name for name in statements() if not name.startswith(INSTALLED)])
def test_every_statement_is_used_and_explained(name):
    texts, starts = names_in_python()
    texts = texts | UPGRADES
    assert name in texts or any(name.startswith(start) and name.removeprefix(start) in texts for start in starts)
    assert statements()[name].lstrip().startswith("--"), "a statement starts with a comment, which is its contract"
