"""Make a dashboard of an atlas in Apache Superset through its REST API, compare its numbers, and take its picture.

    python docs/superset/dashboard.py demo.duckdb --sigdb .venv/bin/sigdb --picture superset.png

`make bi` runs it in .venv-bi, where Superset is installed. It starts a server in a temporary folder, for this machine
only. It fails if a number differs from that of `sigdb sql`. --serve leaves the server running.

With --postgres, Superset reads the atlas through `sigdb serve --postgres`. Otherwise, it opens the file.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from math import isclose
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import requests

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
log = logging.getLogger("bi")

# Read-only, and locked: without the other options a user of SQL Lab can read any file of the machine. Only the rights
# of the file and its folder keep a user from writing to the atlas (see `atlas_file`).
OPTIONS = "access_mode=READ_ONLY&enable_external_access=false&autoload_known_extensions=false&lock_configuration=true"
SIGNATURES = ("MS1", "HALLMARK_HYPOXIA")
WANTED = """
    SELECT s.signature, c.study, c.cell_type, count(*) AS cells, avg(s.score) AS mean_score
    FROM signature_scores(['MS1', 'HALLMARK_HYPOXIA'], missing := 'ignore') AS s JOIN cells AS c USING (cell_id)
    GROUP BY ALL
"""
SCORE = {
    "metric_name": "mean_score",
    "verbose_name": "mean score",
    "expression": "SUM(score * n_cells) / SUM(n_cells)",
    "d3format": ".2f",
}
CELLS = {"metric_name": "cells", "verbose_name": "cells", "expression": "SUM(n_cells)", "d3format": ",d"}
# How many genes of a signature a study measured. Scores of two studies compare only if both measured about as many.
MEASURED = {"metric_name": "measured", "verbose_name": "genes measured", "expression": "MAX(n_measured)"}
GENES = {"metric_name": "genes", "verbose_name": "genes of the signature", "expression": "MAX(n_genes)"}
CHARTS: dict[str, dict[str, Any]] = json.loads((HERE / "charts.json").read_text(encoding="utf-8"))


def main() -> None:
    """Build the dashboard, compare its numbers, take its picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("atlas", type=Path, help="an atlas, as `sigdb demo` makes one")
    parser.add_argument("--sigdb", default="sigdb", help="the command whose numbers Superset's must equal")
    parser.add_argument("--picture", type=Path, help="where to write a picture of the dashboard, .png")
    parser.add_argument("--postgres", action="store_true", help="connect to `sigdb serve --postgres`")
    parser.add_argument("--serve", action="store_true", help="leave the server running until Ctrl-C")
    options = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    log.setLevel(logging.INFO)
    if missing := not_installed(options.atlas, options.sigdb, options.postgres, picture=options.picture is not None):
        sys.exit("\n".join(["The dashboard cannot be made:", *(f"- {line}" for line in missing)]))
    with (
        TemporaryDirectory() as folder,
        served_atlas(options.atlas, options.sigdb) if options.postgres else atlas_file(options.atlas) as atlas,
        served(Path(folder)) as (url, password),
    ):
        api = Api(url, password)
        data_set, dashboard = build(api, atlas)
        list_columns(api, atlas, options.sigdb)
        compare(api, data_set, options.atlas, options.sigdb)
        refuse_other_files(api, atlas)
        refuse_to_write(api, atlas)
        if options.picture:
            photograph(f"{url}{dashboard}", password, options.picture)
        if options.serve:
            log.info("%s%s: admin, password %s. Ctrl-C ends it.", url, dashboard, password)
            wait()


@dataclass
class Atlas:
    """How Superset reads an atlas: its address, the name of its schema, what a refusal says, and the file."""

    uri: str
    schema: str
    refusal: str
    file: Path


def not_installed(atlas: Path, sigdb: str, is_served: bool, *, picture: bool) -> list[str]:
    """What is missing on this machine: one line for each program, with the way to get it."""
    missing = []
    if not atlas.is_file():
        missing.append(f"there is no atlas {atlas}: `sigdb demo {atlas}` makes one")
    if shutil.which(sigdb) is None:
        missing.append(f"there is no command {sigdb}: `make .venv/ready` installs sigdb")
    driver = "psycopg2" if is_served else "duckdb_engine"
    needed = ["superset", driver, "gunicorn", *(["playwright"] if picture else [])]
    if absent := [name for name in needed if find_spec(name) is None]:
        missing.append(f"{sys.executable} has no {', '.join(absent)}: `make .venv-bi/ready` installs them")
    if picture and browser() is None:
        missing.append("there is no Chromium for the picture: on Debian, `apt-get install chromium`")
    return missing


