"""Expansion: a query with macros and views becomes a query on base tables alone, for engines without macros.

The text of a macro is read from `sql/`. Each call of a table macro, and each view, becomes a common table expression
(a step); calls with equal arguments share one. Conditions that the arguments decide are folded.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import duckdb
import sqlglot
from sqlglot import exp

from sigdb.dialects.fold import decide, drop_join, fold, is_constant, is_empty, is_of_caller, mark_caller
from sigdb.dialects.macros import SCHEMA, Macro, base_tables, find_macro, inner_columns
from sigdb.errors import QueryError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["expand"]

# The clauses of a table that stay when a step or sub-query replaces it.
AROUND_TABLE = ("joins", "pivots", "sample")


def expand(sql: str) -> exp.Query:
    """Write out a query on an atlas, in DuckDB's dialect, as a query on the base tables (`sigdb_data.*`) alone.

    The names of the caller's own tables stay as they are. Raises QueryError for anything but one query, for a call that
    DuckDB would refuse, and for genes that come from another relation of the same FROM (a lateral join).
    """
    tree = parse_query(sql)
    mark_caller(tree)
    expansion = Expansion(tree)
    expansion.write_out(tree, frozenset())
    return expansion.add_steps(tree)


def parse_query(sql: str) -> exp.Query:
    """The tree of one query in the SQL of the installed DuckDB; QueryError for anything else."""
    dialect = f"duckdb, version={duckdb.__version__}"
    try:
        trees = [tree for tree in sqlglot.parse(sql, dialect=dialect) if tree is not None]
    except sqlglot.errors.SqlglotError as error:
        raise QueryError(f"This is not a query in DuckDB's SQL: {str(error).splitlines()[0]}") from error
    if len(trees) != 1:
        raise QueryError(f"Give one query, not {len(trees)} statements.")
    tree = trees[0].unnest()
    if isinstance(tree, exp.Values):
        tree = exp.select("*").from_(tree)
    if not isinstance(tree, exp.Query):
        raise QueryError(f"Give one query (SELECT, FROM, WITH): {sql.split()[0].upper()} is not a query.")
    if parameter := tree.find(exp.Placeholder, exp.Parameter):
        raise QueryError(f"The query has a parameter, {parameter.sql('duckdb')}. Write its value into the query.")
    return tree


class Expansion:
    """The steps (common table expressions) written so far for one query, by macro and arguments."""

    def __init__(self, tree: exp.Query) -> None:
        self.taken = {each.name.lower() for each in tree.find_all(exp.Identifier)}
        self.steps: dict[tuple[str, ...], exp.CTE] = {}

    def add_steps(self, tree: exp.Query) -> exp.Query:
        """Put the steps that a query needs before its own WITH."""
        steps = list(self.steps.values())
        drop_empty_joins([*(step.this for step in steps), tree], {step.alias for step in steps if is_empty(step.this)})
        needed, kept = tables_of(tree), []
        for step in reversed(steps):
            if step.alias in needed:
                kept.append(step)
                needed |= tables_of(step)
        if kept:
            own = tree.args.get("with_")
            expressions = [*reversed(kept), *(own.expressions if own else [])]
            tree.set("with_", exp.With(expressions=expressions, recursive=own.args.get("recursive") if own else None))
        return tree

    def new_name(self, name: str) -> str:
        """A name for a step or relation that the query does not use."""
        wanted, number = f"_{name.lstrip('_')}", 1
        while wanted in self.taken:
            number += 1
            wanted = f"_{name.lstrip('_')}_{number}"
        self.taken.add(wanted)
        return wanted

    def write_out(self, tree: exp.Expr, outer: frozenset[str], nodes: Sequence[exp.Expr] | None = None) -> exp.Expr:
        """Replace all calls and views in a tree, in place. Returns it; of a union with one branch left, this branch.

        outer: the CTEs that are visible around the tree. nodes: the nodes to look at, parents before children; by
        default all nodes of the tree.
        """
        nodes, root = nodes or list(tree.bfs()), tree.root()
        for call in nodes:
            if isinstance(call, exp.Anonymous) and not isinstance(call.parent, exp.Table) and call.root() is root:
                self.replace_scalar(call, outer)
        tree = fold(tree, nodes)
        if isinstance(tree, exp.Query):
            root = tree.pop()
        for table in nodes:
            if isinstance(table, exp.Table) and table.root() is root:
                self.replace_table(table, outer)
        return tree

    def replace_table(self, table: exp.Table, outer: frozenset[str]) -> None:
        """Replace a call of a table macro, or a reference to a view. Other tables stay as they are."""
        schema, source = table.db.lower(), table.this
        if table.catalog:  # a table of the caller
            return
        visible = frozenset(visible_ctes(table)) | outer
        if isinstance(source, exp.Anonymous):
            self.replace_call(table, source, visible)
        elif not isinstance(source, exp.Identifier) or (not schema and source.name.lower() in visible):
            return
        elif schema == SCHEMA and source.name.lower() not in base_tables():
            hint = nearest(source.name.lower(), base_tables())
            raise QueryError(f"There is no table {SCHEMA}.{source.name}.{hint}")
        elif view := find_macro("VIEW", schema, source.name):
            if not table.alias:
                table.set("alias", exp.TableAlias(this=exp.to_identifier(source.name)))
            self.put_step(table, view, {}, visible)

    def replace_call(self, table: exp.Table, call: exp.Anonymous, visible: frozenset[str]) -> None:
        """Replace a call in FROM, if it is of a table macro or of query_table."""
        if call.name.lower() == "query_table":
            named = exp.to_table(table_name(call), dialect="duckdb")
            for key in ("this", "db", "catalog"):
                table.set(key, named.args.get(key))
            self.replace_table(table, visible)
        elif macro := find_macro("MACRO TABLE", table.db, call.name):
            self.put_step(table, macro, macro.bind(call.expressions), visible)
        elif table.db.lower() == SCHEMA or find_macro("MACRO", table.db, call.name):
            raise QueryError(f"{call.name} is not a table macro.")

    def put_step(self, table: exp.Table, macro: Macro, values: dict[str, exp.Expr], visible: frozenset[str]) -> None:
        """Replace a table by the step of a macro, or by a sub-query if the macro reads a CTE of the caller."""
        for name in values:
            values[name] = self.write_out_value(values[name], visible)
            if free := next(free_columns(values[name]), None):
                raise QueryError(
                    f"{macro.name}: {name} is taken from another relation ({free.sql('duckdb')}), which only DuckDB "
                    "can do. Give a list, or a sub-query that uses no column from outside."
                )
        body, alias = self.step(macro, values, visible), table.args.get("alias")
        if isinstance(body, exp.Table):
            body.set("alias", alias)
        else:
            new = exp.TableAlias(this=exp.to_identifier(self.new_name(macro.name))) if alias is None else alias
            body = exp.Subquery(this=body, alias=new)
        for key in AROUND_TABLE:
            body.set(key, table.args.get(key))
        table.replace(body)

    def write_out_value(self, value: exp.Expr, visible: frozenset[str]) -> exp.Expr:
        """An argument with all calls replaced, folded. The argument itself stays as it is."""
        if is_constant(value):
            return value
        holder = exp.Paren(this=value.copy())
        self.write_out(holder, visible)
        return decide(holder.this)

    def step(self, macro: Macro, values: dict[str, exp.Expr], visible: frozenset[str]) -> exp.Expr:
        """A reference to the step of a macro with these arguments; its body if that reads a CTE of the caller."""
        # In the scope of a CTE, an argument with the same text can mean another table.
        captured = sorted(visible & {name for value in values.values() for name in names_in(value)}) if visible else []
        texts = (value.sql("duckdb", copy=False) for value in values.values())
        key = (macro.kind, macro.schema, macro.name, *texts, *captured)
        if key not in self.steps:
            body, nodes = instantiate(macro.body, values)
            body = self.write_out(body, visible, nodes)
            if visible and any(not each.db and each.name.lower() in visible for each in body.find_all(exp.Table)):
                return body
            alias = exp.TableAlias(this=exp.to_identifier(self.new_name(macro.name)))
            self.steps[key] = exp.CTE(this=body, alias=alias)
            self.steps[key].meta["macro"] = macro.name
        return exp.Table(this=exp.to_identifier(self.steps[key].alias))

    def replace_scalar(self, call: exp.Anonymous, outer: frozenset[str]) -> None:
        """Replace a call of a scalar macro by its body. Other calls stay as they are."""
        dot = call.parent if isinstance(call.parent, exp.Dot) and call.parent.expression is call else None
        macro = find_macro("MACRO", dot.this.name if dot else "", call.name)
        if macro is None:
            if dot is None and find_macro("MACRO TABLE", "", call.name):
                raise QueryError(f"{call.name} returns a table, so it belongs in FROM.")
            return
        visible = frozenset(visible_ctes(call)) | outer
        values = macro.bind(call.expressions)
        check_capture(macro, values)
        values = {name: self.write_out_value(value, visible) for name, value in values.items()}
        body, nodes = instantiate(macro.body, values)
        self.rename_relations(nodes)
        holder = exp.Paren(this=body)
        self.write_out(holder, visible, nodes)
        result = holder if isinstance(holder.this, exp.Binary | exp.Case) else holder.this
        if any(next(free_columns(value), None) for value in values.values()):
            result.meta["correlated"] = True
        node: exp.Expr = dot or call
        if isinstance(node.parent, exp.Select) and node.arg_key == "expressions":
            result = exp.alias_(result, macro.name)
        node.replace(result)

    def rename_relations(self, nodes: Sequence[exp.Expr]) -> None:
        """Give new names to the relations in a macro's body whose names the query uses too."""
        aliases = [node for node in nodes if isinstance(node, exp.TableAlias) and node.name.lower() in self.taken]
        names = {name: self.new_name(name) for name in dict.fromkeys(alias.name for alias in aliases)}
        for alias in aliases:
            alias.set("this", exp.to_identifier(names[alias.name]))
        for column in nodes if names else []:
            if isinstance(column, exp.Column) and column.table in names:
                column.set("table", exp.to_identifier(names[column.table]))


