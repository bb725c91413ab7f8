# make demo          set up .venv without torch, build demo.duckdb from bundled attributions, print findings
# make test          set everything up; run the tests on the newest DuckDB, those of other clients, and the notebooks
# make lint          run ruff, mypy and import-linter, and check that generated pages are up to date
# make explorer      build the explorer page into sigdb/data/explorer (needs npm); the wheel ships it
# make wheel         build the wheel, and check it in a clean environment
# make docs          write docs/sql.md and docs/cli.md from the headers of sql/ and from --help
# make site          build the documentation into build/site, warnings are errors
# make bench         compare speed and memory with sc-signature (about an hour; 10 GB of disk, 20 GB of memory)
# make bi            build a dashboard in Apache Superset, compare its numbers, take docs/superset/superset.png (needs Chromium)
# make train         train the demonstration models, and write the attributions that `make demo` loads
#
# More tests, which .ci/run runs and `make test` does not:
# make test-thorough the tests marked slow, property tests with all their examples, and three notebooks
# make test-oldest   all tests that need no model, slow ones too, on the oldest DuckDB
# make test-lake     the same tests on the newest DuckDB, with each atlas exported and opened as a lake
# make test-remote   a lake behind HTTP and an S3 API on this machine, in its own environment
# make test-dialects the SQL of the atlas on Apache Spark (needs Java 17) and GoogleSQL's evaluator, in its own environment
# make test-web      the explorer page in Chromium and Firefox (needs npm), and `sigdb serve` with psycopg, SQLAlchemy, ADBC and
#                    other clients, in its own environment; psql, R, Java and ODBC if they are installed (on Debian: apt
#                    install postgresql-client r-cran-rpostgresql default-jdk libpostgresql-jdbc-java unixodbc odbc-postgresql)
# make test-cluster  studies that Apache Spark adds to a lake (needs Java 17), in the same environment
# make environments  the environments of all these tests, which take minutes to install; with --jobs=3, three at a time
#
# Tests that nothing else runs:
# make test-scvi     compare with scvi-tools itself, on checkpoints that it writes, in its own environment
# make r-fixtures    write tests/data/r/oracle.csv, the numbers of R packages that `make test` compares with (needs R; on
#                    Debian: apt install r-cran-metafor r-cran-lme4 r-cran-clubsandwich)

PYTHON ?= python3
BIN := .venv/bin
DUCKDB_OLDEST := 1.4.2
# The newest version of DuckDB whose httpfs is on PyPI, and a server with an S3 API for its tests.
DUCKDB_HTTPFS := 1.5.5
MOTO := 5.2.5
ASYNCPG := 0.32.0
PYODBC := 5.5.0
PLAYWRIGHT := 1.61.0
BOTO := 1.44.8
# The tests that need no model: queries, and how atlases and lakes are stored.
SQL_TESTS := tests/sql tests/sigdb/atlas tests/sigdb/lake tests/sigdb/scores/test_udf.py tests/sigdb/findings/test_hits.py \
	tests/sigdb/findings/test_nulls.py tests/sigdb/test_connection.py tests/sigdb/test_signatures.py tests/sigdb/serve/test_gate.py
# The notebooks that take longest run in `make test-thorough`.
NOTEBOOKS := $(wildcard notebooks/[134]*.ipynb)
SLOW_NOTEBOOKS := $(wildcard notebooks/[256]*.ipynb)
# One process per core; an idle one takes over tests that wait.
PARALLEL := -n auto --dist worksteal
# The same, with all tests of a file in one process, as they share something that starts slowly.
BY_FILE := -n auto --dist loadfile
NODE_API := 1.5.6-r.1
SCIMILARITY := 0.4.1
SC_SIGNATURE := 1.0.0
SCVI_TOOLS := 1.4.2
SUPERSET := 6.1.0

PAGE := sigdb/explorer/page

.PHONY: demo explorer environments test test-thorough test-oldest test-lake test-remote test-web test-dialects test-cluster test-scvi r-fixtures lint wheel docs site train bench bi clean

demo: .venv/light
	$(BIN)/sigdb demo demo.duckdb
	@echo 'Those commands need this environment: source .venv/bin/activate'

test: .venv/ready .venv-tools/ready .clients/ready .originals/ready
	test -f demo.duckdb || $(BIN)/sigdb demo demo.duckdb > /dev/null
	$(BIN)/python -m pytest $(PARALLEL) --nbmake $(NOTEBOOKS) tests --ignore=tests/web

test-thorough: .venv/ready .venv-tools/ready .originals/ready
	$(BIN)/python -m pytest $(PARALLEL) --thorough -m 'slow or hypothesis' tests
	$(BIN)/python -m pytest $(PARALLEL) --nbmake $(SLOW_NOTEBOOKS)

