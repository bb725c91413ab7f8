"""Tokens at rest: hashed, named, revocable."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from sigdb.errors import OptionError
from sigdb.serve.limits import Refused
from sigdb.serve.minutes import Minutes
from sigdb.serve.tokens import Tokens, add_token, read_tokens, revoke_token


@pytest.fixture
def path(tmp_path):
    return tmp_path / "team.tokens"


def test_a_token_is_kept_as_its_hash_in_a_file_of_its_owner(path):
    token = add_token(path, "ada")
    assert len(token) > 40
    assert token not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in read_tokens(path)] == ["ada"]


def test_tokens_are_added_and_revoked_while_a_server_runs(path):
    ada = add_token(path, "ada")
    tokens = Tokens(path)
    bob = add_token(path, "bob")
    assert (tokens.whose(ada), tokens.whose(bob)) == ("ada", "bob")
    revoke_token(path, "ada")
    assert (tokens.whose(ada), tokens.whose(bob)) == (None, "bob")
    new = add_token(path, "ada")
    assert new != ada
    assert (tokens.whose(ada), tokens.whose(new)) == (None, "ada")


def test_nobody_is_admitted_while_the_file_cannot_be_used(path):
    token = add_token(path, "ada")
    tokens = Tokens(path)
    text = path.read_text()
    path.unlink()
    with pytest.raises(OptionError, match="no token file"):
        tokens.whose(token)
    path.write_text("nonsense\n")
    path.chmod(0o600)
    with pytest.raises(OptionError, match="not a token file"):
        tokens.whose(token)
    path.write_text(text)
    assert tokens.whose(token) == "ada"
    path.chmod(0o644)
    with pytest.raises(OptionError, match="chmod 600"):
        tokens.whose(token)


def test_names(path):
    add_token(path, "ada@example.org")
    with pytest.raises(OptionError, match="has a token already"):
        add_token(path, "ada@example.org")
    for name in ("", "a b", "-x", "x" * 65, 'a"b', "a\nb"):
        with pytest.raises(OptionError, match="A name has"):
            add_token(path, name)
    with pytest.raises(OptionError, match=r"Did you mean 'ada@example\.org'"):
        revoke_token(path, "ada@example.com")
    assert len(read_tokens(path)) == 1


def test_no_folder(tmp_path):
    with pytest.raises(OptionError, match="no folder"):
        add_token(tmp_path / "none" / "team.tokens", "ada")


def test_several_people_are_added_at_once(path):
    names = [f"person{number}" for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda name: add_token(path, name), names))
    assert sorted(each.name for each in read_tokens(path)) == sorted(names)
    assert [Tokens(path).whose(token) for token in tokens] == names


def test_lines_are_objects(path):
    add_token(path, "ada")
    (line,) = path.read_text().splitlines()
    assert set(json.loads(line)) == {"name", "hash", "made"}


def test_wrong_tokens_from_one_address_do_not_fill_the_log(closed_gate, ada, log_of, monkeypatch):
    """Others, and tokens that are valid, are not held up."""
    monkeypatch.setattr("sigdb.serve.gate.WRONG_TOKENS", 2)
    monkeypatch.setattr(closed_gate, "wrong_tokens", Minutes())
    monkeypatch.setattr("time.monotonic", lambda: 600.0)
    before = len(log_of(closed_gate))

    def refused(client):
        with pytest.raises(Refused) as caught:
            closed_gate.admit("sigdb_wrong", door="http", client=client)
        return caught.value.kind

    assert [refused("192.0.2.1") for _ in range(5)] == ["unauthenticated"] * 2 + ["busy"] * 3
    assert refused("192.0.2.2") == "unauthenticated"
    assert closed_gate.admit(ada[1], door="http", client="192.0.2.1").name == "ada"
    outcomes = [(each["client"], each["outcome"]) for each in log_of(closed_gate)[before:]]
    first = [("192.0.2.1", kind) for kind in ("unauthenticated", "unauthenticated", "busy")]
    assert outcomes == [*first, ("192.0.2.2", "unauthenticated")]
    monkeypatch.setattr("time.monotonic", lambda: 660.0)
    assert refused("192.0.2.1") == "unauthenticated"
