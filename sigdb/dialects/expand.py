"""Macros and views written out: a query on an atlas becomes one on its base tables alone, for engines without macros.

What a macro says is read from `sql/`. Every call of a table macro, and every view, becomes a common table expression of
its own, once for the same arguments, so that the result can be read; conditions that the arguments decide are decided.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING

import duckdb
import sqlglot
from sqlglot import exp

from sigdb.atlas.schema import SqlObject, objects
from sigdb.dialects.fold import decided, fold, is_empty, is_ours, ours, unjoined
from sigdb.errors import QueryError, listed
from sigdb.statements import statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["SCHEMA", "Macro", "base_tables", "expand", "macro_named", "parsed"]

SCHEMA = "sigdb_data"
CALL = re.compile(
    r"^CREATE OR REPLACE (?:MACRO (?P<call>[\w.]+\([^)]*\))|VIEW \w+) AS(?P<table> TABLE)?\s+(?P<body>.*?);?\s*\Z",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Macro:
    """A macro or view of `sql/` as trees. A parameter without a default has None."""

    name: str
    schema: str
    kind: str  # VIEW, MACRO or MACRO TABLE
    parameters: Mapping[str, exp.Expr | None]
    body: exp.Expr

    @property
    def signature(self) -> str:
        """How it is called."""
        words = (
            name if default is None else f"{name} := {default.sql('duckdb')}"
            for name, default in self.parameters.items()
        )
        return f"{self.name}({', '.join(words)})"

    def bind(self, arguments: Sequence[exp.Expr]) -> dict[str, exp.Expr]:
        """The value of each parameter in a call; QueryError where DuckDB would refuse it."""
        given: dict[str, exp.Expr] = {}
        positional = [each for each in arguments if not isinstance(each, exp.PropertyEQ | exp.Kwarg)]
        if any(each is not other for each, other in zip(positional, arguments, strict=False)):
            raise QueryError(f"{self.name}: a positional argument follows a named one. It is {self.signature}.")
        if len(positional) > len(self.parameters):
            raise QueryError(f"{self.name} takes at most {len(self.parameters)} arguments: {self.signature}.")
        given = dict(zip(self.parameters, positional, strict=False))
        for each in arguments[len(positional) :]:
            name = each.this.name.lower()
            if name not in self.parameters:
                near = get_close_matches(name, self.parameters, 1)
                hint = f" (did you mean {near[0]}?)" if near else ""
                raise QueryError(f"{self.name} has no parameter {name}{hint}. It is {self.signature}.")
            if name in given:
                raise QueryError(f"{self.name}: the argument {name} is given twice.")
            given[name] = each.expression
        values = {name: given.get(name, default) for name, default in self.parameters.items()}
        if lacking := [name for name, value in values.items() if value is None]:
            raise QueryError(f"{self.name} needs {listed(lacking)}. It is {self.signature}.")
        return {name: value.copy() for name, value in values.items() if value is not None}


def parsed(sql: str) -> exp.Query:
    """The tree of one query in the SQL of the DuckDB that is installed; QueryError for anything else."""
    dialect = f"duckdb, version={duckdb.__version__}"
    try:
        trees = [tree for tree in sqlglot.parse(sql, dialect=dialect) if tree is not None]
    except sqlglot.errors.SqlglotError as error:
        raise QueryError(f"This is not SQL as DuckDB has it: {str(error).splitlines()[0]}") from error
    if len(trees) != 1:
        raise QueryError(f"Give one query, not {len(trees)} statements.")
    tree = trees[0].unnest()
    if isinstance(tree, exp.Values):
        tree = exp.select("*").from_(tree)
    if not isinstance(tree, exp.Query):
        raise QueryError(f"Give one query (SELECT, FROM, WITH): {sql.split()[0].upper()} is none.")
    if parameter := tree.find(exp.Placeholder, exp.Parameter):
        raise QueryError(f"The query has a parameter, {parameter.sql('duckdb')}: write its value out.")
    return tree


def read_macro(each: SqlObject) -> Macro:
    """Parse one macro or view: sqlglot does not know `:=` in CREATE MACRO, in a call it does."""
    found = CALL.search(re.sub(r"^\s*--.*$", "", each.sql, flags=re.MULTILINE))
    assert found is not None, each.name
    parameters: dict[str, exp.Expr | None] = {}
    if found["call"]:
        call = sqlglot.parse_one(found["call"], dialect="duckdb").find(exp.Anonymous)
        assert call is not None, each.name
        for word in call.expressions:
            named = isinstance(word, exp.PropertyEQ)
            parameters[word.this.name if named else word.name] = word.expression if named else None
    body = sqlglot.parse_one(found["body"], dialect="duckdb")
    return Macro(each.name, each.schema, each.kind, parameters, ours(body))


@cache
def macros() -> dict[tuple[str, str, str], Macro]:
    """All macros and views, by kind, schema and name."""
    return {(each.kind, each.schema, each.name): read_macro(each) for each in objects()}


def macro_named(kind: str, schema: str, name: str) -> Macro | None:
    """A macro or view; an unqualified name is one of those that people use."""
    return macros().get((kind, schema.lower() or "main", name.lower()))


@cache
def inner_columns() -> frozenset[str]:
    """The names that columns have inside macros, which a bare column of the caller's would be taken for."""
    bodies = [macro.body for macro in macros().values()]
    names = {each.output_name for body in bodies for each in body.find_all(exp.Column, exp.Alias)}
    return frozenset(name for name in names if name.startswith("_"))