def browser() -> str | None:
    """The path of Chromium or Chrome."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for name in names if (path := shutil.which(name))), None)


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, str]]:
    """Run Superset with an empty database in a folder; gives its address and the password of `admin`."""
    password = secrets.token_urlsafe(12)
    environment = os.environ | {
        "SUPERSET_CONFIG_PATH": str(HERE / "superset_config.py"),
        "SUPERSET_HOME": str(folder),
        "FLASK_APP": "superset",
        "SUPERSET_SECRET_KEY": secrets.token_urlsafe(42),
    }
    person = ["--username", "admin", "--firstname", "a", "--lastname", "b", "--email", "a@b.c", "--password", password]
    messages = folder / "superset.log"
    with messages.open("w") as out:
        for step in (["db", "upgrade"], ["fab", "create-admin", *person], ["init"]):
            log.info("superset %s", " ".join(step[:2]))
            done = subprocess.run([BIN / "superset", *step], env=environment, cwd=folder, stdout=out, stderr=out)
            if done.returncode:
                sys.exit(f"superset {step[0]} failed:\n{tail(messages)}")
        address = f"127.0.0.1:{free_port()}"
        server = [BIN / "gunicorn", "-w", "1", "-k", "gthread", "--threads", "4", "-b", address, "--timeout", "120"]
        server = [*server, "superset.app:create_app()"]
        process = subprocess.Popen(server, env=environment, cwd=folder, stdout=out, stderr=out)
        try:
            await_server(f"http://{address}/health", process, messages)
            yield f"http://{address}", password
        finally:
            process.terminate()
            process.wait()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_server(url: str, process: subprocess.Popen[bytes], messages: Path, seconds: int = 120) -> None:
    """Return once the server answers. Exit with its last messages if it stops, or takes too long."""
    import requests

    for _ in range(seconds):
        try:
            if requests.get(url, timeout=5).ok:
                return
        except (requests.ConnectionError, requests.Timeout):
            pass
        if process.poll() is not None:
            break
        time.sleep(1)
    sys.exit(f"Superset does not answer at {url}:\n{tail(messages)}")


def tail(path: Path, lines: int = 25) -> str:
    """The last lines of a file."""
    return "\n".join(path.read_text().splitlines()[-lines:])


class Api:
    """Superset's REST API, as admin."""

    def __init__(self, url: str, password: str) -> None:
        """Log in."""
        import requests

        self.url = f"{url}/api/v1"
        self.session = requests.Session()
        login = {"username": "admin", "password": password, "provider": "db", "refresh": False}
        token = self.post("security/login", login)["access_token"]
        self.session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str) -> Any:
        """The answer to a GET. Exit with Superset's message if it is an error."""
        return self.answer(self.session.get(f"{self.url}/{path}", timeout=120))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The answer to a POST. Exit with Superset's message if it is an error."""
        return self.answer(self.session.post(f"{self.url}/{path}", json=body, timeout=120))

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """The answer to a PUT. Exit with Superset's message if it is an error."""
        return self.answer(self.session.put(f"{self.url}/{path}", json=body, timeout=120))

    @staticmethod
    def answer(response: requests.Response) -> Any:
        """The content of an answer. Exit with Superset's message if it is an error."""
        if not response.ok:
            sys.exit(f"{response.request.method} {response.url}: {response.status_code} {response.text[:2000]}")
        return response.json()


def build(api: Api, atlas: Atlas) -> tuple[int, str]:
    """Create database, data sets, charts and dashboard; return the id of the data set and the path of the dashboard."""
    about = {"database_name": "atlas", "sqlalchemy_uri": atlas.uri}
    api.post("database/test_connection/", about)
    database = api.post("database/", {**about, "expose_in_sqllab": True})["id"]
    sql = (HERE / "signature_by_sample.sql").read_text()
    scores = api.post("dataset/", {"database": database, "table_name": "signature_by_sample", "sql": sql})["id"]
    api.put(f"dataset/{scores}", {"metrics": [SCORE, CELLS, MEASURED, GENES]})
    library = api.post("dataset/", {"database": database, "schema": "main", "table_name": "signature_library"})["id"]
    charts = {name: add_chart(api, name, scores, form) for name, form in CHARTS.items()}
    made = api.post(
        "dashboard/",
        {
            "dashboard_title": "A signature in the atlas",
            "slug": "signature",
            "published": True,
            "position_json": json.dumps(layout(charts)),
            "json_metadata": json.dumps(metadata(library, list(charts.values()))),
        },
    )
    for chart in charts.values():
        api.put(f"chart/{chart}", {"dashboards": [made["id"]]})
    log.info("made a database, 2 data sets, %d charts, a dashboard", len(charts))
    return scores, "/superset/dashboard/signature/"