def instantiate(body: exp.Expr, values: Mapping[str, exp.Expr]) -> tuple[exp.Expr, list[exp.Expr]]:
    """Copy a macro's body with values in place of its parameters.

    The second result lists the nodes of the copy, without the nodes of the values, parents before children. One pass
    copies, substitutes and lists, so expansion is fast.
    """
    queue: deque[tuple[exp.Expr, exp.Expr]] = deque()
    nodes: list[exp.Expr] = []

    def copy_of(arg: Any) -> Any:
        if not isinstance(arg, exp.Expr):
            return arg
        value = values.get(arg.name.lower()) if type(arg) is exp.Column and not arg.table else None
        if value is not None:
            return exp.paren(value) if isinstance(value, exp.Binary | exp.Unary | exp.Case) else value.copy()
        made = type(arg)()
        queue.append((arg, made))
        return made

    root = copy_of(body)
    while queue:
        node, made = queue.popleft()
        nodes.append(made)
        made.comments = node.comments
        for key, arg in node.args.items():
            made.set(key, [copy_of(each) for each in arg] if isinstance(arg, list) else copy_of(arg))
    return root, nodes


def check_capture(macro: Macro, values: Mapping[str, exp.Expr]) -> None:
    """Raise QueryError if a bare column in an argument would mean a column inside the macro."""
    for column in [each for value in values.values() for each in value.find_all(exp.Column)]:
        if not column.table and column.name.lower() in inner_columns():
            raise QueryError(
                f"{macro.name}: {column.name} is also the name of a column inside the macro. Qualify it, as in "
                f"t.{column.name}."
            )