test-oldest: .venv-oldest/ready
	.venv-oldest/bin/python -m pytest $(PARALLEL) --thorough $(SQL_TESTS)

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

docs: .venv/ready
	$(BIN)/python docs/generate.py

site: .venv-docs/ready
	rm -rf build/site
	.venv-docs/bin/sphinx-build -W --keep-going --quiet -c docs . build/site

# Sphinx and the query side of sigdb, without torch. docs/conf.py names the packages that are replaced by mocks.
.venv-docs/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

# The page of `sigdb explore` and `sigdb page`, which the wheel ships. Its packages come from npm, by the lock file.
explorer: sigdb/data/explorer/catalog.json

sigdb/data/explorer/catalog.json: sigdb/data/explorer/app.js $(wildcard sigdb/explorer/*.py sigdb/findings/plots/*.py sql/*/*.sql)
	$(BIN)/python -m sigdb.explorer.catalog

sigdb/data/explorer/app.js: $(PAGE)/node_modules/.package-lock.json $(wildcard $(PAGE)/*.* $(PAGE)/src/*.js $(PAGE)/src/*/*.js) .venv/ready
	node $(PAGE)/build.mjs

$(PAGE)/node_modules/.package-lock.json: $(PAGE)/package-lock.json
	npm ci --prefix $(PAGE) --ignore-scripts --no-audit --no-fund --silent

train: .venv/ready
	$(BIN)/python -m ingest.demo.train --out ingest/demo/model
	$(BIN)/python -m ingest.demo.train_transformers --out ingest/demo/transformers
	$(BIN)/python -m ingest.demo.bundle

bench: .venv-bench/ready .clients/ready .originals/ready
	mkdir -p build
	.venv-bench/bin/python -m benchmarks.search build
	.venv-bench/bin/python -m benchmarks.attribution --out build/attribution.json
	.venv-bench/bin/python -m benchmarks.writing build

# The package of the paper pins old versions of many packages. Its search needs few of them, so pip skips all of them.
.venv-bench/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --constraint constraints.txt --editable '.[bench]'
	.venv-bench/bin/pip install --quiet --no-deps sc-signature==1.0.0
	touch $@

# SERVE=--serve keeps the dashboard running after the check. POSTGRES=--postgres connects to `sigdb serve --postgres`.
bi: .venv/ready .venv-bi/ready
	test -f demo.duckdb || $(BIN)/sigdb demo demo.duckdb > /dev/null
	.venv-bi/bin/python docs/superset/dashboard.py demo.duckdb --sigdb $(BIN)/sigdb --picture docs/superset/superset.png $(POSTGRES) $(SERVE)

# Superset needs rich and cachetools without declaring them, and does not start with newer versions of Flask-Caching.
.venv-bi/ready: Makefile
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] > (3, 12) and "Superset needs Python 3.11 or 3.12: PYTHON=python3.12")'
	$(PYTHON) -m venv .venv-bi
	.venv-bi/bin/pip install --quiet apache-superset==$(SUPERSET) flask-caching==2.3.1 rich cachetools \
		duckdb-engine==0.17.0 duckdb==1.5.6 psycopg2-binary==2.9.13 playwright==1.65.2
	touch $@

