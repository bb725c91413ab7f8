"""The HTTP door: formats, who may ask, from which page, and clients that leave."""

from __future__ import annotations

import csv
import io
import json
import socket
import time
from unittest import mock

import pyarrow as pa
import pytest

pytest.importorskip("starlette", reason="the extra serve is not installed")

import httpx2
from starlette.testclient import TestClient

import sigdb
from sigdb.serve.guard import HEADERS
from sigdb.serve.http import make_app
from sigdb.serve.server import Address, HttpDoor, check_address
from sigdb.serve.sessions import LASTS, Sessions
from sigdb.values import to_json
from tests.sigdb.serve.test_gate import ENDLESS, LOCAL

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
SQL = (
    "SELECT cell_id, cell_type, score FROM signature_score(['S100A8', 'CD3E']) JOIN cells USING (cell_id) ORDER BY ALL"
)


@pytest.fixture
def client(gate) -> TestClient:
    """A client of the server for everybody on this machine."""
    return TestClient(make_app(gate, hosts=LOOPBACK), base_url="http://127.0.0.1:8080")


@pytest.fixture
def team(closed_gate) -> TestClient:
    """A client of the server for people with tokens, without one."""
    return TestClient(make_app(closed_gate), base_url="https://atlas.example.org")


@pytest.fixture
def expected(toy_path) -> list[tuple]:
    """The rows of SQL."""
    with sigdb.connect(toy_path) as con:
        return con.sql(SQL).fetchall()


def assert_refused(answer, status, kind):
    assert (answer.status_code, answer.json()["error"]["kind"]) == (status, kind)
    assert answer.json()["error"]["message"].endswith((".", '"1"', ")"))


def test_json(client, expected):
    answer = client.post("/query", json={"sql": SQL})
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["columns"] == [
        {"name": "cell_id", "type": "uint32"},
        {"name": "cell_type", "type": "string"},
        {"name": "score", "type": "double"},
    ]
    assert body["rows"] == [[to_json(value) for value in row] for row in expected]


def test_arrow_and_csv(client, expected):
    for options in (
        {"json": {"sql": SQL, "format": "arrow"}},
        {"json": {"sql": SQL}, "headers": {"accept": "application/vnd.apache.arrow.stream"}},
    ):
        found = pa.ipc.open_stream(client.post("/query", **options).content).read_all()
        assert list(zip(*found.to_pydict().values(), strict=True)) == expected
    answer = client.post("/query", json={"sql": SQL}, headers={"accept": "text/csv, */*;q=0.1"})
    names, *rows = csv.reader(io.StringIO(answer.text))
    assert names == ["cell_id", "cell_type", "score"]
    assert [(int(a), b or None, float(c) if c else None) for a, b, c in rows] == expected


def test_values_of_all_kinds(client):
    sql = """SELECT NULL AS a, 'NaN'::DOUBLE AS b, [1, NULL] AS c, {'x': DATE '2020-01-01'} AS d, 'ab'::BLOB AS e,
        1.5::DECIMAL(4, 2) AS f, 9007199254740993 AS g, 'é"<' AS h, 1 AS a, TIMESTAMP '2020-01-01 10:00:00' AS i"""
    (row,) = client.post("/query", json={"sql": sql}).json()["rows"]
    moment = "2020-01-01 10:00:00"
    assert row == [None, None, [1, None], {"x": "2020-01-01"}, "6162", 1.5, 9007199254740993, 'é"<', 1, moment]


def test_no_rows(client):
    assert client.post("/query", json={"sql": "SELECT 1 AS a WHERE false"}).json()["rows"] == []
    assert client.post("/query", json={"sql": "SELECT 1 AS a WHERE false", "format": "csv"}).text == "a\n"


