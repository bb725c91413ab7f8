"""The command line repeats the defaults of the library, because its help shows them. They must agree."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

import sigdb
from ingest.check.check import check_model
from ingest.given.load import LoadOptions
from ingest.options import Compute, IngestOptions, Method
from sigdb.cli import findings, genes
from sigdb.cli.ingest_options import GivenParameters, IngestParameters
from sigdb.cli.models import CheckOptions
from sigdb.cli.parameters import default_of
from sigdb.findings.report import write_report
from sigdb.scores.options import DEFAULTS

FINDINGS = {
    findings.HitsOptions: sigdb.hits,
    findings.CompareOptions: sigdb.compare,
    findings.NullOptions: sigdb.matched_null,
    findings.LeadingOptions: sigdb.leading_genes,
    findings.EmbeddingOptions: sigdb.embedding,
    findings.ReportOptions: write_report,
    genes.GeneCompareOptions: sigdb.gene_compare,
}


def defaults(dataclass):
    """The defaults of a dataclass by field. Empty and false values become None, as `[]` and `()` mean the same."""
    found = {each.name: default_of(each) for each in fields(dataclass)}
    return {name: value or None for name, value in found.items() if value is not inspect.Parameter.empty}


@pytest.mark.parametrize("options", FINDINGS, ids=lambda options: options.__name__)
def test_findings(options):
    parameters = inspect.signature(FINDINGS[options]).parameters
    library = {name: each.default or None for name, each in parameters.items()}
    library |= {name: value or None for name, value in DEFAULTS.items() if name not in parameters}
    for name, value in defaults(options).items():
        assert value == library[name], name


def test_ingest():
    library = defaults(IngestOptions) | defaults(Compute) | defaults(Method) | {"method": Method().name}
    command = defaults(IngestParameters)
    shared = command.keys() & library.keys()
    assert {"n_steps", "quadrature", "if_exists", "precision", "batch_size", "min_genes", "obsm"} <= shared
    assert {name: command[name] for name in shared} == {name: library[name] for name in shared}


def test_check():
    library = {name: each.default for name, each in inspect.signature(check_model).parameters.items()}
    library |= defaults(Method) | defaults(Compute) | {"method": Method().name}
    command = defaults(CheckOptions)
    shared = command.keys() & library.keys()
    assert {"n_cells", "seed", "layer", "min_genes", "n_steps", "quadrature", "device"} <= shared
    assert {name: command[name] for name in shared} == {name: library[name] or None for name in shared}


def test_load():
    library, command = defaults(LoadOptions), defaults(GivenParameters)
    shared = command.keys() & library.keys()
    assert {"model", "method", "target_sum", "rescale", "run", "if_exists"} <= shared
    assert {name: command[name] for name in shared} == {name: library[name] for name in shared}
