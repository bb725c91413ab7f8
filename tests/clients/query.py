"""Run queries on atlases with nothing but duckdb: query.py FOLDER_OF_DUCKDB.

Standard input is JSON, {name: [atlas, query]}, and standard output {name: rows}, with the text of the error in place of
the rows where a query failed. Each query has a connection of its own; an atlas may be `:memory:`.
"""

import json
import sys

sys.path.insert(0, sys.argv[1])

import duckdb


def run(atlas, query):
    try:
        with duckdb.connect(atlas, read_only=atlas != ":memory:") as con:
            return con.execute(query).fetchall()
    except duckdb.Error as error:
        return str(error)


try:
    import sigdb  # noqa: F401
except ImportError:
    json.dump({name: run(*asked) for name, asked in json.load(sys.stdin).items()}, sys.stdout)
else:
    sys.exit("sigdb can be imported here, so that the queries would show nothing about clients without sigdb")