def test_parameters(client):
    rows = [
        client.post("/query", json={"sql": sql, "parameters": values}).json()["rows"]
        for sql, values in (("SELECT ?, len(?)", ["';--", ["a", "b"]]), ("SELECT $a", {"a": 1}))
    ]
    assert rows == [[["';--", 2]], [[1]]]


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({}, 400, "bad_query"),
        ([], 400, "bad_query"),
        ({"sql": 1}, 400, "bad_query"),
        ({"sql": "SELECT 1", "parameters": 1}, 400, "bad_query"),
        ({"sql": "SELECT 1", "atlas": 1}, 400, "bad_query"),
        ({"sql": "SELECT 1", "format": "xlsx"}, 400, "bad_query"),
        ({"sql": "SELECT 1", "limit": 1}, 400, "bad_query"),
        ({"sql": "COPY cells TO '/tmp/x'"}, 403, "forbidden"),
        ({"sql": "SELECT 1; SELECT 2"}, 400, "bad_query"),
        ({"sql": "SELECT 1", "atlas": "other"}, 404, "unknown_atlas"),
        ({"sql": "FROM range(30000)"}, 413, "too_large"),
        ({"sql": "SELECT repeat('a', 5000000)"}, 413, "too_large"),
    ],
)
def test_refusals(client, body, status, kind):
    assert_refused(client.post("/query", json=body), status, kind)


def test_bodies_that_are_no_json(client):
    assert_refused(client.post("/query", content=b"SELECT 1"), 400, "bad_query")
    assert_refused(client.post("/query", content=b"[" * 100_000), 400, "bad_query")
    assert_refused(client.post("/query", content=b" " * (9 << 20)), 413, "too_large")
    assert client.get("/query").status_code == 405


def test_errors_are_objects(client, team):
    for answer, status, kind in (
        (client.get("/no"), 404, "not_found"),
        (client.get("/query"), 405, "method_not_allowed"),
        (client.get("/healthz", headers={"origin": "http://["}), 403, "forbidden"),
        (team.post("/login", content=b'{"token": "\\ud800"}'), 401, "unauthenticated"),
    ):
        assert_refused(answer, status, kind)


def test_a_defect_is_an_answer_and_a_line_in_the_log(client, gate, log_of, monkeypatch):
    monkeypatch.setattr("sigdb.serve.http.version", mock.Mock(side_effect=ZeroDivisionError("planted")))
    answer = client.get("/healthz")
    assert_refused(answer, 500, "failed")
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "planted" in log_of(gate)[-1]["message"]
    assert "planted" not in answer.text


def test_who_is_not_admitted_sends_little(team):
    assert_refused(team.post("/login", content=b" " * 1025), 413, "too_large")


def served(gate, **options):
    """A door that listens, and its address."""
    door = HttpDoor(gate, Address(port=0), **options)
    host, port = door.start().removeprefix("http://").split(":")
    return door, (host, int(port))


def test_a_body_and_a_connection_that_are_silent_end(gate, monkeypatch):
    monkeypatch.setattr("sigdb.serve.requests.SECONDS", 0.2)
    monkeypatch.setattr("sigdb.serve.server.SILENT", 0.2)
    door, address = served(gate)
    try:
        for path in ("login", "query"):
            with socket.create_connection(address, timeout=5) as connection:
                connection.sendall(f"POST /{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{{".encode())
                assert b"408" in connection.recv(100)
        with socket.create_connection(address, timeout=5) as connection:
            assert connection.recv(1) == b"", "it is closed"
    finally:
        door.stop()
        door.join()


def test_time_and_turns(client, gate, limit):
    limit(seconds=0.3)
    assert_refused(client.post("/query", json={"sql": ENDLESS}), 408, "timeout")
    limit(seconds=30, at_once=1)
    with gate.ask(LOCAL, ENDLESS, door="test"):
        answer = client.post("/query", json={"sql": "SELECT 1"})
    assert_refused(answer, 429, "busy")
    assert answer.headers["retry-after"] == "1"


