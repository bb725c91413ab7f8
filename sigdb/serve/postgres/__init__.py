"""The Postgres door: pg-mimic speaks the protocol, and the gate answers."""

from sigdb.serve.postgres.door import PostgresDoor

__all__ = ["PostgresDoor"]
