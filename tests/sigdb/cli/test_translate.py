"""Messages of the library in the words of the command line."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from importlib import import_module

import pytest

from sigdb.cli.commands import arguments, find_command, running
from sigdb.cli.translate import COMMANDS, MACROS, translate
from sigdb.errors import IN_PYTHON
from sigdb.findings.columns import CHOSEN
from tests.sigdb.cli.conftest import commands
from tests.support import ROOT

MESSAGES = {
    "a parameter": ("ingest", "give `layer`", "give --layer"),
    "one with another name": ("ingest", "`n_steps`, `mapping`", "--steps, --map"),
    "a value": ("score", "Use `missing='ignore'`.", "Use --missing ignore."),
    "a value with blanks": ("hits", "`cells=\"tissue = 'blood'\"`", "--cells 'tissue = '\"'\"'blood'\"'\"''"),
    "a number": ("ingest", "`max_error=0.1`", "--max-error 0.1"),
    "several": ("ingest", "`if_exists='replace', study='x'`", "--if-exists replace --study x"),
    "a list": ("compare", "`covariates=['age', 'sex']`", "--covariate age --covariate sex"),
    "a dictionary": ("ingest", "`mapping={'donor': 'who'}`", "--map donor=who"),
    "a flag": ("export", "`check=True`", "--check"),
    "a flag that is off": ("export", "`check=False`", "`check=False`"),
    "an argument": ("export", "`lake`", "LAKE"),
    "of another command": ("info", "`missing='ignore'`", "`missing='ignore'`"),
    "SQL": ("score", "`missing := 'ignore'`, `SELECT 1`, `\"a b\"`", "`missing := 'ignore'`, `SELECT 1`, `\"a b\"`"),
    "a call": ("info", "`sigdb.export_lake(atlas, lake, check=True)`", "`sigdb export ATLAS LAKE --check`"),
    "a call with values": (
        "info",
        "`sigdb.export_lake('a.duckdb', 'my lake')`",
        "`sigdb export a.duckdb 'my lake'`",
    ),
    "a method": ("info", "`sigdb.Atlas(path).drop_study(study)`", "`sigdb drop-study ATLAS STUDY`"),
    "a method with values": (
        "info",
        "`sigdb.Atlas('a.duckdb').drop_study('x')`",
        "`sigdb drop-study a.duckdb x`",
    ),
    "a command of a group": (
        "info",
        "`sigdb.Atlas(path).materialize(['A', 'B'], missing='ignore')`",
        "`sigdb signatures materialize ATLAS A B --missing ignore`",
    ),
    "a function that is an option": (
        "info",
        "`sigdb.Atlas(path).unmaterialize(signatures)`",
        "`sigdb signatures materialize ATLAS NAME... --remove`",
    ),
    "a connection": (
        "info",
        "`sigdb.gene_compare(con, by=by, reference=reference)`",
        "`sigdb genes compare ATLAS --by BY --reference REFERENCE`",
    ),
    "an option that is positional": ("info", "`sigdb.transpile(sql, dialect)`", "`sigdb transpile QUERY --to DIALECT`"),
    "left open": ("info", "`sigdb.verify(...)`", "`sigdb verify ATLAS`"),
    "no command": ("info", "`sigdb.connect(path)`", "`sigdb.connect(path)`"),
    "no such parameter": ("info", "`sigdb.upgrade(path, twice=True)`", "`sigdb.upgrade(path, twice=True)`"),
    "no code": ("info", "`a b` and `)(`", "`a b` and `)(`"),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_messages_are_translated(case):
    command, text, expected = MESSAGES[case]
    assert translate(text, find_command(command)) == expected


MACRO_MESSAGES = {
    "one parameter": ("score", "missing must be 'error'", "--missing must be 'error'"),
    "two parameters": ("hits", "cutoff and sd must be finite numbers.", "--cutoff and --sd must be finite numbers."),
    "no parameter": ("hits", "None of the genes is known.", "None of the genes is known."),
    "a macro to ask": (
        "score",
        "LYZZ is missing. check_genes([...]) shows what each name means.",
        "LYZZ is missing. `sigdb genes check 'my atlas' GENE...` shows what each name means.",
    ),
    "a view to read": (
        "signatures materialize",
        "FROM signature_info lists the signatures.",
        "`sigdb signatures list 'my atlas'` lists the signatures.",
    ),
    "a population": (
        "hits",
        "The population chosen_cells has no cells that this run has attributed.",
        "The population of --cells has no cells that this run has attributed.",
    ),
    "advice for SQL": (
        "score",
        "The list is empty or NULL (signature_genes gives an empty list for an unknown name). Give at least one gene.",
        "The list is empty or NULL. Give at least one gene.",
    ),
}


@pytest.mark.parametrize("case", MACRO_MESSAGES)
def test_messages_of_macros_are_translated(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my atlas").touch()
    command, text, expected = MACRO_MESSAGES[case]
    arguments.set(("--missing", "ignore", "my atlas", "LYZ"))
    assert translate(text, find_command(command)) == expected
    assert translate(text, find_command("sql")) == text, "who writes SQL reads about SQL"


def test_what_macros_say_is_translated_as_they_say_it():
    sql = "".join(path.read_text() for path in (ROOT / "sql" / "macros").rglob("*.sql"))
    sql = sql.replace("' || cells || '", CHOSEN)  # as `hits` names its population
    assert [text for text in (*IN_PYTHON, *MACROS) if text.removeprefix("The macro ") not in sql] == []


def test_without_a_command_only_calls_are_translated():
    running.set(None)
    assert translate("`layer` `sigdb.upgrade(path)`") == "`layer` `sigdb upgrade ATLAS`"


@pytest.mark.parametrize("function", COMMANDS)
def test_every_function_is_one_of_the_library_and_its_command_exists(function):
    assert find_command(COMMANDS[function]) is not None
    assert function in functions()


@cache
def trees():
    """The source of the library, without the command line."""
    paths = [path for folder in ("sigdb", "ingest") for path in sorted((ROOT / folder).rglob("*.py"))]
    return {path: ast.parse(path.read_text()) for path in paths if ROOT / "sigdb" / "cli" not in path.parents}


@cache
def functions():
    """The names of all functions and methods of the library, and the parameters and fields that they have."""
    found = defaultdict(set)
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                arguments = node.args
                found[node.name] |= {each.arg for each in (*arguments.args, *arguments.kwonlyargs)}
            elif isinstance(node, ast.ClassDef):
                found[node.name] |= {each.target.id for each in node.body if isinstance(each, ast.AnnAssign)}
    return found


def text_of(node):
    """A string constant as it is written. In an f-string, each value becomes `x`, or `'x'` after !r."""
    if isinstance(node, ast.Constant):
        return node.value
    parts = []
    for each in node.values:
        if isinstance(each, ast.Constant):
            parts.append(each.value)
        else:
            parts.append("'x'" if each.conversion == ord("r") else "x")
    return "".join(parts)


def messages(tree):
    """The texts of a module that are not docstrings."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inner = {id(each) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for each in node.values}
    for node in ast.walk(tree):
        if id(node) in docstrings | inner:
            continue
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            yield text_of(node)


