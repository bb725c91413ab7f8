"""`sigdb serve` with all its doors, for clients that are not sigdb's."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

import sigdb
from sigdb.serve.tokens import add_token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GENES = ["LYZ", "CD14"]
SQL = """
    SELECT study, count(*) AS n, avg(score) AS score
    FROM signature_score({}) JOIN cells USING (cell_id) GROUP BY study ORDER BY study
"""
LITERAL = SQL.format(GENES)
ENDLESS = "SELECT sum(a.range * b.range) FROM range(10000000) AS a, range(10000000) AS b"
# Each query is refused, with a part of the message. The limits are those of `server`.
REFUSED = {
    "write": ("DROP TABLE cells", "DROP is not allowed"),
    "two statements": ("SELECT 1; SELECT 2", "These are 2 statements"),
    "file": ("SELECT * FROM read_csv('/etc/passwd')", "reads nothing but the atlas"),
    "setting": ("SET threads = 8", "SET is not allowed"),
    "time": (ENDLESS, "longer than 8 seconds"),
    "memory": ("SELECT list(range) FROM range(100000000)", "more memory"),
    "rows": ("SELECT range FROM range(10000)", "more than 5,000 rows"),
    "bytes": ("SELECT repeat('a', 9000000)", "more than 8,388,608 bytes"),
    "name": ("SELECT nothing FROM cells", "nothing"),
}
LIMITS = {
    "--seconds": "8",
    "--memory": "400MB",
    "--threads": "1",
    "--rows": "5000",
    "--bytes": "8388608",
    "--at-once": "4",
    "--per-user": "4",
}


@dataclass
class Server:
    """A server that runs, and the token of `ada`."""

    ports: dict[str, int]
    token: str
    log: Path
    certificate: Path | None = None

    def entries(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def wait_for(self, **facts: str) -> None:
        """Wait until the log has a line with these facts."""
        deadline = time.monotonic() + 20
        while not any(facts.items() <= entry.items() for entry in self.entries()):
            assert time.monotonic() < deadline, self.entries()
            time.sleep(0.05)


def start(folder: Path, atlas: Path, *options: str) -> Iterator[Server]:
    """Run a server on free ports."""
    token = add_token(folder / "team.tokens", "ada")
    doors = ["--port", "0", "--postgres", "0", "--flight", "0", "--mcp"]
    files = ["--token-file", str(folder / "team.tokens"), "--log", str(folder / "log")]
    command = [sys.executable, "-m", "sigdb", "serve", str(atlas), *files, *doors, *chain(*LIMITS.items()), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        ports: dict[str, int] = {}
        while len(ports) < 3:
            line = process.stdout.readline()
            found = re.search(r"(http|postgresql|grpc)\S*://\S+:(\d+)", line)
            assert found, line
            ports[found[1]] = int(found[2])
        yield Server(ports, token, folder / "log")
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="session")
def server(demo_path, tmp_path_factory) -> Iterator[Server]:
    """A server of the demo atlas."""
    yield from start(tmp_path_factory.mktemp("server"), demo_path)


@pytest.fixture(scope="session")
def tls_server(demo_path, tmp_path_factory) -> Iterator[Server]:
    """A server of the demo atlas behind TLS."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "cert.pem"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    made = ["-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-addext", names]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", "req", "-x509", *made, *files], check=True, capture_output=True)
    for each in start(folder, demo_path, "--tls-cert", str(certificate), "--tls-key", str(key)):
        each.certificate = certificate
        yield each


@pytest.fixture(scope="session")
def expected(demo_path) -> list[tuple[Any, ...]]:
    """The rows of SQL by sigdb itself. The last digit of a mean depends on the number of threads."""
    with sigdb.connect(demo_path) as con:
        return [(study, n, pytest.approx(score)) for study, n, score in con.sql(LITERAL).fetchall()]
