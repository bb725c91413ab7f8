"""Checks of paths, as callbacks of options: a wrong path is found before anything is loaded or computed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sigdb.disk import check_atlas, check_page, check_picture, check_target, is_lake
from sigdb.errors import UnreadableError, nearest_file, needs_extra

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["existing", "existing_atlas", "new_file", "page", "picture"]


def existing(kind: str = "file") -> Callable[[Any], Any]:
    """A check that there is something at one or more paths; kind: what should be there, in words."""

    def check(value: Any) -> Any:
        for path in value if isinstance(value, list | tuple) else filter(None, [value]):
            if not Path(path).exists():
                raise UnreadableError(f"There is no {kind} {path}.{nearest_file(Path(path))}")
        return value

    return check


def existing_atlas(value: str) -> str:
    """Check that there is an atlas file or a lake."""
    if not is_lake(value):
        check_atlas(value)
    return value


def new_file(value: Path | None) -> Path | None:
    """Check that a file can be written."""
    if value is not None:
        check_target(Path(value))
    return value


def picture(value: Path | None) -> Path | None:
    """Check that a chart can be written."""
    if value is not None:
        check_picture(Path(value))
        check_target(Path(value))
        check_installed("altair", "vl_convert")
    return value


def page(value: Path | None) -> Path | None:
    """Check that a report can be written."""
    if value is not None:
        check_page(Path(value))
        check_installed("jinja2")
    return value


def check_installed(*packages: str) -> None:
    """Raise MissingDependencyError unless the packages of the extra `plots` are installed; they are not imported."""
    with needs_extra("plots"):
        for package in packages:
            if find_spec(package) is None:
                raise ModuleNotFoundError(name=package)