def test_headers_stand_on_every_answer(client):
    for answer in (
        client.get("/healthz"),
        client.get("/"),
        client.get("/no"),
        client.post("/query", json={}),
        client.get("/query"),
        client.get("/healthz", headers={"host": "evil.com"}),
        client.get("/healthz", headers={"origin": "http://["}),
    ):
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_health_and_configuration(client, gate, toy_path):
    assert client.get("/healthz").json()["status"] == "ok"
    found = client.get("/config.json").json()
    assert (found["engine"], found["user"]) == ("server", "local")
    assert [(each["name"], each["bytes"]) for each in found["atlases"]] == [("toy", toy_path.stat().st_size)]


@pytest.mark.parametrize("host", ["evil.com", "127.0.0.1.evil.com", "evil.com:8080", "", "[", "10.0.0.1"])
def test_a_foreign_name_is_refused_on_this_machine(client, host):
    """A page of evil.com whose name points to 127.0.0.1 would read the answers."""
    assert_refused(client.post("/query", json={"sql": "SELECT 1"}, headers={"host": host}), 403, "forbidden")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1:8080", "[::1]:8080"])
def test_names_of_this_machine(client, host):
    assert client.get("/config.json", headers={"host": host}).status_code == 200


def ask_from(client, origin):
    return client.post("/query", json={"sql": "SELECT 1"}, headers={"origin": origin})


def test_another_page_may_not_ask(client):
    assert ask_from(client, "http://127.0.0.1:8080").status_code == 200
    for origin in ("http://evil.com", "null", "http://127.0.0.1:9999"):
        assert_refused(ask_from(client, origin), 403, "forbidden")


def test_another_page_may_not_ask_with_a_cookie(team, ada):
    team.post("/login", json={"token": ada[1]})
    assert ask_from(team, "https://atlas.example.org").status_code == 200
    assert_refused(ask_from(team, "https://evil.com"), 403, "forbidden")


def test_tokens(team, ada):
    _, token = ada
    for path in ("/query", "/config.json"):
        send = team.post if path == "/query" else team.get
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {token}"}):
            answer = send(path, headers=headers)
            assert_refused(answer, 401, "unauthenticated")
            assert answer.headers["www-authenticate"] == "Bearer"
    assert team.get("/healthz").status_code == 200
    assert team.get("/").status_code == 200
    assert team.get("/config.json", headers={"authorization": f"Bearer {token}"}).json()["user"] == "ada"


def test_a_token_becomes_a_cookie(team, ada, closed_gate, log_of):
    assert_refused(team.post("/login", json={"token": "wrong"}), 401, "unauthenticated")
    last = log_of(closed_gate)[-1]
    assert (last["outcome"], last["door"], last["client"]) == ("unauthenticated", "http", "testclient")
    assert_refused(team.post("/login", json={"token": 1}), 401, "unauthenticated")
    answer = team.post("/login", json={"token": ada[1]})
    attributes = {each.strip().lower() for each in answer.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "secure", "samesite=strict", "path=/"} <= attributes
    assert ada[1] not in answer.headers["set-cookie"]
    assert team.post("/query", json={"sql": "SELECT 1"}).json()["rows"] == [[1]]
    ((name, session),) = team.cookies.items()
    team.post("/logout")
    assert_refused(team.get("/config.json"), 401, "unauthenticated")
    team.cookies.set(name, session)  # the session has ended, not only its cookie
    assert_refused(team.get("/config.json"), 401, "unauthenticated")


def test_a_session_ends_after_some_days(monkeypatch):
    sessions = Sessions()
    name = sessions.begin("a token")
    assert name != sessions.begin("a token")
    assert sessions.token_of(name) == "a token"
    assert sessions.token_of(None) is sessions.token_of("another") is None
    later = time.monotonic() + LASTS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert sessions.token_of(name) is None


def test_the_atlas_itself_and_other_files_are_not_served(client, tmp_path, gate):
    (tmp_path / "secret.txt").write_text("secret")
    page = tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("<p>the page")
    built = TestClient(make_app(gate, hosts=LOOPBACK, page=page), base_url="http://127.0.0.1")
    assert built.get("/").text == "<p>the page"
    assert built.get("/config.json").json()["engine"] == "server"
    for path in ("/toy.duckdb", "/atlas/toy.duckdb", "/../secret.txt", "/%2e%2e/secret.txt"):
        assert built.get(path).status_code == 404
        assert client.get(path).status_code == 404


