"""The prompt of `sigdb shell`: lines, history, colours and completion (extra `shell`)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_state_path
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer, Completion
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.lexers import PygmentsLexer
from pygments.lexers.sql import SqlLexer

from sigdb.statements import run_statement
from sigdb.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import duckdb
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document
    from prompt_toolkit.key_binding import KeyPressEvent

__all__ = ["SqlCompleter", "is_finished", "prompt_session"]


def prompt_session(con: duckdb.DuckDBPyConnection, atlas: str, commands: Iterable[str]) -> PromptSession[str]:
    """A prompt for queries on an atlas, and for commands that begin with a point."""
    name = f"{Path(atlas).stem}> "
    return PromptSession(
        name,
        multiline=True,
        prompt_continuation=" " * max(len(name) - 2, 0) + "> ",
        history=history(),
        lexer=PygmentsLexer(SqlLexer),
        completer=SqlCompleter(con, commands),
        key_bindings=bindings(),
        enable_history_search=False,
        editing_mode=EditingMode.EMACS,
    )


def history() -> History:
    """The queries of earlier shells; those of this one alone if no file can be kept."""
    folder = user_state_path("sigdb")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "shell_history").touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(folder / "shell_history")


def is_finished(text: str) -> bool:
    """Whether a text is a whole query, a command of the shell, or nothing."""
    text = text.strip()
    return not text or text.startswith(".") or text.endswith(";")


def bindings() -> KeyBindings:
    """Enter runs a finished query, and begins a new line in others."""
    keys = KeyBindings()

    @Condition
    def at_the_end() -> bool:
        from prompt_toolkit.application import get_app

        return is_finished(get_app().current_buffer.text)

    @keys.add("enter", filter=at_the_end)
    def run(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    return keys


class SqlCompleter(Completer):
    """Completes names of the atlas and words of SQL; in quotes, signatures, studies, cell types and genes."""

    def __init__(self, con: duckdb.DuckDBPyConnection, commands: Iterable[str]) -> None:
        self.commands = dict.fromkeys(commands, "")
        self.names = read_words(con, "cli/shell.names")
        self.values = read_words(con, "cli/shell.values")

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """The completions of the word before the cursor."""
        before = document.text_before_cursor
        if before.count("'") % 2:
            words, start = self.values, before.rpartition("'")[2]
        elif before.startswith("."):
            words, start = self.commands, before
        else:
            words, start = self.names, re.findall(r"\w*$", before)[0]
        for name, kind in complete(words, start) if start else ():
            # A keyword in the case in which it was begun.
            text = name.upper() if kind == "keyword" and start[0].isupper() else name
            yield Completion(text, -len(start), display_meta=kind)


def complete(words: dict[str, str], start: str) -> Iterable[tuple[str, str]]:
    """The words that begin with a text, in any case; the shortest first."""
    found = [(name, kind) for name, kind in words.items() if name.lower().startswith(start.lower())]
    return sorted(found, key=lambda each: (each[1] in ("function", "keyword"), len(each[0]), each[0]))


def read_words(con: duckdb.DuckDBPyConnection, statement: str) -> dict[str, str]:
    """Words with what each is, without words that a terminal could obey."""
    rows = run_statement(con, statement)
    return {name: kind for name, kind in rows if printable(name) == name}
