"""The messages of Arrow Flight SQL that the Flight door reads and writes.

pyarrow has Flight without its SQL part. The fields are those of `FlightSql.proto` of Apache Arrow.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.any_pb2 import Any as Wrapped
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

__all__ = ["MESSAGES", "pack", "unpack"]

PACKAGE = "arrow.flight.protocol.sql"
TEXT, BYTES, BOOL = (getattr(FieldDescriptorProto, f"TYPE_{name}") for name in ("STRING", "BYTES", "BOOL"))
# The fields of each message: their numbers and types.
FIELDS = {
    "CommandStatementQuery": {"query": (1, TEXT)},
    "CommandStatementUpdate": {"query": (1, TEXT)},
    "TicketStatementQuery": {"statement_handle": (1, BYTES)},
    "ActionCreatePreparedStatementRequest": {"query": (1, TEXT)},
    "ActionCreatePreparedStatementResult": {"prepared_statement_handle": (1, BYTES), "dataset_schema": (2, BYTES)},
    "ActionClosePreparedStatementRequest": {"prepared_statement_handle": (1, BYTES)},
    "CommandPreparedStatementQuery": {"prepared_statement_handle": (1, BYTES)},
    "CommandGetCatalogs": {},
    "CommandGetDbSchemas": {"catalog": (1, TEXT), "db_schema_filter_pattern": (2, TEXT)},
    "CommandGetTables": {
        "catalog": (1, TEXT),
        "db_schema_filter_pattern": (2, TEXT),
        "table_name_filter_pattern": (3, TEXT),
        "include_schema": (5, BOOL),
    },
    "CommandGetTableTypes": {},
    "CommandGetSqlInfo": {},
}


def classes() -> dict[str, Any]:
    """The class of each message, by its name."""
    file = FileDescriptorProto(name="sigdb_flight_sql.proto", package=PACKAGE, syntax="proto3")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            message.field.add(name=field, number=number, type=kind, label=FieldDescriptorProto.LABEL_OPTIONAL)
    pool = DescriptorPool()
    pool.Add(file)
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in FIELDS}


MESSAGES = classes()


def unpack(packed: bytes) -> Any:
    """A message in its envelope. Raises ValueError if it is not of Flight SQL, or not one that is known here."""
    try:
        wrapped = Wrapped.FromString(packed)
        name = wrapped.type_url.rpartition(f"{PACKAGE}.")[2]
        if name in MESSAGES:
            return MESSAGES[name].FromString(wrapped.value)
    except DecodeError as error:
        raise ValueError("This is not a message of Flight SQL.") from error
    raise ValueError(f"This server does not know the message {wrapped.type_url!r:.200} of Flight SQL.")


def pack(name: str, **fields: object) -> bytes:
    """A message in its envelope."""
    wrapped = Wrapped()
    wrapped.Pack(MESSAGES[name](**fields))
    return bytes(wrapped.SerializeToString())