def test_a_page_that_is_not_built_says_how_to_build_it(gate, tmp_path):
    answer = TestClient(make_app(gate, hosts=LOOPBACK, page=tmp_path), base_url="http://localhost").get("/")
    assert "make explorer" in answer.text


def send_and_leave(address, body, wait):
    """Send a query over a socket of its own, and close it."""
    text = json.dumps(body).encode()
    head = f"POST /query HTTP/1.1\r\nHost: {address[0]}\r\nContent-Length: {len(text)}\r\n\r\n"
    with socket.create_connection(address) as connection:
        connection.sendall(head.encode() + text)
        time.sleep(wait)


def test_a_client_that_leaves_stops_its_query(gate, log_of):
    door, address = served(gate)
    try:
        send_and_leave(address, {"sql": ENDLESS}, 0.5)
        end = time.monotonic() + 5
        while log_of(gate)[-1]["sql"] != ENDLESS and time.monotonic() < end:
            time.sleep(0.02)
        last = log_of(gate)[-1]
        assert (last["sql"], last["outcome"], last["door"]) == (ENDLESS, "cancelled", "http")
        assert last["seconds"] < 3
        assert not gate.runs
    finally:
        door.stop()
        door.join()


def test_too_many_connections_are_refused_in_words(gate, monkeypatch):
    monkeypatch.setattr("sigdb.serve.server.CONNECTIONS", 1)
    door, (host, port) = served(gate)
    try:
        with socket.create_connection((host, port)):
            answer = httpx2.get(f"http://{host}:{port}/healthz")
        assert_refused(answer, 429, "busy")
        assert answer.headers["retry-after"] == "1"
    finally:
        door.stop()
        door.join()


@pytest.mark.parametrize(
    ("trusted_proxy", "client", "is_secure"),
    [((), "127.0.0.1", False), (("10.0.0.0/8",), "127.0.0.1", False), (("127.0.0.1",), "203.0.113.9", True)],
)
def test_only_a_trusted_proxy_says_who_the_client_is(closed_gate, ada, log_of, trusted_proxy, client, is_secure):
    door, (host, port) = served(closed_gate, trusted_proxy=trusted_proxy)
    headers = {"x-forwarded-for": "198.51.100.1, 203.0.113.9", "x-forwarded-proto": "https"}
    try:
        login = f"http://{host}:{port}/login"
        assert httpx2.post(login, json={"token": "wrong"}, headers=headers).status_code == 401
        cookie = httpx2.post(login, json={"token": ada[1]}, headers=headers).headers["set-cookie"]
    finally:
        door.stop()
        door.join()
    assert log_of(closed_gate)[-1]["client"] == client
    assert ("secure" in cookie.lower().split("; ")) == is_secure


def test_a_trusted_proxy_is_an_address(gate):
    from sigdb.errors import OptionError

    for wrong in ("*", "proxy.example.org", "10.0.0.1/8"):
        with pytest.raises(OptionError, match="not the address of a proxy"):
            HttpDoor(gate, Address(), trusted_proxy=[wrong])


def test_addresses(gate, closed_gate, monkeypatch):
    from sigdb.errors import OptionError

    check_address(Address("0.0.0.0"), closed_gate)
    monkeypatch.setattr(gate, "tokens", None)
    for host in ("127.0.0.1", "localhost", "::1", "127.9.9.9"):
        check_address(Address(host), gate)
    for host in ("0.0.0.0", "::", "10.0.0.1", "atlas.example.org"):
        with pytest.raises(OptionError, match="token_file"):
            check_address(Address(host), gate)
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OptionError, match="another program has this port"),
    ):
        HttpDoor(gate, Address(port=taken.getsockname()[1])).start()
