"""A lake at an address: DuckDB's httpfs reads it from HTTP and S3 servers on this machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import Request, urlopen

import duckdb
import numpy as np
import pytest

import sigdb
from sigdb import attach_lake, export_lake, import_lake
from sigdb.errors import AtlasError, AtlasNotFoundError
from sigdb.lake import files, manifest
from sigdb.literals import literal
from tests.support import ROOT
from tests.support.lakes import GENES, QUERIES, assert_same, copy_two_runs, copy_two_runs_lake
from tests.support.toy import new_atlas, write_study

httpfs = pytest.importorskip("duckdb_extension_httpfs", reason="httpfs is not installed: make test-remote")
boto3 = pytest.importorskip("boto3")
moto = pytest.importorskip("moto.server")


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    """A home folder in which DuckDB finds the extension and keeps secrets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        (extension,) = Path(httpfs.__file__).parent.rglob("httpfs.duckdb_extension")
        with duckdb.connect() as con:
            con.execute("INSTALL " + literal(str(extension)))
        yield


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    return copy_two_runs(tmp_path_factory.mktemp("two") / "two.duckdb")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The lake of `two_runs`, in files of 8 genes; read-only by agreement."""
    return copy_two_runs_lake(tmp_path_factory.mktemp("whole") / "lake")


class Ranges(SimpleHTTPRequestHandler):
    """Serves files of a folder, whole or by ranges, and keeps a list of (method, file, bytes sent)."""

    sent: list[tuple[str, str, int]]

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        held = path.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        part = held[int(asked[1]) : int(asked[2]) + 1] if asked else held
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {asked[1]}-{int(asked[1]) + len(part) - 1}/{len(held)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(part)
        self.sent.append((self.command, self.path, len(part) if self.command == "GET" else 0))

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    """A function that serves a folder and returns its address and the list of what was sent."""
    servers = []

    def start(folder):
        handler = type("Handler", (Ranges,), {"sent": []})
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
        Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}", handler.sent

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def store(whole):
    """An S3 server with one user and the lake in the bucket `atlases`. Returns its address and the keys of the user."""
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()

    def client(kind):
        keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
        return boto3.client(kind, endpoint_url=f"http://{host}:{port}", region_name="us-east-1", **keys)

    users, objects = client("iam"), client("s3")
    users.create_user(UserName="reader")
    allowed = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    users.put_user_policy(UserName="reader", PolicyName="reads", PolicyDocument=policy)
    key = users.create_access_key(UserName="reader")["AccessKey"]
    objects.create_bucket(Bucket="atlases")
    for path in whole.rglob("*"):
        if path.is_file():
            objects.put_object(Bucket="atlases", Key=f"lake/{path.relative_to(whole)}", Body=path.read_bytes())
    # From here on, the server checks the keys of users.
    plain = {"Content-Type": "text/plain"}
    urlopen(Request(f"http://{host}:{port}/moto-api/reset-auth", data=b"0", headers=plain)).close()
    yield f"{host}:{port}", key["AccessKeyId"], key["SecretAccessKey"]
    server.stop()


def keep_secret(endpoint, key, secret):
    """Store a secret in the home folder, as a user does once with any DuckDB."""
    options = f"KEY_ID {literal(key)}, SECRET {literal(secret)}, ENDPOINT {literal(endpoint)}"
    with duckdb.connect() as con:
        con.execute(
            "CREATE OR REPLACE PERSISTENT SECRET atlases "
            f"(TYPE s3, {options}, REGION 'us-east-1', USE_SSL false, URL_STYLE 'path', SCOPE 's3://atlases')"
        )


@pytest.fixture(params=["http", "s3"])
def address(request, whole, serve):
    """The lake's address."""
    if request.param == "http":
        return serve(whole)[0]
    keep_secret(*request.getfixturevalue("store"))
    return "s3://atlases/lake/"


def test_a_lake_at_an_address_answers_as_the_atlas_does(address, two_runs, tmp_path):
    attach_lake(address, tmp_path / "attached.duckdb")
    with sigdb.connect(two_runs) as atlas, sigdb.connect(address) as con:
        attached = duckdb.connect(tmp_path / "attached.duckdb", read_only=True)
        for query in QUERIES.values():
            expected = atlas.execute(query).fetchall()
            assert_same(con.execute(query).fetchall(), expected)
            assert_same(attached.execute(query).fetchall(), expected)
        attached.close()
        assert sigdb.score(con, ["GENE03"]).equals(sigdb.score(atlas, ["GENE03"]))
        each = "SELECT sum(signature_score_py(cell_id, 'S')) FROM cells"
        assert con.execute(each).fetchall() == atlas.execute(each).fetchall()


