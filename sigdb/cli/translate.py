"""Messages of the library in the words of the command line.

The library writes parameters and calls as Python does, in backticks: `layer`, `missing='ignore'`,
`sigdb.export_lake(atlas, lake, check=True)`. On the command line, they become --layer, --missing ignore and
`sigdb export ATLAS LAKE --check`. What has no counterpart there stays as it is.
"""

from __future__ import annotations

import ast
import re
import shlex
from itertools import zip_longest
from types import EllipsisType
from typing import Any

from sigdb.cli.commands import arguments, find_command, running
from sigdb.errors import macro_message

__all__ = ["COMMANDS", "translate"]

# Function or method -> command. The parameters of a command have the names that they have in Python.
COMMANDS = {
    "add_signatures": "signatures add",
    "add_views": "signatures view",
    "annotate_cells": "annotate",
    "attach_lake": "attach-lake",
    "attribute_demo": "demo",
    "build_demo": "demo",
    "check_model": "models check",
    "compare": "compare",
    "drop_columns": "annotate",
    "drop_study": "drop-study",
    "drop_views": "signatures view",
    "embedding": "embedding",
    "export_lake": "export",
    "gene_compare": "genes compare",
    "group_scores": "score",
    "hits": "hits",
    "import_lake": "import-lake",
    "import_signature": "import-signature",
    "IngestOptions": "ingest",
    "ingest_files": "ingest",
    "ingest_into_lake": "ingest-spark",
    "leading_genes": "leading",
    "load_file": "load",
    "load_study": "load",
    "matched_null": "null",
    "materialize": "signatures materialize",
    "optimize": "optimize",
    "rank_signatures": "signatures rank",
    "remove_signatures": "signatures remove",
    "save_mlp": "models export",
    "score": "score",
    "transpile": "transpile",
    "unmaterialize": "signatures materialize",
    "upgrade": "upgrade",
    "verify": "verify",
    "write_report": "report",
}
# What macros name in their messages, and the arguments of the command that shows the same, after `sigdb`.
MACROS = {
    "The macro check_genes([...]) shows": "genes check {atlas} GENE...",
    "FROM signature_info lists": "signatures list {atlas}",
}
# What these functions do is an option of their command.
FLAGS = {"attribute_demo": ["--attribute"], "drop_views": ["--remove"], "unmaterialize": ["--remove"]}


def translate(text: str, command: Any = None) -> str:
    """A message with its parameters as options of a command (default: the one that runs), its calls as commands."""
    command = command or running.get()
    if command and command.name not in ("sql", "shell"):
        text = macro_message(text)
        for said, words in MACROS.items():
            if said in text:
                line = words.format(atlas=named_atlas(command))
                text = text.replace(said, f"`sigdb {line}` {said.split()[-1]}")
    return re.sub(r"`([^`]+)`", lambda code: translate_code(code[1], command) or code[0], text)


def named_atlas(command: Any) -> str:
    """The atlas that the command line names, or ATLAS."""
    with command.make_context(command.name, [*arguments.get()], resilient_parsing=True) as context:
        return shlex.quote(str(context.params.get("atlas") or "ATLAS"))


def translate_code(code: str, command: Any) -> str | None:
    """A parameter, several parameters or a call, as on the command line; None if it cannot be translated."""
    try:
        listed = ast.parse(f"_({code})", mode="eval").body
    except SyntaxError:
        return None
    match listed:
        case ast.Call(args=[ast.Call() as call], keywords=[]):
            line = command_line(call)
            return line and f"`{line}`"
        case ast.Call(func=ast.Name(id="_")) if command:
            words = [spell_name(command, each) for each in listed.args]
            words += [spell(find_parameter(command, each.arg), each.value) for each in listed.keywords]
            return join(words)
    return None


def command_line(call: ast.Call) -> str | None:
    """The command line for a call of a public function, or of a method of `sigdb.Atlas(path)`."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in COMMANDS:
        return None
    function = call.func.attr
    command = find_command(COMMANDS[function])
    values = [*(call.func.value.args if isinstance(call.func.value, ast.Call) else []), *call.args]
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    named = {each.arg: each.value for each in call.keywords}
    words = [
        spell(each, named.pop(each.name, value)) for each, value in zip_longest(arguments, values[: len(arguments)])
    ]
    # Values beyond the arguments of the command name options: `sigdb.transpile(sql, dialect)`.
    words += [spell_name(command, each, each) for each in values[len(arguments) :]]
    words += [spell(find_parameter(command, name), value) for name, value in named.items()]
    return join(["sigdb", COMMANDS[function], *words, *FLAGS.get(function, [])])


def join(words: list[str | None]) -> str | None:
    """Words as a line; None if there is no word, or one could not be translated."""
    return " ".join(filter(None, words)) if words and None not in words else None


def find_parameter(command: Any, name: str | None) -> Any:
    """The parameter of a command that has a name in Python."""
    return next((each for each in command.params if each.name == name), None)


def spell_name(command: Any, name: ast.expr, value: ast.expr | None = None) -> str | None:
    """The parameter of a command that a name in a message stands for."""
    return spell(find_parameter(command, name.id), value) if isinstance(name, ast.Name) else None


def spell(parameter: Any, value: ast.expr | None = None) -> str | None:
    """A parameter of a command with its value, if it has one: `LAKE`, `--check`, `--missing ignore`."""
    if parameter is None:
        return None
    if parameter.param_type_name == "argument":
        words = [] if isinstance(value, ast.Name) else spell_values(value)
        return " ".join(words) or parameter.metavar or parameter.name.upper()
    flag = next((each for each in parameter.opts if each.startswith("--")), parameter.opts[0])
    if value is None:
        return str(flag)
    if parameter.is_flag:
        return str(flag) if isinstance(value, ast.Constant) and value.value is True else None
    return " ".join(f"{flag} {word}" for word in spell_values(value)) or None


def spell_values(value: ast.expr | None) -> list[str]:
    """A value as words of a shell: several for a list or a dictionary, none for what only Python can write."""
    if value is None:
        return []
    if isinstance(value, ast.Name):
        return [value.id.upper()]
    try:
        literal = ast.literal_eval(value)
    except ValueError:
        return []
    match literal:
        case None | bool() | EllipsisType():
            return []
        case dict():
            return [shlex.quote(f"{name}={each}") for name, each in literal.items()]
        case list() | tuple():
            return [shlex.quote(str(each)) for each in literal]
    return [shlex.quote(str(literal))]