@cache
def base_tables() -> tuple[str, ...]:
    """The names of the base tables, as `sql/schema.sql` creates them."""
    return tuple(re.findall(rf"^CREATE TABLE {SCHEMA}\.(\w+)", statement("schema"), re.MULTILINE))


def expand(sql: str) -> exp.Query:
    """A query on an atlas as a query, in DuckDB's dialect, on the base tables (`sigdb_data.*`) alone.

    The names of the caller's own tables stay as they are. Raises QueryError for what is not one query, for a call that
    DuckDB would refuse, and for genes that come from another relation of the same FROM (a lateral join).
    """
    tree = parsed(sql)
    expansion = Expansion(tree)
    expansion.write_out(tree, frozenset())
    return expansion.with_steps(tree)


class Expansion:
    """The common table expressions of one query: what has been written out so far, by macro and arguments."""

    def __init__(self, tree: exp.Query) -> None:
        self.taken = {each.name.lower() for each in tree.find_all(exp.Identifier)}
        self.steps: dict[tuple[str, ...], exp.CTE] = {}

    def with_steps(self, tree: exp.Query) -> exp.Query:
        """The query with the steps before its own WITH: those that it needs."""
        steps = list(self.steps.values())
        empty = {step.alias for step in steps if is_empty(step.this)}
        for query in [each for part in (*steps, tree) for each in part.find_all(exp.Select)] if empty else []:
            for join in list(query.args.get("joins") or []) if is_ours(query) else []:
                if join.side == "LEFT" and join.this.name in empty:
                    unjoined(query, join)
        needed, kept = tables_of(tree), []
        for step in reversed(steps):
            if step.alias in needed:
                kept.append(step)
                needed |= tables_of(step)
        steps = kept[::-1]
        if steps:
            own = tree.args.get("with_")
            expressions = [*steps, *(own.expressions if own else [])]
            tree.set("with_", exp.With(expressions=expressions, recursive=own.args.get("recursive") if own else None))
        return tree

    def fresh(self, name: str) -> str:
        """A name of ours that the query does not use."""
        wanted, number = f"_{name.lstrip('_')}", 1
        while wanted in self.taken:
            number += 1
            wanted = f"_{name.lstrip('_')}_{number}"
        self.taken.add(wanted)
        return wanted

    def write_out(self, tree: exp.Expr, outer: frozenset[str]) -> None:
        """Replace all calls and views in a tree, in place. outer: the CTEs that are visible around it."""
        for call in list(tree.find_all(exp.Anonymous)):
            if call.root() is tree.root() and not isinstance(call.parent, exp.Table):
                self.scalar(call, outer)
        fold(tree)
        for table in list(tree.find_all(exp.Table)):
            if table.root() is tree.root():
                self.table(table, outer)

    def table(self, table: exp.Table, outer: frozenset[str]) -> None:
        """Replace a reference to a view, or a call of a table macro."""
        schema, call = table.db.lower(), table.this
        if table.catalog:  # a table of the caller's, whatever it is called
            return
        visible = frozenset(visible_ctes(table)) | outer
        if isinstance(call, exp.Anonymous):
            if call.name.lower() == "query_table":
                named = exp.to_table(table_name(call), dialect="duckdb")
                for key in ("this", "db", "catalog"):
                    table.set(key, named.args.get(key))
                self.table(table, outer)
            elif macro := macro_named("MACRO TABLE", schema, call.name):
                self.put(table, macro, macro.bind(call.expressions), visible)
            elif schema == SCHEMA or macro_named("MACRO", schema, call.name):
                raise QueryError(f"{call.name} is not a table macro.")
        elif not isinstance(call, exp.Identifier) or (not schema and call.name.lower() in visible):
            return
        elif schema == SCHEMA and call.name.lower() not in base_tables():
            near = get_close_matches(call.name.lower(), base_tables(), 1)
            raise QueryError(
                f"There is no table {SCHEMA}.{call.name}.{f' Did you mean {SCHEMA}.{near[0]}?' if near else ''}"
            )
        elif view := macro_named("VIEW", schema, call.name):
            if not table.alias:
                table.set("alias", exp.TableAlias(this=exp.to_identifier(call.name)))
            self.put(table, view, {}, visible)

    def put(self, table: exp.Table, macro: Macro, values: dict[str, exp.Expr], visible: frozenset[str]) -> None:
        """Put a step, or where it reads a CTE of the caller's, a sub-query, in the place of a table."""
        for name, value in values.items():
            self.write_out_value(value, visible)
            values[name] = decided(value)
            if free := next(free_columns(values[name]), None):
                raise QueryError(
                    f"{macro.name}: {name} is taken from another relation ({free.sql('duckdb')}), which only DuckDB "
                    "does. Give a list, or a sub-query that stands by itself."
                )
        body, alias = self.step(macro, values, visible), table.args.get("alias")
        if isinstance(body, exp.Table):
            body.set("alias", alias)
        else:
            body = exp.Subquery(
                this=body, alias=alias or exp.TableAlias(this=exp.to_identifier(self.fresh(macro.name)))
            )
        for key in ("joins", "pivots", "sample"):
            body.set(key, table.args.get(key))
        table.replace(body)

    def write_out_value(self, value: exp.Expr, visible: frozenset[str]) -> None:
        """Replace all calls in an argument, which has been cut out of its query."""
        self.write_out(exp.Paren(this=value), visible)

    def step(self, macro: Macro, values: dict[str, exp.Expr], visible: frozenset[str]) -> exp.Expr:
        """A macro or view with these arguments: its step, or its body if that reads a CTE of the caller's."""
        # The same words mean something else where a CTE is called as they are.
        meant = sorted(visible & {name for value in values.values() for name in names_in(value)})
        key = (macro.kind, macro.schema, macro.name, *(value.sql("duckdb") for value in values.values()), *meant)
        if key not in self.steps:
            body = substitute(macro.body.copy(), values)
            assert isinstance(body, exp.Query)
            self.write_out(body, visible)
            if any(not each.db and each.name.lower() in visible for each in body.find_all(exp.Table)):
                return body
            alias = exp.TableAlias(this=exp.to_identifier(self.fresh(macro.name)))
            self.steps[key] = exp.CTE(this=body, alias=alias)
            self.steps[key].meta["macro"] = macro.name
        return exp.to_table(self.steps[key].alias)

    def scalar(self, call: exp.Anonymous, outer: frozenset[str]) -> None:
        """Replace a call of a scalar macro. Aliases in its body that the query uses too are renamed first."""
        dot = call.parent if isinstance(call.parent, exp.Dot) and call.parent.expression is call else None
        macro = macro_named("MACRO", dot.this.name if dot else "", call.name)
        if macro is None:
            if dot is None and macro_named("MACRO TABLE", "", call.name):
                raise QueryError(f"{call.name} gives a table: it stands in FROM.")
            return
        visible = frozenset(visible_ctes(call)) | outer
        body = self.renamed(macro.body.copy())
        values = macro.bind(call.expressions)
        for column in [each for value in values.values() for each in value.find_all(exp.Column)]:
            if not column.table and column.name.lower() in inner_columns():
                raise QueryError(
                    f"{macro.name}: {column.name} is also the name of a column inside the macro. Qualify it, as in "
                    f"t.{column.name}."
                )
        for name, value in values.items():
            self.write_out_value(value, visible)
            values[name] = decided(value)
        holder = exp.Paren(this=substitute(body, values))
        self.write_out(holder, visible)
        result = holder if isinstance(holder.this, exp.Binary | exp.Case) else holder.this
        if any(next(free_columns(value), None) for value in values.values()):
            result.meta["of_a_row"] = True
        node: exp.Expr = dot or call
        if isinstance(node.parent, exp.Select) and node.arg_key == "expressions":
            result = exp.alias_(result, macro.name)
        node.replace(result)

    def renamed(self, body: exp.Expr) -> exp.Expr:
        """A macro's body in which no relation is called as one of the caller's."""
        names = {alias.name: alias for alias in body.find_all(exp.TableAlias) if alias.name.lower() in self.taken}
        new = {name: self.fresh(name) for name in names}
        for alias in list(body.find_all(exp.TableAlias)):
            if alias.name in new:
                alias.set("this", exp.to_identifier(new[alias.name]))
        for column in body.find_all(exp.Column):
            if column.table in new:
                column.set("table", exp.to_identifier(new[column.table]))
        return body


