#!/bin/sh
# Check the installed wheel in an environment without the extras: check_wheel.sh BIN ATLAS, run outside the checkout.
set -eu
bin=$1
atlas=$2

"$bin/sigdb" --help > /dev/null
"$bin/sigdb" info "$atlas"
"$bin/sigdb" sql "$atlas" "SELECT count(*) AS cells, avg(score) AS score FROM signature_score(['LYZ'])" --format csv
"$bin/sigdb" score "$atlas" LYZ --by study
"$bin/sigdb" hits "$atlas" LYZ --by study --min-samples 1
"$bin/python" - "$atlas" << 'END'
import importlib.util
import sys

for heavy in ("torch", "captum", "anndata"):
    assert importlib.util.find_spec(heavy) is None, f"{heavy} is installed"
import ingest.store.writer
import sigdb
from sigdb.atlas.file import SCHEMA_VERSION
from sigdb.atlas.upgrade import upgrade

assert "site-packages" in sigdb.__file__, f"not the wheel, but {sigdb.__file__}"
with sigdb.connect(sys.argv[1]) as con:
    ((cells,),) = con.execute("SELECT count(*) FROM signature_score(['LYZ'])").fetchall()
assert cells > 1000, cells
sigdb.Atlas.create("made-by-the-wheel.duckdb").close()
assert upgrade("made-by-the-wheel.duckdb") == (SCHEMA_VERSION, SCHEMA_VERSION)
END
rm made-by-the-wheel.duckdb

"$bin/sigdb" demo elsewhere.duckdb > /dev/null
rm elsewhere.duckdb
if "$bin/sigdb" demo elsewhere.duckdb --attribute 2> message; then
    echo "sigdb demo ran the model without the ingest extra" >&2
    exit 1
fi
grep -q "pip install -e '.\[ingest\]'" message
if "$bin/sigdb" compare "$atlas" LYZ --by tissue --reference blood --paired-by donor --min-cells 1 2> message; then
    echo "sigdb compare tested without the stats extra" >&2
    exit 1
fi
grep -q "pip install -e '.\[stats\]'" message
if "$bin/sigdb" hits "$atlas" LYZ --plot hits.html 2> message; then
    echo "sigdb hits drew without the plots extra" >&2
    exit 1
fi
grep -q "pip install -e '.\[plots\]'" message
rm message
echo "The wheel works without extras."
