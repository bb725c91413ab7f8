"""The exceptions of sigdb. A message says what is wrong, in how many cases, the nearest valid value and what to do."""

from __future__ import annotations

import difflib
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = [
    "AtlasError",
    "AtlasLockedError",
    "AtlasNotFoundError",
    "AtlasVersionError",
    "CountsError",
    "DamagedError",
    "DeviceError",
    "GeneSpaceError",
    "MethodError",
    "MissingDependencyError",
    "ModelError",
    "ObsError",
    "OptionError",
    "QueryError",
    "ScoresError",
    "SigdbError",
    "SignatureError",
    "SparkError",
    "StudyExistsError",
    "UnreadableError",
    "closest",
    "listed",
    "macro_message",
    "message",
    "nearest",
    "nearest_file",
    "needs_extra",
    "no_memory",
]


class SigdbError(Exception):
    """Base class of all errors that sigdb raises on purpose.

    Subclasses also derive from the matching built-in exception, such as ValueError or FileNotFoundError.

    Examples
    --------
    >>> try:
    ...     sigdb.score(con, ["S100A88"])
    ... except sigdb.SigdbError as error:
    ...     print(type(error).__name__)
    QueryError
    """


class AtlasError(SigdbError, ValueError):
    """The file is not an atlas, or it is not in the state that the call needs."""


class AtlasNotFoundError(AtlasError, FileNotFoundError):
    """There is no file at this path."""


class AtlasVersionError(AtlasError):
    """The atlas has the schema of another version of sigdb."""


class AtlasLockedError(AtlasError):
    """Another process has the atlas open."""


class StudyExistsError(AtlasError):
    """The atlas already holds a study of this name."""


class SignatureError(SigdbError, ValueError):
    """A signature, or a signature file, cannot be used."""


class QueryError(SigdbError, ValueError):
    """DuckDB refused a query."""


class OptionError(SigdbError, ValueError):
    """An option that names something which does not exist, or does not go together with another option."""


class ModelError(SigdbError, ValueError):
    """A model cannot be read or used."""


class MethodError(SigdbError, ValueError):
    """An attribution method would give wrong numbers, or has no such setting."""


class GeneSpaceError(SigdbError, ValueError):
    """The genes of the data do not match the genes of the model."""


class DeviceError(SigdbError, ValueError):
    """A device, precision or number of workers is not available, or it failed."""


class CountsError(SigdbError, ValueError):
    """A matrix does not hold raw counts."""


class DamagedError(CountsError):
    """A file is truncated or malformed, or takes its data from other files."""


class UnreadableError(SigdbError, OSError):
    """The operating system failed to read a file; the file itself may be sound."""


class ScoresError(SigdbError, ValueError):
    """Scores that were computed elsewhere cannot be stored as they are."""


class ObsError(SigdbError, ValueError):
    """Cell metadata cannot be stored as they are."""


class SparkError(SigdbError, RuntimeError):
    """Apache Spark did not start, or it gave up."""


class MissingDependencyError(SigdbError, ImportError):
    """A function needs an optional package that is not installed."""


def listed(names: Iterable[object], limit: int = 10) -> str:
    """Name at most `limit` things and count the rest: 'A, B and 3 more'."""
    words = [str(name) for name in names]
    shown = ", ".join(words[:limit])
    return shown if len(words) <= limit else f"{shown} and {len(words) - limit} more"


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Suggest the known name that is most similar to a wrong one: " Did you mean 'X'?", or "" if none is similar."""
    found = closest(name, known, cutoff=cutoff)
    return f" Did you mean {found!r}?" if found else ""


def closest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known name that is most similar to another, in any case; None if none is similar."""
    by_case = {each.lower(): each for each in known} | {each: each for each in known}
    return next((by_case[each] for each in difflib.get_close_matches(name, by_case, n=1, cutoff=cutoff)), None)


def nearest_file(path: Path) -> str:
    """Suggest the name in the same folder that is most similar to a wrong one, as `nearest` does."""
    return nearest(path.name, [each.name for each in path.parent.iterdir()]) if path.parent.is_dir() else ""


# What DuckDB says on a connection that is confined to its file, and the way out.
CONFINED = {
    "LocalFileSystem has been disabled": "This connection reaches no file but its atlas, unless it is opened with "
    "`trusted=True`.",
    "no temporary directory is specified": "This connection has no place on disk for what does not fit into memory, "
    "unless it is opened with `trusted=True`.",
}


def message(error: Exception | str) -> str:
    """The first paragraph of an error on one line, without the prefix that DuckDB adds, such as "Binder Error: "."""
    first = str(error).strip().split("\n\n")[0]
    kinds = "Invalid Input|Binder|Catalog|Parser|IO|HTTP|Conversion|Permission"
    text = " ".join(re.sub(rf"^({kinds}) Error: ", "", first).split())
    hints = [hint for said, hint in CONFINED.items() if isinstance(error, Exception) and said in text]
    return ". ".join([text.rstrip("."), *hints]) if hints else text


def no_memory(what: object) -> str:
    """The message for a file or an operation that needs more memory than there is."""
    return (
        f"{what} needs more memory than this process may use. Use a machine with more memory. If the data should be "
        "small, the file may be damaged."
    )


# What a macro says to people who write SQL, and the same for Python.
IN_PYTHON = {
    ". check_genes([...])": ". The macro check_genes([...])",
    "The population chosen_cells": "The population of `cells`",  # the name that findings give to it
    " (signature_genes gives an empty list for an unknown name)": "",
}


def macro_message(text: str) -> str:
    """The message of a macro in Python's terms: missing := 'ignore' becomes `missing='ignore'`.

    A message that starts in lower case starts with the names of parameters: "cutoff and sd must be finite numbers".
    """
    words = {"true": "True", "false": "False", "NULL": "None"}
    option = r"(?<!`)\b(\w+) := ('[^']*'|\d+\.\d+|\w+)"
    text = re.sub(option, lambda found: f"`{found[1]}={words.get(found[2], found[2])}`", text)
    text = re.sub(r"^([a-z_]+)(?: and ([a-z_]+))?(?= (?:must|is) )", name_parameters, text)
    for said, in_python in IN_PYTHON.items():
        text = text.replace(said, in_python)
    return text


def name_parameters(found: re.Match[str]) -> str:
    """One or two names as parameters."""
    return " and ".join(f"`{name}`" for name in found.groups() if name)


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Turn a failed import inside the block into a MissingDependencyError that names the extra to install.

    sigdb is not on PyPI, so an extra can only be installed from its source.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"This needs the package {error.name}. Install it in the folder of sigdb's source: "
            f"pip install -e '.[{extra}]'"
        ) from error
