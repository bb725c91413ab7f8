"""Query an atlas through one of Python's database tools, without sigdb, and print the rows as JSON.

    tools.py TOOL ATLAS QUERY GENES

QUERY contains `:genes`, to which the tool binds the list GENES. The tool `reflection` prints what a BI tool sees.
"""

import json
import sys


def engine(path):
    from sqlalchemy import create_engine

    return create_engine(f"duckdb:///{path}", connect_args={"read_only": True})


def reflection(path, query, genes):
    from sqlalchemy import inspect

    inspector = inspect(engine(path))
    views = {name.rsplit(".", 1)[-1] for name in inspector.get_view_names()}
    columns = {column["name"]: column.get("comment") for column in inspector.get_columns("cells")}
    return {"views": sorted(views), "columns": columns, "comment": inspector.get_table_comment("cells")["text"]}


def sqlalchemy(path, query, genes):
    from sqlalchemy import text

    with engine(path).connect() as connection:
        return [list(row) for row in connection.execute(text(query), {"genes": genes})]


def pandas(path, query, genes):
    import pandas
    from sqlalchemy import text

    with engine(path).connect() as connection:
        frame = pandas.read_sql(text(query), connection, params={"genes": genes})
    return frame.astype(object).where(frame.notna(), None).to_numpy().tolist()


def polars(path, query, genes):
    import duckdb
    import polars

    with duckdb.connect(path, read_only=True) as con:
        frame = polars.read_database(query.replace(":genes", "?"), con, execute_options={"parameters": [genes]})
        return [list(row) for row in frame.rows()]


def adbc(path, query, genes):
    import adbc_driver_duckdb
    from adbc_driver_manager import dbapi

    where = {"path": path, "access_mode": "READ_ONLY"}
    driver = {"driver": adbc_driver_duckdb.driver_path(), "entrypoint": "duckdb_adbc_init"}
    with dbapi.connect(**driver, db_kwargs=where, autocommit=True) as con, con.cursor() as cursor:
        cursor.execute(query.replace(":genes", "?"), [genes])
        return [list(row) for row in cursor.fetchall()]


tool, atlas, query, genes = sys.argv[1:]
json.dump(globals()[tool](atlas, query, json.loads(genes)), sys.stdout)