def substitute(body: exp.Expr, values: Mapping[str, exp.Expr]) -> exp.Expr:
    """A macro's body with its parameters replaced."""

    def value_of(node: exp.Expr) -> exp.Expr:
        value = values.get(node.name.lower()) if isinstance(node, exp.Column) and not node.table else None
        if value is None:
            return node
        return exp.paren(value) if isinstance(value, exp.Binary | exp.Unary | exp.Case) else value.copy()

    return body.transform(value_of, copy=False)


def names_in(value: exp.Expr) -> set[str]:
    """What an argument may call a table: in SQL, or as a text."""
    return {each.name.strip('"').lower() for each in value.find_all(exp.Table, exp.Column, exp.Literal)}


def tables_of(tree: exp.Expr) -> set[str]:
    """The names of all tables that a tree reads."""
    return {table.name for table in tree.find_all(exp.Table)}


def visible_ctes(node: exp.Expr) -> Iterator[str]:
    """The names, in lower case, of the common table expressions that a node can refer to."""
    inner: exp.Expr | None = None
    while node.parent is not None:
        inner, node = node, node.parent
        if isinstance(node, exp.With):
            # A CTE sees those before it, and itself where they are recursive.
            earlier = node.expressions[: node.expressions.index(inner) + bool(node.args.get("recursive"))]
            yield from (each.alias.lower() for each in earlier)
        elif (own := node.args.get("with_")) is not None and inner is not own:
            yield from (each.alias.lower() for each in own.expressions)


def table_name(call: exp.Anonymous) -> str:
    """The table that query_table is asked for: a string, or a bare name."""
    (named,) = call.expressions
    if isinstance(named, exp.Literal) or (isinstance(named, exp.Column) and not named.table):
        return str(named.name)
    raise QueryError(f"A population (cells := ...) is the name of a view or table, not {named.sql('duckdb')}.")


def free_columns(value: exp.Expr) -> Iterator[exp.Column]:
    """The columns in an argument that are not of a sub-query in it."""
    for column in value.find_all(exp.Column):
        query = column.find_ancestor(exp.Query)
        sources = {each.alias_or_name for each in value.find_all(exp.Table, exp.Subquery, exp.CTE)}
        if query is None or (column.table and column.table not in sources):
            yield column