def drop_empty_joins(trees: Sequence[exp.Expr], empty: set[str]) -> None:
    """Remove the LEFT JOINs of macros with empty steps."""
    for query in [each for tree in trees for each in tree.find_all(exp.Select)] if empty else []:
        for join in [] if is_of_caller(query) else list(query.args.get("joins") or []):
            if join.side == "LEFT" and join.this.name in empty:
                drop_join(query, join)


def names_in(value: exp.Expr) -> set[str]:
    """The names that may refer to a table in an argument, written as SQL or as a string."""
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
            # A CTE can refer to earlier ones, and to itself in WITH RECURSIVE.
            earlier = node.expressions[: node.expressions.index(inner) + bool(node.args.get("recursive"))]
            yield from (each.alias.lower() for each in earlier)
        elif (own := node.args.get("with_")) is not None and inner is not own:
            yield from (each.alias.lower() for each in own.expressions)


def table_name(call: exp.Anonymous) -> str:
    """The name of the table in query_table('name') or query_table(name)."""
    (named,) = call.expressions
    if isinstance(named, exp.Literal) or (isinstance(named, exp.Column) and not named.table):
        return str(named.name)
    raise QueryError(f"A population (cells := ...) is the name of a view or table, not {named.sql('duckdb')}.")


def free_columns(value: exp.Expr) -> Iterator[exp.Column]:
    """The columns in an argument that come from outside of its sub-queries."""
    if is_constant(value):
        return
    sources = {each.alias_or_name for each in value.find_all(exp.Table, exp.Subquery, exp.CTE)}
    for column in value.find_all(exp.Column):
        if column.find_ancestor(exp.Query) is None or (column.table and column.table not in sources):
            yield column
