"""`sigdb serve` and `sigdb tokens` as commands."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from sigdb.serve.tokens import Tokens
from tests.sigdb.cli.conftest import run, words
from tests.support.toy import copy_toy

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@contextmanager
def served(*arguments):
    """Run `sigdb serve` as a process; its address and the process."""
    command = [sys.executable, "-m", "sigdb", "serve", *map(str, arguments), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            yield line.split()[-1], process
        finally:
            process.kill()


def ask(address, sql, token):
    request = Request(f"{address}/query", json.dumps({"sql": sql}).encode(), {"authorization": f"Bearer {token}"})
    try:
        with urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def add(file, name):
    code, out, _ = run("tokens", "add", file, name)
    assert code == 0
    return out.strip()


@pytest.mark.slow
def test_a_server_from_start_to_stop(tmp_path):
    """The atlas is served; SIGTERM lets a query end, and leaves no process behind; the log has no token."""
    pytest.importorskip("uvicorn", reason="the extra serve is not installed")
    atlas, tokens, log = copy_toy(tmp_path / "toy.duckdb"), tmp_path / "team.tokens", tmp_path / "queries.log"
    token = add(tokens, "ada")
    with served(atlas, "--token-file", tokens, "--log", log, "--memory", "500MB") as (address, process):
        assert ask(address, "SELECT 42", token)[1]["rows"] == [[42]]
        assert ask(address, "SELECT 42", "wrong")[0] == 401
        late = subprocess.Popen([sys.executable, "-c", LATE, address, token], stdout=subprocess.PIPE, text=True)
        assert late.stdout.readline() == "asking\n"
        time.sleep(0.4)
        process.send_signal(signal.SIGTERM)
        out, _ = late.communicate(timeout=20)
        assert json.loads(out)["rows"] == [[600_000_000]]
        _, err = process.communicate(timeout=20)
        assert (process.returncode, "Stopped by SIGTERM" in err) == (128 + signal.SIGTERM, True)
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    # A query is written down once its answer was sent, so the next request may come before.
    assert sorted(each["outcome"] for each in entries) == ["ok", "ok", "unauthenticated"]
    assert token not in log.read_text()
    assert token not in tokens.read_text()


LATE = """
import sys
from urllib.request import Request, urlopen
address, token = sys.argv[1:]
sql = b'{"sql": "SELECT count(*) FROM range(100000) AS a, range(6000) AS b"}'
print("asking", flush=True)
print(urlopen(Request(address + "/query", sql, {"authorization": "Bearer " + token}), timeout=20).read().decode())
"""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "0.0.0.0"], "Without tokens, a server listens on this machine only, and --host 0.0.0.0 is open"),
        (["--token-file", "no.tokens"], "There is no token file no.tokens"),
        (["--tls-cert", "toy.duckdb"], "TLS needs a certificate and its key: --tls-cert, --tls-key."),
        (["--tls-cert", "toy.duckdb", "--tls-key", "toy.duckdb"], "The certificate or its key cannot be used"),
        (["--rows", "0"], "A limit must be above 0, not --rows 0."),
        (["--memory", "lots"], "Memory must have a number"),
    ],
)
def test_what_does_not_start(tmp_path, options, message):
    pytest.importorskip("uvicorn", reason="the extra serve is not installed")
    copy_toy(tmp_path / "toy.duckdb")
    code, _, err = run("serve", "toy.duckdb", *options, cwd=tmp_path)
    assert code == 1
    assert message in words(err)


def test_a_file_that_is_no_atlas(tmp_path):
    pytest.importorskip("uvicorn", reason="the extra serve is not installed")
    (tmp_path / "broken.duckdb").write_bytes(b"no atlas" * 1000)
    code, _, err = run("serve", "broken.duckdb", cwd=tmp_path)
    assert (code, "cannot be opened as a DuckDB file" in words(err)) == (1, True)


def test_tokens(tmp_path):
    file = tmp_path / "team.tokens"
    ada = add(file, "ada")
    add(file, "bob")
    assert Tokens(file).whose(ada) == "ada"
    names = json.loads(run("tokens", "list", file, "--format", "json")[1])
    assert [each["name"] for each in names] == ["ada", "bob"]
    assert ada not in str(names)
    assert run("tokens", "revoke", file, "ada")[0] == 0
    assert Tokens(file).whose(ada) is None
    code, _, err = run("tokens", "revoke", file, "bobb")
    assert (code, "Did you mean 'bob'?" in words(err)) == (1, True)
