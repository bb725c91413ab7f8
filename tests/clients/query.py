"""Run a query on an atlas with nothing but duckdb: query.py FOLDER_OF_DUCKDB ATLAS QUERY; prints the rows as JSON.

ATLAS may be :memory:, a QUERY then attaches what it asks.
"""

import json
import sys

folder, atlas, query = sys.argv[1:]
sys.path.insert(0, folder)

import duckdb  # noqa: E402

try:
    import sigdb  # noqa: F401
except ImportError:
    print(json.dumps(duckdb.connect(atlas, read_only=atlas != ":memory:").execute(query).fetchall()))  # noqa: T201
else:
    sys.exit("sigdb can be imported: this shows nothing")