def add_chart(api: Api, name: str, data_set: int, form: Mapping[str, Any]) -> int:
    """Create a chart, and return its id."""
    params = json.dumps({**form, "datasource": f"{data_set}__table", "adhoc_filters": []})
    chart = {"slice_name": name, "viz_type": form["viz_type"], "datasource_id": data_set, "datasource_type": "table"}
    return int(api.post("chart/", {**chart, "params": params})["id"])


def layout(charts: Mapping[str, int]) -> dict[str, Any]:
    """Two charts side by side, and the third below them."""
    (first, second, third), parents = charts.items(), ["ROOT_ID", "GRID_ID"]
    rows = {"ROW-top": [(*first, 5, 64), (*second, 7, 64)], "ROW-below": [(*third, 12, 36)]}
    position: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": list(rows), "parents": ["ROOT_ID"]},
    }
    for row, places in rows.items():
        children = [f"CHART-{chart}" for _, chart, _, _ in places]
        background = {"background": "BACKGROUND_TRANSPARENT"}
        position[row] = {"type": "ROW", "id": row, "children": children, "parents": parents, "meta": background}
        for name, chart, width, height in places:
            meta = {"chartId": chart, "sliceName": name, "width": width, "height": height}
            here = f"CHART-{chart}"
            position[here] = {"type": "CHART", "id": here, "children": [], "parents": [*parents, row], "meta": meta}
    return position


def metadata(library: int, charts: Sequence[int]) -> dict[str, Any]:
    """The filter of the dashboard: one signature of the library for all charts, at first the first of SIGNATURES."""
    chosen = {
        "extraFormData": {"filters": [{"col": "signature", "op": "IN", "val": [SIGNATURES[0]]}]},
        "filterState": {"value": [SIGNATURES[0]], "label": SIGNATURES[0]},
    }
    choice = {
        "id": "NATIVE_FILTER-signature",
        "name": "Signature",
        "type": "NATIVE_FILTER",
        "filterType": "filter_select",
        "targets": [{"datasetId": library, "column": {"name": "signature"}}],
        "defaultDataMask": chosen,
        "controlValues": {
            "multiSelect": False,
            "enableEmptyFilter": True,
            "defaultToFirstItem": False,
            "inverseSelection": False,
            "searchAllOptions": False,
        },
        "scope": {"rootPath": ["ROOT_ID"], "excluded": []},
        "chartsInScope": charts,
        "cascadeParentIds": [],
        "tabsInScope": [],
        "description": "",
    }
    return {"native_filter_configuration": [choice], "filter_bar_orientation": "HORIZONTAL", "color_scheme": ""}


def list_columns(api: Api, atlas: Atlas, sigdb: str) -> None:
    """Exit unless Superset lists the schema, the tables and the columns that the atlas has."""
    if atlas.schema not in (schemas := api.get("database/1/schemas/")["result"]):
        sys.exit(f"Superset finds the schemas {schemas}.")
    tables = {
        each["value"] for each in api.get(f"database/1/tables/?q=(schema_name:'{atlas.schema}',force:!t)")["result"]
    }
    found = [
        each["name"] for each in api.get(f"database/1/table_metadata/?name=cells&schema={atlas.schema}")["columns"]
    ]
    wanted = [each["column_name"] for each in ask(sigdb, atlas.file, "DESCRIBE cells")]
    if found != wanted or not {"cells", "studies", "signature_library"} <= tables:
        sys.exit(f"Superset finds the tables {sorted(tables)} and the columns {found} of cells, which has {wanted}.")
    log.info("Superset lists %d tables and the %d columns of cells", len(tables), len(found))


