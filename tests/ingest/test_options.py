"""Options of ingest: impossible ones are refused, and the words agree with the code that uses them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from ingest.attribution.device import MOST_CELLS
from ingest.attribution.methods import ROWS
from ingest.models import ADAPTERS
from ingest.options import (
    ARCHITECTURES,
    DEVICES,
    IF_EXISTS,
    METHODS,
    PRECISIONS,
    QUADRATURES,
    SUMMATIONS,
    Compute,
    IfExists,
    IngestOptions,
    Method,
    ReferenceCells,
)
from sigdb.errors import MethodError, OptionError

REFERENCE = ReferenceCells(Path("a.h5ad"), "true")


def test_words_agree_with_the_code_that_uses_them():
    assert set(ARCHITECTURES) == set(ADAPTERS)
    assert set(IF_EXISTS) == set(get_args(IfExists))
    assert set(DEVICES) == {"auto", *ROWS} == {"auto", *MOST_CELLS}


def test_every_word_is_accepted_and_described():
    for name in METHODS:
        for summation in SUMMATIONS:
            assert Method(name, summation).summation == summation
    assert [Method(quadrature=each).quadrature for each in QUADRATURES] == list(QUADRATURES)
    assert [Compute("cuda", each).precision for each in PRECISIONS] == list(PRECISIONS)
    assert [IngestOptions(if_exists=each).if_exists for each in IF_EXISTS] == list(IF_EXISTS)
    for words in (ARCHITECTURES, METHODS, SUMMATIONS, QUADRATURES, PRECISIONS, IF_EXISTS):
        assert all(words.values())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"if_exists": "replac"},
            OptionError,
            r"Did you mean 'replace'\? `if_exists` is one of",
        ),
        ({"min_genes": 0}, OptionError, "`min_genes` must be at least 1, not 0"),
        ({"max_error": -0.1}, OptionError, "`max_error` must be 0 or more, not -0.1"),
        ({"max_error": float("nan")}, OptionError, "`max_error` must be 0 or more"),
        ({"max_error": 0.1, "method": Method("ixg")}, MethodError, "`max_error` is for ig; `method='ixg'` integrates"),
        ({"max_error": 0.1, "method": Method(n_steps=1)}, MethodError, "takes `n_steps` of 2 or more"),
        ({"method": Method("deeplift"), "compute": Compute("cpu", "bf16")}, MethodError, "double precision"),
        ({"method": Method("ixg"), "baseline": REFERENCE}, MethodError, "`method='ixg'` .* has no baseline"),
    ],
    ids=["if_exists", "min_genes", "max_error", "nan", "no integral", "one step", "precision", "baseline"],
)
def test_impossible_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        IngestOptions(**options)


def test_importing_the_options_loads_nothing_heavy():
    code = "import sys, ingest.options; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "captum", "anndata", "numpy", "scipy", "pandas", "duckdb", "pyarrow"}.isdisjoint(loaded)
