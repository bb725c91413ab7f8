"""The macros and views of `sql/` as syntax trees."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from sigdb.atlas.schema import SqlObject, objects
from sigdb.errors import QueryError, listed, nearest
from sigdb.statements import statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["SCHEMA", "Macro", "base_tables", "find_macro", "inner_columns", "macros"]

SCHEMA = "sigdb_data"
CREATE = re.compile(
    r"^CREATE OR REPLACE (?:MACRO (?P<call>[\w.]+\([^)]*\))|VIEW \w+) AS(?P<table> TABLE)?\s+(?P<body>.*?);?\s*\Z",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Macro:
    """A macro or view of `sql/` as syntax trees. The default of a required parameter is None."""

    name: str
    schema: str
    kind: str  # VIEW, MACRO or MACRO TABLE
    parameters: Mapping[str, exp.Expr | None]
    body: exp.Expr

    @property
    def signature(self) -> str:
        """A call with all parameters and their defaults, for messages."""
        words = (
            name if default is None else f"{name} := {default.sql('duckdb')}"
            for name, default in self.parameters.items()
        )
        return f"{self.name}({', '.join(words)})"

    def bind(self, arguments: Sequence[exp.Expr]) -> dict[str, exp.Expr]:
        """The value of each parameter in a call; QueryError where DuckDB would refuse the call."""
        positional = [each for each in arguments if not isinstance(each, exp.PropertyEQ | exp.Kwarg)]
        if any(each is not other for each, other in zip(positional, arguments, strict=False)):
            raise QueryError(f"{self.name}: a positional argument follows a named one. {self.usage}")
        if len(positional) > len(self.parameters):
            raise QueryError(f"{self.name} takes at most {len(self.parameters)} arguments. {self.usage}")
        given = dict(zip(self.parameters, positional, strict=False))
        for each in arguments[len(positional) :]:
            name = each.this.name.lower()
            if name not in self.parameters:
                raise QueryError(f"{self.name} has no parameter {name}.{nearest(name, self.parameters)} {self.usage}")
            if name in given:
                raise QueryError(f"{self.name}: the argument {name} is given twice.")
            given[name] = each.expression
        values = {name: given.get(name, default) for name, default in self.parameters.items()}
        if lacking := [name for name, value in values.items() if value is None]:
            raise QueryError(f"{self.name} needs {listed(lacking)}. {self.usage}")
        return {name: value for name, value in values.items() if value is not None}

    @property
    def usage(self) -> str:
        """The end of a message about a wrong call."""
        return f"The call is {self.signature}."


@cache
def macros() -> dict[tuple[str, str, str], Macro]:
    """All macros and views, by kind, schema and name."""
    return {(each.kind, each.schema, each.name): read_macro(each) for each in objects()}


def read_macro(each: SqlObject) -> Macro:
    """Parse one macro or view. sqlglot reads `:=` in a call but not in CREATE MACRO, so it gets the parts."""
    found = CREATE.search(re.sub(r"^\s*--.*$", "", each.sql, flags=re.MULTILINE))
    assert found is not None, each.name
    parameters: dict[str, exp.Expr | None] = {}
    if found["call"]:
        call = sqlglot.parse_one(found["call"], dialect="duckdb").find(exp.Anonymous)
        assert call is not None, each.name
        for word in call.expressions:
            named = isinstance(word, exp.PropertyEQ)
            parameters[word.this.name if named else word.name] = word.expression if named else None
    body = sqlglot.parse_one(found["body"], dialect="duckdb")
    for node in body.walk():
        node._meta = None  # positions in the text, which would be copied at each call
    return Macro(each.name, each.schema, each.kind, parameters, body)


def find_macro(kind: str, schema: str, name: str) -> Macro | None:
    """A macro or view by its name in a query. Without a schema, the name is that of a public one."""
    return macros().get((kind, schema.lower() or "main", name.lower()))


@cache
def inner_columns() -> frozenset[str]:
    """The names of columns inside macros. A bare column of the caller with such a name would be captured."""
    bodies = [macro.body for macro in macros().values()]
    names = {each.output_name for body in bodies for each in body.find_all(exp.Column, exp.Alias)}
    return frozenset(name for name in names if name.startswith("_"))


@cache
def base_tables() -> tuple[str, ...]:
    """The names of the base tables that `sql/schema.sql` creates."""
    return tuple(re.findall(rf"^CREATE TABLE {SCHEMA}\.(\w+)", statement("schema"), re.MULTILINE))