def run(*words):
    done = subprocess.run([sys.executable, "-m", "sigdb", *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, " ".join(done.stderr.split())


def test_commands_take_an_address(address, two_runs):
    query = "SELECT count(*), sum(score) FROM signature_score(['GENE03'])"
    assert run("sql", address, query, "--format", "csv") == run("sql", two_runs, query, "--format", "csv")
    assert run("score", address, "S", "--by", "study", "--format", "csv")[1].startswith("study,")
    assert address in run("info", address)[1]
    assert "is not sound: sums" in run("verify", address)[2], "the scores of this atlas do not add up to 1000"
    for words in (("signatures", "materialize", address, "S"), ("upgrade", address), ("drop-study", address, "one")):
        code, _, told = run(*words)
        assert code == 1
        assert "is an address, not an atlas file. A lake is read-only" in told
    with pytest.raises(AtlasError, match="is not a folder of this machine"):
        import_lake(address, two_runs.with_name("no.duckdb"))


def test_only_ranges_are_read(serve, tmp_path, monkeypatch):
    """The lake has 40 genes in 10 files, with one row group per file. The query needs two genes."""
    monkeypatch.setattr(files, "ROW_GROUP", 20_000)
    scores = np.random.default_rng(0).uniform(1, 2, (20_000, 40)).astype(np.float32)
    with new_atlas(tmp_path / "dense.duckdb", GENES) as atlas:
        write_study(atlas, scores, GENES)
    size = export_lake(tmp_path / "dense.duckdb", tmp_path / "lake", genes_per_bucket=4).manifest.bytes
    address, sent = serve(tmp_path / "lake")
    with sigdb.connect(address) as con:
        opened = sum(each for *_, each in sent)
        n_files = len(manifest.read(address).files)
        assert len(sent) < 6 * n_files
        sent.clear()
        (rows,) = con.execute("SELECT count(*), avg(score) FROM signature_score(['GENE03', 'GENE17'])").fetchall()
        assert rows == (20_000, pytest.approx(scores[:, [3, 17]].astype(float).mean()))
        asked = sum(each for *_, each in sent)
        whole_files = {path for _, path, each in sent if each and each == (tmp_path / f"lake{path}").stat().st_size}
        assert not any("attributions" in path for path in whole_files)
        sent.clear()
        con.execute("SELECT avg(score) FROM signature_score(['GENE03', 'GENE17'])").fetchall()
        assert not any(method == "HEAD" for method, *_ in sent), "files do not change, so DuckDB looks at them once"
    assert opened < size / 8
    assert asked < size / 8


DAMAGE = {
    "missing": (lambda path: path.unlink(), AtlasNotFoundError, "no complete lake that can be read at .*404"),
    "cut off": (
        lambda path: path.write_bytes(path.read_bytes()[:-10]),
        AtlasError,
        "1 of 31 files are missing or cut off .*gene_bucket=2.* Copy these files to the address again",
    ),
}


@pytest.mark.parametrize(("damage", "error", "text"), DAMAGE.values(), ids=DAMAGE.keys())
def test_an_incomplete_file_is_noticed_when_the_lake_is_opened(serve, whole, tmp_path, damage, error, text):
    copy = Path(shutil.copytree(whole, tmp_path / "lake"))
    damage(next((copy / "attributions" / "run_id=1" / "gene_bucket=2").iterdir()))
    address, _ = serve(copy)
    for use in (sigdb.connect, partial(attach_lake, path=tmp_path / "a.duckdb")):
        with pytest.raises(error, match=text):
            use(address)
    assert not (tmp_path / "a.duckdb").exists()


def test_a_file_that_vanishes_while_the_lake_is_open_is_an_error(serve, whole, tmp_path):
    copy = Path(shutil.copytree(whole, tmp_path / "lake"))
    address, _ = serve(copy)
    attach_lake(address, tmp_path / "attached.duckdb")
    with sigdb.connect(address) as con:
        next((copy / "attributions" / "run_id=1" / "gene_bucket=2").iterdir()).unlink()
        for reader in (con, duckdb.connect(tmp_path / "attached.duckdb")):
            with reader, pytest.raises(duckdb.Error, match="404"):
                reader.execute("SELECT sum(score) FROM attributions").fetchall()


def test_a_damaged_file_is_found_by_its_checksum(serve, whole, tmp_path):
    copy = Path(shutil.copytree(whole, tmp_path / "lake"))
    path = next((copy / "attributions" / "run_id=1" / "gene_bucket=2").iterdir())
    held = bytearray(path.read_bytes())
    held[100] ^= 1
    path.write_bytes(held)
    code, _, told = run("verify", serve(copy)[0])
    assert code == 1
    assert "1 of 31 files are damaged in the lake http://" in told
    assert told.endswith("Copy these files to the address again.")


def test_wrong_credentials(store):
    endpoint, key, secret = store
    for wrong in ((endpoint, key, "wrong"), (endpoint, "nobody", secret)):
        keep_secret(*wrong)
        with pytest.raises(AtlasNotFoundError, match=r"no complete lake .* at s3://atlases/lake: .*403.*secret"):
            sigdb.connect("s3://atlases/lake")


def test_an_address_without_a_lake_is_refused(serve, tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    address, _ = serve(tmp_path)
    with pytest.raises(AtlasError, match="is not the manifest of a lake"):
        sigdb.connect(address)
    with pytest.raises(AtlasNotFoundError, match="404"):
        sigdb.connect(f"{address}/none")
    with pytest.raises(AtlasError, match="cannot be locked"):
        sigdb.connect(address, locked=True)
    with pytest.raises(AtlasError, match="takes for a pattern"):
        sigdb.connect("s3://atlases/*")
    with pytest.raises(AtlasNotFoundError, match="no complete lake that can be read"):
        sigdb.connect("http://127.0.0.1:1/lake")


def test_the_secret_of_the_guide(tmp_path):
    guide = (ROOT / "docs" / "guides" / "lakes.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sql not-run\n(CREATE PERSISTENT SECRET .*?)```", guide, re.DOTALL)
    with duckdb.connect(config={"secret_directory": str(tmp_path)}) as con:
        con.execute(block)
        assert con.execute("SELECT name, scope FROM duckdb_secrets()").fetchall() == [("atlases", ["s3://atlases"])]


def test_an_error_names_the_missing_httpfs(tmp_path):
    """The error of DuckDB names the missing extension. DuckDB cannot download it here."""
    code = "import sigdb; sigdb.connect('s3://atlases/lake')"
    environment = os.environ | {"HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "AtlasNotFoundError: There is no complete lake that can be read at s3://atlases/lake" in done.stderr
    assert "httpfs" in done.stderr
