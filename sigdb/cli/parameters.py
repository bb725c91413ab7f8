"""Options that several commands share, declared once as a dataclass."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["expand_options"]


def expand_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the fields of its dataclass parameters as parameters of its own, which typer understands.

    The command is called with an object of each dataclass. Fields stand where the dataclass stood.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters = list(expand(command, hints))

    def run(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{each.name: values.pop(each.name) for each in fields(group)})
        command(**values)

    run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def expand(command: Callable[..., None], hints: dict[str, Any]) -> Iterator[inspect.Parameter]:
    """The parameters of a command, with fields in the place of dataclasses."""
    for name, parameter in inspect.signature(command).parameters.items():
        if is_dataclass(hints[name]):
            types = get_type_hints(hints[name], include_extras=True)
            for each in fields(hints[name]):
                yield keyword(each.name, default_of(each), types[each.name])
        else:
            yield keyword(name, parameter.default, hints[name])


def keyword(name: str, default: Any, annotation: Any) -> inspect.Parameter:
    """A parameter that is given by name, so that those with defaults may stand before those without."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def default_of(field: Field[Any]) -> Any:
    """The default of a field."""
    if field.default_factory is not MISSING:
        return field.default_factory()
    return inspect.Parameter.empty if field.default is MISSING else field.default
