from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sigdb.serve.atlases import Atlases
from sigdb.serve.gate import Gate, Limits
from sigdb.serve.log import QueryLog
from sigdb.serve.tokens import Tokens, add_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Small, so that the tests of limits are fast.
LIMITS = Limits(seconds=30, memory="500MB", threads=2, rows=20_000, bytes=4 << 20, at_once=2, per_user=2, wait=0.2)


def entries(log: Path) -> list[dict[str, Any]]:
    """The lines of a log."""
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def make_gate(tmp_path_factory) -> Iterator[Callable[..., Gate]]:
    """Makes gates, and closes them after the tests."""
    made = []

    def make(path: Path, limits: Limits = LIMITS, tokens: Tokens | None = None) -> Gate:
        gate = Gate(Atlases(path), tokens, limits, QueryLog(tmp_path_factory.mktemp("log") / "queries.log"))
        made.append(gate)
        return gate

    yield make
    for gate in made:
        gate.close(0)
        gate.log.close()


@pytest.fixture(scope="session")
def gate(make_gate, toy_path) -> Gate:
    """A gate to the toy atlas, for everybody."""
    return make_gate(toy_path)


@pytest.fixture
def log_of() -> Callable[[Gate], list[dict[str, Any]]]:
    """The lines of the log of a gate."""
    return lambda gate: entries(Path(gate.log.handler.baseFilename))


@pytest.fixture
def limit(gate, monkeypatch) -> Callable[..., None]:
    """Changes limits of the gate that the gate itself sees to, for one test."""
    return lambda **limits: monkeypatch.setattr(gate, "limits", replace(gate.limits, **limits))


@pytest.fixture(scope="session")
def ada(tmp_path_factory) -> tuple[Path, str]:
    """A file of tokens, and the token of the person `ada`."""
    path = tmp_path_factory.mktemp("tokens") / "team.tokens"
    return path, add_token(path, "ada")


@pytest.fixture
def closed_gate(gate, ada, monkeypatch) -> Gate:
    """The gate to the toy atlas, for people with tokens."""
    monkeypatch.setattr(gate, "tokens", Tokens(ada[0]))
    return gate
