"""Many people at once, one of whom asks for too much, and a client that is killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

pytest.importorskip("uvicorn", reason="the extra serve is not installed")

import psutil

import sigdb
from sigdb.serve.gate import Limits
from sigdb.serve.server import Address, HttpDoor
from sigdb.serve.tokens import Tokens, add_token
from tests.sigdb.serve.test_gate import ENDLESS

pytestmark = pytest.mark.slow

N_CLIENTS, N_QUERIES = 8, 1000
LIMITS = Limits(seconds=15, memory="400MB", threads=1, rows=100_000, bytes=16 << 20, at_once=4, per_user=2, wait=60)
# Each with a value, so that an answer to another person's query would be noticed.
QUERIES = [
    "SELECT {n} AS n, study, count(*) AS cells FROM cells GROUP BY study ORDER BY study",
    "SELECT {n} AS n, round(avg(score), 9) AS score FROM signature_score(['S100A8', 'CD3E'])",
    "SELECT {n} + range AS n, repeat('é', 20) AS text FROM range(2000)",
    "FROM check_genes(['S100A8', 'no_{n}'])",
]
HOSTILE = [
    ENDLESS,
    "SELECT repeat('a', 400000000) FROM range(2048)",
    "SELECT list(range) FROM range(1000000000)",
    "FROM range(100000000)",
    "SELECT 1 WHERE " + " OR ".join(f"({i} = {i + 1} AND {i} < 3)" for i in range(20_000)),
    "COPY cells TO '/tmp/stolen.csv'",
]


def ask(address, token, sql):
    request = Request(f"{address}/query", json.dumps({"sql": sql}).encode(), {"authorization": f"Bearer {token}"})
    try:
        with urlopen(request, timeout=120) as answer:
            return json.load(answer)["rows"]
    except HTTPError as error:
        return json.load(error)["error"]["kind"]


def memory() -> int:
    """The memory of this process and the processes it started that no other process has."""
    me = psutil.Process()
    total = 0
    for process in (me, *me.children(recursive=True)):
        try:
            total += process.memory_full_info().uss
        except psutil.Error:  # it has just ended
            continue
    return total


@pytest.fixture
def team(make_gate, toy_path, tmp_path):
    """A server, its address, and the tokens of its people."""
    path = tmp_path / "team.tokens"
    tokens = [add_token(path, f"person{number}") for number in range(N_CLIENTS + 2)]
    gate = make_gate(toy_path, LIMITS, Tokens(path))
    door = HttpDoor(gate, Address(port=0))
    yield gate, door.start(), tokens
    door.stop()
    door.join()


def test_nothing_is_lost_beside_a_runaway_and_a_killed_client(team, toy_path, record_property):
    gate, address, (*tokens, runaway, killed) = team
    before, is_over, refusals, most = memory(), Event(), [], [0]

    def run_away():
        while not is_over.is_set():
            refusals.extend(ask(address, runaway, sql) for sql in HOSTILE if not is_over.is_set())

    def look():
        while not is_over.wait(0.1):
            most[0] = max(most[0], memory())

    def work(client):
        numbers = range(client, N_QUERIES, N_CLIENTS)
        return [(n, ask(address, tokens[client], QUERIES[n % len(QUERIES)].format(n=n))) for n in numbers]

    others = [Thread(target=run_away), Thread(target=look)]
    kill_a_client(gate, address, killed)
    for each in others:
        each.start()
    start = time.monotonic()
    with ThreadPoolExecutor(N_CLIENTS) as pool:
        answers = dict(pair for part in pool.map(work, range(N_CLIENTS)) for pair in part)
    seconds = time.monotonic() - start
    is_over.set()
    for each in others:
        each.join()
    with sigdb.connect(toy_path) as con:
        for n, rows in answers.items():
            expected = con.sql(QUERIES[n % len(QUERIES)].format(n=n)).fetchall()
            assert rows == [list(row) for row in expected], n
    assert len(answers) == N_QUERIES
    assert {each for each in refusals if isinstance(each, str)} == {
        "timeout",
        "out_of_memory",
        "too_large",
        "forbidden",
    }
    # Of each process: DuckDB's memory, room for results, and what Python and DuckDB need to start.
    assert most[0] - before < LIMITS.at_once * (400e6 + 3 * LIMITS.bytes + 250e6)
    assert not gate.runs
    record_property("seconds", round(seconds, 1))
    record_property("hostile", len(refusals))
    record_property("megabytes", round((most[0] - before) / 1e6))


CLIENT = """
import sys
from urllib.request import Request, urlopen
address, token, sql = sys.argv[1:]
urlopen(Request(address + "/query", sql.encode(), {"authorization": "Bearer " + token}))
"""


def kill_a_client(gate, address, token):
    """Kill a client in the middle of its query, which ends long before its time is over."""
    body = json.dumps({"sql": ENDLESS})
    client = subprocess.Popen([sys.executable, "-c", CLIENT, address, token, body])
    while not gate.runs:
        time.sleep(0.02)
    (run,) = gate.runs
    client.kill()
    client.wait()
    while gate.runs:
        time.sleep(0.02)
    assert run.outcome == "cancelled"