def ask(sigdb: str, atlas: Path, sql: str) -> list[dict[str, Any]]:
    """The rows of a query by `sigdb sql`."""
    done = subprocess.run([sigdb, "sql", atlas, sql, "--format", "json"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def compare(api: Api, data_set: int, atlas: Path, sigdb: str) -> None:
    """Exit unless Superset's mean scores by study and cell type equal sigdb's.

    Superset reads the cube, as a chart of the dashboard does. sigdb averages the scores of single cells.
    """
    rows = ask(sigdb, atlas, WANTED)
    for signature in SIGNATURES:
        wanted = means(row for row in rows if row["signature"] == signature)
        query = {
            "columns": ["study", "cell_type"],
            "metrics": ["mean_score", "cells"],
            "row_limit": 10_000,
            "filters": [{"col": "signature", "op": "IN", "val": [signature]}],
        }
        chart = {"datasource": {"id": data_set, "type": "table"}, "queries": [query], "force": True}
        found = means(api.post("chart/data", chart)["result"][0]["data"])
        other = [key for key in wanted.keys() | found.keys() if not same(wanted.get(key), found.get(key))]
        if other or not wanted:
            lines = [f"{key}: sigdb {wanted.get(key)}, Superset {found.get(key)}" for key in other[:10]]
            sys.exit("\n".join([f"{signature}: {len(other)} of {len(wanted)} groups differ.", *lines]))
        log.info("%s: Superset and sigdb agree in all %d groups", signature, len(wanted))


def means(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], tuple[int, float]]:
    """Number of cells and mean score by study and cell type."""
    return {(row["study"], row["cell_type"]): (row["cells"], row["mean_score"]) for row in rows}


def same(one: tuple[int, float] | None, other: tuple[int, float] | None) -> bool:
    """Whether a number of cells and a mean are the same."""
    return one is not None and other is not None and one[0] == other[0] and isclose(one[1], other[1], rel_tol=1e-9)


def refuse_other_files(api: Api, atlas: Atlas) -> None:
    """Exit unless SQL Lab can read the atlas and no other file."""
    # Superset parses the query, and writes the list in the SQL of the database.
    reads = "SELECT count(*) AS n FROM signature_hits(['LYZ', 'CD14']) JOIN cells USING (cell_id)"
    tries = {reads: '"n"', "SELECT * FROM read_text('/etc/hosts')": atlas.refusal}
    for sql, wanted in tries.items():
        body = {"database_id": 1, "runAsync": False, "queryLimit": 10, "sql": sql}
        response = api.session.post(f"{api.url}/sqllab/execute/", json=body, timeout=120)
        if wanted not in response.text:
            sys.exit(f"SQL Lab answered {response.status_code} to {sql}: {response.text[:500]}")
    log.info("SQL Lab reads the atlas, and refuses other files")


@contextmanager
def served_atlas(atlas: Path, sigdb: str) -> Iterator[Atlas]:
    """An atlas behind the Postgres door of `sigdb serve`, for one person with a token."""
    with TemporaryDirectory() as folder:
        tokens = Path(folder, "team.tokens")
        made = subprocess.run([sigdb, "tokens", "add", tokens, "superset"], capture_output=True, text=True, check=True)
        options = ["--port", "0", "--postgres", "0", "--token-file", tokens, "--log", Path(folder, "queries.log")]
        command = [sigdb, "serve", atlas, *options, "--per-user", "4"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            found = next((each for line in server.stdout if (each := re.search(r"postgresql://(\S+)", line))), None)
            if found is None:
                sys.exit("`sigdb serve` did not start.")
            uri = f"postgresql+psycopg2://superset:{made.stdout.strip()}@{found[1]}/{atlas.stem}"
            try:
                yield Atlas(uri, "main", "reads nothing but the atlas", atlas)
            finally:
                server.terminate()


@contextmanager
def atlas_file(atlas: Path) -> Iterator[Atlas]:
    """A copy of an atlas that nobody may write to, in a folder that nobody may write to."""
    with TemporaryDirectory() as folder:
        copy = Path(folder, "atlas.duckdb")
        shutil.copyfile(atlas, copy)
        copy.chmod(0o444)
        Path(folder).chmod(0o555)
        try:
            yield Atlas(f"duckdb:///{copy}?{OPTIONS}", "atlas.main", "disabled by configuration", copy)
        finally:
            Path(folder).chmod(0o755)


def refuse_to_write(api: Api, atlas: Atlas) -> None:
    """Exit unless SQL Lab can write neither to the atlas nor beside it. With the file, root may write everywhere."""
    file = atlas.file
    if os.geteuid() == 0 and atlas.uri.startswith("duckdb:"):
        log.info("not checked, as root may write everywhere: that SQL Lab cannot write to the atlas")
        return
    before, beside = file.read_bytes(), sorted(file.parent.iterdir())
    for path in (file, f"{file}.wal"):
        sql = f"COPY (SELECT 'x') TO '{path}' (FORMAT csv, USE_TMP_FILE false)"
        body = {"database_id": 1, "runAsync": False, "queryLimit": 10, "sql": sql}
        api.session.post(f"{api.url}/sqllab/execute/", json=body, timeout=120)
    if file.read_bytes() != before or sorted(file.parent.iterdir()) != beside:
        sys.exit("SQL Lab wrote to the atlas, or beside it.")
    log.info("SQL Lab cannot write to the atlas")


def photograph(url: str, password: str, path: Path) -> None:
    """Write a picture of the dashboard, once all charts are drawn."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        chromium = player.chromium.launch(executable_path=browser(), args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1360, "height": 960})
        page.goto(url)
        page.locator("#username").fill("admin")
        page.locator("#password").fill(password)
        page.keyboard.press("Enter")
        page.wait_for_load_state("networkidle")
        page.goto(f"{url}?standalone=1")
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(3000)  # the charts' animation
        page.screenshot(path=path)
        chromium.close()
    log.info("wrote %s", path)


def wait() -> None:
    """Return at Ctrl-C."""
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
