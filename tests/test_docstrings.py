"""Every public name has a docstring, and the examples of the docstrings run and give what they show."""

from __future__ import annotations

import doctest
import inspect
import re
import shutil
from contextlib import ExitStack

import pytest

import sigdb

ingest = pytest.importorskip("ingest")
pytest.importorskip("torch")


def public_objects():
    """Each public function, class and method, by the name under which users know it."""
    for path, module in {"sigdb": sigdb, "sigdb.plots": sigdb.plots, "ingest": ingest}.items():
        for name in module.__all__:
            found = getattr(module, name)
            if not inspect.ismodule(found):
                yield f"{path}.{name}", found
    for name in vars(sigdb.Atlas):
        if not name.startswith("_"):
            yield f"sigdb.Atlas.{name}", inspect.getattr_static(sigdb.Atlas, name)


def function_of(found):
    """The function behind a method, a class method or a context manager; None for what is not called."""
    function = inspect.unwrap(getattr(found, "__func__", found))
    return function if inspect.isfunction(function) else None


PUBLIC = dict(public_objects())
FUNCTIONS = {name: function for name, found in PUBLIC.items() if (function := function_of(found))}
EXAMPLES = [name for name, found in PUBLIC.items() if ">>>" in (found.__doc__ or "")]


def section(text, title):
    """A section of a numpydoc docstring, or nothing."""
    found = re.search(rf"^{title}\n-+\n(.*?)(?=\n\n\w[\w ]*\n-+\n|\Z)", text, re.DOTALL | re.MULTILINE)
    return found[1] if found else ""


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_have_a_docstring(name):
    assert inspect.getdoc(PUBLIC[name])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_functions_have_an_example_and_explain_their_parameters(name):
    text = inspect.cleandoc(FUNCTIONS[name].__doc__)
    assert ">>>" in section(text, "Examples")
    parameters = set(inspect.signature(FUNCTIONS[name]).parameters) - {"self", "cls"}
    explained = re.findall(r"^(\*{0,2}\w.*?)(?: :.*)?$", section(text, "Parameters"), re.MULTILINE)
    assert parameters <= {each.strip("* ") for line in explained for each in line.split(",")}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_give_what_they_show(name, demo_path, tmp_path, monkeypatch):
    """Examples have `sigdb`, and `con` if they do not make it: a second connection would keep a writer out."""
    text = PUBLIC[name].__doc__
    code = "".join(example.source for example in doctest.DocTestParser().get_examples(text))
    shutil.copy(demo_path, tmp_path / "demo.duckdb")
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:
        names = {"sigdb": sigdb}
        if re.search(r"(?<!\.)\bcon\b", code) and not re.search(r"\bas con:|\bcon = ", code):
            names["con"] = stack.enter_context(sigdb.connect("demo.duckdb"))
        test = doctest.DocTestParser().get_doctest(text, names, name, None, None)
        report = []
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        assert runner.run(test, out=report.append).failed == 0, "".join(report)
