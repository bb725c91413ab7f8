"""GoogleSQL's own analyzer and evaluator over the tables of an atlas: BigQuery's language without BigQuery.

The package `zetasql` has both as WebAssembly. Its Python wrappers are slow, so this module builds the protobuf messages
itself.
"""

from __future__ import annotations

import ctypes
from typing import Any

import duckdb
from zetasql.core import wasm_client
from zetasql.wasi import get_wasm_path
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as service
from zetasql.wasi._pb2.zetasql.proto import options_pb2, simple_catalog_pb2
from zetasql.wasi._pb2.zetasql.public import options_pb2 as public
from zetasql.wasi._pb2.zetasql.public import simple_table_pb2, type_pb2, value_pb2

TYPES = {"BOOLEAN": type_pb2.TYPE_BOOL, "DOUBLE": type_pb2.TYPE_DOUBLE, "FLOAT": type_pb2.TYPE_DOUBLE}
FIELDS = {type_pb2.TYPE_BOOL: "bool_value", type_pb2.TYPE_DOUBLE: "double_value", type_pb2.TYPE_INT64: "int64_value"}


class Config(wasm_client.Config):
    """Keeps the compiled module on disk for all processes, since compiling takes a minute."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = True


class Client(wasm_client.WasmClient):
    """A client that copies memory in blocks instead of byte by byte."""

    @property
    def start(self) -> int:
        """The address of the WebAssembly memory."""
        return ctypes.addressof(self.memory.data_ptr().contents)

    def write_bytes(self, ptr: int, data: bytes) -> None:
        ctypes.memmove(self.start + ptr, data, len(data))

    def read_bytes(self, ptr: int, size: int) -> bytes:
        return ctypes.string_at(self.start + ptr, size)

    def call_service(self, name: str, request: Any, response: Any) -> Any:
        """Call a method of the local service."""
        return self.call_grpc_func(f"ZetaSqlLocalService_{name}", request, response)


def client() -> Client:
    """An evaluator. Many databases can be registered with it."""
    wasm_client.Config = Config
    return Client(get_wasm_path())


class Database:
    """The base tables of an atlas, in BigQuery's types. Their names have the schema as a prefix: sigdb_data_genes."""

    def __init__(self, client: Client, path: Any = None) -> None:
        self.client = client
        request = service.LanguageOptionsRequest(maximum_features=True)
        language = client.call_service("GetLanguageOptions", request, options_pb2.LanguageOptionsProto)
        language.product_mode = public.PRODUCT_EXTERNAL
        self.options = options_pb2.AnalyzerOptionsProto(language_options=language)
        catalog = simple_catalog_pb2.SimpleCatalogProto(
            name="atlas",
            builtin_function_options=options_pb2.ZetaSQLBuiltinFunctionOptionsProto(language_options=language),
        )
        content = {}
        with duckdb.connect(str(path or ":memory:"), read_only=path is not None) as con:
            tables = con.sql("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'sigdb_data'").fetchall()
            for (table,) in tables:
                rows = con.sql(f"FROM sigdb_data.{table}")
                kinds = [str(kind) for kind in rows.types]
                columns = [
                    simple_table_pb2.SimpleColumnProto(name=name, type=type_of(kind))
                    for name, kind in zip(rows.columns, kinds, strict=True)
                ]
                catalog.table.append(simple_table_pb2.SimpleTableProto(name=f"sigdb_data_{table}", column=columns))
                content[f"sigdb_data_{table}"] = table_content(rows.fetchall(), kinds)
        request = service.RegisterCatalogRequest(simple_catalog=catalog, table_content=content)
        self.id = client.call_service("RegisterCatalog", request, service.RegisterResponse).registered_id

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query that was transpiled with the default schema."""
        sql = sql.replace("sigdb_data.", "sigdb_data_")
        request = service.PrepareQueryRequest(sql=sql, options=self.options, registered_catalog_id=self.id)
        found = self.client.call_service("PrepareQuery", request, service.PrepareQueryResponse)
        request = service.EvaluateQueryRequest(prepared_query_id=found.prepared.prepared_query_id)
        found = self.client.call_service("EvaluateQuery", request, service.EvaluateQueryResponse)
        return [tuple(to_python(cell) for cell in row.cell) for row in found.content.table_data.row]


def type_of(kind: str) -> Any:
    """BigQuery's type for a type of DuckDB. Types that no macro reads become STRING."""
    if kind.endswith("[]"):
        element = type_pb2.ArrayTypeProto(element_type=type_of(kind[:-2]))
        return type_pb2.TypeProto(type_kind=type_pb2.TYPE_ARRAY, array_type=element)
    known = TYPES.get(kind, type_pb2.TYPE_STRING)
    return type_pb2.TypeProto(type_kind=type_pb2.TYPE_INT64 if "INT" in kind else known)


def value_of(value: Any, kind: str) -> Any:
    """A value of a type of DuckDB as a message."""
    if value is None:
        return value_pb2.ValueProto()
    if kind.endswith("[]"):
        elements = [value_of(each, kind[:-2]) for each in value]
        return value_pb2.ValueProto(array_value=value_pb2.ValueProto.Array(element=elements))
    field = FIELDS.get(type_of(kind).type_kind, "string_value")
    return value_pb2.ValueProto(**{field: str(value) if field == "string_value" else value})


def table_content(rows: list[tuple[Any, ...]], kinds: list[str]) -> Any:
    """The rows of a table as a message."""
    cells = ([value_of(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in rows)
    data = service.TableData(row=[service.TableData.Row(cell=each) for each in cells])
    return service.TableContent(table_data=data)


def to_python(value: Any) -> Any:
    """The Python value of a message."""
    field = value.WhichOneof("value")
    if field == "array_value":
        return [to_python(each) for each in value.array_value.element]
    return None if field is None else getattr(value, field)
