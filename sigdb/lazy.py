"""Modules that are imported when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["LazyModule"]


class LazyModule:
    """A module that is imported when one of its names is first read.

    Several threads may do so at once: `import_module` holds the lock of the import system.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)