wheel: .venv/ready explorer
	rm -rf dist .venv-wheel
	$(BIN)/python -m build --wheel
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/pip install --quiet --constraint constraints.txt dist/*.whl
	test -f demo.duckdb || $(BIN)/sigdb demo demo.duckdb > /dev/null
	cd dist && sh ../tests/check_wheel.sh ../.venv-wheel/bin ../demo.duckdb

# What asking needs. `make test` adds the rest to the same environment.
.venv/light: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# The oldest supported DuckDB, without torch and anndata. Tests need scipy to write matrices.
.venv-oldest/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-oldest
	grep -v '^duckdb==' constraints.txt > .venv-oldest/constraints.txt
	.venv-oldest/bin/pip install --quiet --constraint .venv-oldest/constraints.txt duckdb==$(DUCKDB_OLDEST) \
		pytest pytest-xdist hypothesis filelock scipy --editable .
	touch $@

# Python's database tools, without sigdb.
.venv-tools/ready: Makefile
	$(PYTHON) -m venv .venv-tools
	.venv-tools/bin/pip install --quiet duckdb==1.5.6 duckdb-sqlalchemy==1.5.6.5 sqlalchemy==2.1.9 pandas==2.3.3 \
		numpy==2.4.6 pyarrow==26.0.1 polars==2.1.0 adbc-driver-manager==1.13.0 dbt-core==1.10.23 dbt-duckdb==1.11.1
	touch $@

# Other clients, without sigdb: four versions of DuckDB's Python package, each alone in a folder, and Node if npm is there.
.clients/ready: Makefile
	mkdir -p .clients
	for version in 1.4.2 1.4.5 1.5.6 2.0.1; do \
		$(PYTHON) -m pip install --quiet --no-deps --upgrade --target .clients/duckdb-$$version duckdb==$$version || exit 1; \
	done
	if command -v npm > /dev/null; then npm install --silent --no-save --prefix .clients/node @duckdb/node-api@$(NODE_API); \
	else echo 'npm is not installed: the Node client is not tested'; fi
	touch $@

# Packages whose numbers are compared with ours; the comparison needs none of their dependencies.
.originals/ready: Makefile
	rm -rf .originals
	$(PYTHON) -m pip install --quiet --no-deps --target .originals scimilarity==$(SCIMILARITY) sc-signature==$(SC_SIGNATURE)
	touch $@

# Each atlas is exported, and opened through a file of views. That takes minutes, so `make test` leaves it out.
test-lake: .venv/ready
	$(BIN)/python -m pytest $(PARALLEL) --thorough $(SQL_TESTS) --atlas-as=lake

# moto is a server with an S3 API. Its boto3 needs an older python-dateutil than ours; without a fixed version, pip would try
# every boto3.
test-remote: .venv-remote/ready
	.venv-remote/bin/python -m pytest $(PARALLEL) tests/sigdb/lake/test_remote.py

.venv-remote/ready: pyproject.toml constraints.txt Makefile
	$(PYTHON) -m venv .venv-remote
	grep -vE '^(duckdb|python-dateutil)==' constraints.txt > .venv-remote/constraints.txt
	.venv-remote/bin/pip install --quiet --constraint .venv-remote/constraints.txt \
		duckdb==$(DUCKDB_HTTPFS) duckdb-extension-httpfs==$(DUCKDB_HTTPFS) 'moto[s3]==$(MOTO)' flask flask-cors \
		boto3==$(BOTO) botocore==$(BOTO) pytest pytest-xdist hypothesis filelock scipy --editable .
	touch $@

# Playwright drives the browsers of the system; newer versions do not know Firefox ESR. Playwright
# leaves an event loop in its process, so other clients are tested before.
test-web: .venv-web/ready explorer
	.venv-web/bin/python -m pytest $(BY_FILE) tests/web/clients
	.venv-web/bin/python -m pytest $(BY_FILE) --ignore=tests/web/clients tests/web

.venv-web/ready: pyproject.toml constraints.txt Makefile
	$(PYTHON) -m venv .venv-web
	.venv-web/bin/pip install --quiet --constraint constraints.txt --editable '.[serve,test]' scipy pandas playwright==$(PLAYWRIGHT) \
		psycopg[binary]==3.3.9 sqlalchemy asyncpg==$(ASYNCPG) adbc-driver-flightsql==1.13.0 polars==2.1.0 pyodbc==$(PYODBC)
	touch $@

# Spark is half a gigabyte, and its tests take minutes, so `make test` leaves them out.
test-dialects: .venv-spark/ready
	.venv-spark/bin/python -m pytest $(BY_FILE) tests/sigdb/dialects/test_spark.py tests/sigdb/dialects/test_dialects.py

test-cluster: .venv-spark/ready
	.venv-spark/bin/python -m pytest tests/ingest/spark
	.venv-spark/bin/python -m pytest --thorough tests/sigdb/cli/test_help.py -k ingest-spark

.venv-spark/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-spark
	.venv-spark/bin/pip install --quiet --constraint constraints.txt --editable '.[ingest,signature,spark]' \
		pytest pytest-xdist hypothesis filelock trino-query-parser zetasql
	touch $@

# scvi-tools is 2 GB with its dependencies, so `make test` leaves it out.
test-scvi: .venv-scvi/ready
	.venv-scvi/bin/python -m pytest tests/ingest/models/test_scvi_tools.py

.venv-scvi/ready: pyproject.toml Makefile
	$(PYTHON) -m venv .venv-scvi
	.venv-scvi/bin/pip install --quiet torch==$$(sed -n 's/^torch==//p' constraints.txt) scvi-tools==$(SCVI_TOOLS) \
		pytest hypothesis filelock --editable '.[ingest]'
	touch $@

environments: .venv/ready .venv-docs/ready .venv-oldest/ready .venv-remote/ready .venv-spark/ready .venv-tools/ready \
	.venv-web/ready .clients/ready .originals/ready

r-fixtures:
	Rscript tests/data/r/oracle.R

clean:
	rm -rf .venv .venv-oldest .venv-tools .venv-wheel .venv-bench .venv-bi .venv-remote .venv-scvi .venv-spark .venv-web .venv-docs .clients .originals dist build/site demo.duckdb
