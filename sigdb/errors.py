"""What can go wrong, as exceptions whose text says what, how many, the nearest right thing and the way out."""

from __future__ import annotations

import difflib
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    "listed",
    "message",
    "nearest",
    "needs_extra",
]


class SigdbError(Exception):
    """Base of all errors that sigdb raises on purpose."""


class AtlasError(SigdbError, ValueError):
    """The file is not an atlas, or not in the state that was asked for."""


class AtlasNotFoundError(AtlasError, FileNotFoundError):
    """There is no file at this path."""


class AtlasVersionError(AtlasError):
    """The atlas was made by another version of sigdb."""


class AtlasLockedError(AtlasError):
    """Another process has the atlas open for writing."""


class StudyExistsError(AtlasError):
    """The atlas already holds a study of this name."""


class SignatureError(SigdbError, ValueError):
    """A signature file or name that cannot be used."""


class QueryError(SigdbError, ValueError):
    """A query that DuckDB refused."""


class OptionError(SigdbError, ValueError):
    """An option that names something which does not exist, or does not go together with another option."""


class ModelError(SigdbError, ValueError):
    """A model folder that cannot be read."""


class MethodError(SigdbError, ValueError):
    """An attribution method that would give wrong numbers, or settings of it that do not exist."""


class GeneSpaceError(SigdbError, ValueError):
    """Genes of the data and genes of the model do not fit together."""


class DeviceError(SigdbError, ValueError):
    """A device, precision or number of workers that this machine does not have, or that failed."""


class CountsError(SigdbError, ValueError):
    """A matrix that does not hold raw counts."""


class DamagedError(CountsError):
    """A file that cannot be read to its end, or is not as it should be written."""


class UnreadableError(SigdbError, OSError):
    """A file that the system could not read here and now, which says nothing of what is in it."""


class ScoresError(SigdbError, ValueError):
    """Scores that were computed elsewhere and cannot be stored as they are."""


class ObsError(SigdbError, ValueError):
    """Cell metadata that cannot be stored as they are."""


class SparkError(SigdbError, RuntimeError):
    """Apache Spark could not be started, or gave up."""


class MissingDependencyError(SigdbError, ImportError):
    """A command needs an extra that is not installed."""


def listed(names: Iterable[object], limit: int = 10) -> str:
    """Name at most `limit` things, and count the others: 'A, B and 3 more'."""
    words = [str(name) for name in names]
    shown = ", ".join(words[:limit])
    return shown if len(words) <= limit else f"{shown} and {len(words) - limit} more"


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """A hint at the known name that is most like a wrong one: " Did you mean 'X'?", or "" if none is alike."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f" Did you mean {found[0]!r}?" if found else ""


def message(error: Exception | str) -> str:
    """What an error says, on one line, without the kind that DuckDB puts before it."""
    first = str(error).strip().split("\n\n")[0]
    return " ".join(re.sub(r"^(Invalid Input|Binder|Catalog|Parser|IO|HTTP|Conversion) Error: ", "", first).split())


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Turn a failed import inside the block into a MissingDependencyError that says which extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"This needs the package {error.name}. Install it: pip install 'sigdb-atlas[{extra}]'"
        ) from error