def codes():
    """The texts in backticks in messages, each with its file."""
    for path, tree in trees().items():
        for text in messages(tree):
            for code in re.findall(r"`([^`]+)`", text):
                yield path.relative_to(ROOT), code


def test_calls_in_messages_are_of_functions_that_exist_and_have_commands():
    """A call without a command is not translated. It must still be a call that Python users can make."""
    for path, code in codes():
        found = re.fullmatch(r"((?:sigdb|ingest)\.[\w.]+)(?:\(.*\)\.(\w+))?\(.*\)", code)
        if found:
            *package, name = found[1].split(".")
            function = getattr(import_module(".".join(package)), name)
            assert found[2] is None or hasattr(function, found[2]), f"{path}: {code}"
            if (found[2] or name) in COMMANDS:
                assert translate(f"`{code}`").startswith("`sigdb "), f"{path}: {code}"


def test_parameters_in_messages_are_of_commands_or_functions_or_sql():
    """A misspelt parameter is in none of them."""
    of_commands = {each.name for _, command in commands() for each in command.params}
    of_functions = {each for parameters in functions().values() for each in parameters}
    sql = "\n".join(path.read_text() for path in sorted((ROOT / "sql").rglob("*.sql")))
    in_sql = set(re.findall(r"\w+", sql))
    for path, code in codes():
        if found := re.fullmatch(r"(\w+)(=.*)?", code):
            assert found[1] in of_commands | of_functions | in_sql, f"{path}: {code}"
