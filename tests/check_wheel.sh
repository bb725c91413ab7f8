#!/bin/sh
# Check the installed wheel as someone has it who only asks: check_wheel.sh BIN ATLAS, run outside the checkout.
set -eu
bin=$1
atlas=$2

"$bin/sigdb" --help > /dev/null
"$bin/sigdb" info "$atlas"
"$bin/sigdb" sql "$atlas" "SELECT count(*) AS cells, avg(score) AS score FROM signature_score(['LYZ'])" --format csv
"$bin/sigdb" score "$atlas" LYZ --by study
"$bin/python" - "$atlas" << 'END'
import importlib.util
import sys

for heavy in ("torch", "captum", "anndata"):
    assert importlib.util.find_spec(heavy) is None, f"{heavy} is installed"
import ingest.write
import sigdb
from sigdb.atlas import upgrade

assert "site-packages" in sigdb.__file__, f"not the wheel, but {sigdb.__file__}"
with sigdb.connect(sys.argv[1]) as con:
    ((cells,),) = con.execute("SELECT count(*) FROM signature_score(['LYZ'])").fetchall()
assert cells > 1000, cells
sigdb.Atlas.create("made-by-the-wheel.duckdb").close()
assert upgrade("made-by-the-wheel.duckdb") == (1, 1)
END
rm made-by-the-wheel.duckdb

if "$bin/sigdb" demo elsewhere.duckdb 2> message; then
    echo "sigdb demo built an atlas without the ingest extra" >&2
    exit 1
fi
grep -q "pip install 'sigdb-atlas\[ingest\]'" message
rm message
echo "The wheel works without extras."
