"""Sphinx's settings. The source folder is the repository, so that a link works on the site as it does in a checkout.

`make site` builds the site; see https://www.sphinx-doc.org/en/master/usage/configuration.html.
"""

from __future__ import annotations

import re
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "sigdb"
author = "The sigdb developers"
copyright = f"2026, {author}"  # noqa: A001  (the name is Sphinx's)
version = release = version_of("sigdb-atlas")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "notebooks/*.ipynb",
    "benchmarks/*.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "ingest/demo/DATA_SOURCES.md",
    "tests/data/README.md",
]
exclude_patterns = ["build", "dist", ".*", "sigdb", "sql", "**/__pycache__"]

# Notebooks are stored with their outputs, and `make test` executes them.
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # the generated pages may skip a level of headings

# Single backticks in docstrings are code.
default_role = "code"
napoleon_google_docstring = False
# A "Returns" section may be a sentence alone, which would otherwise be taken for a type.
napoleon_use_rtype = False
# Packages of the extras are not installed to build the site. Sphinx replaces them by mocks.
autodoc_mock_imports = [
    *("anndata", "captum", "h5py", "hdf5plugin", "numcodecs", "pandas", "safetensors", "scipy", "torch", "zarr"),
]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"

html_theme = "furo"
html_title = "sigdb"
html_extra_path = ["redirect"]
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True


def escape_bars(*event: Any) -> None:
    """Show |x| in docstrings as an absolute value. reStructuredText would take it for a substitution."""
    lines: list[str] = event[-1]
    for i, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            lines[i] = re.sub(r"(`[^`]*`)|\|(?=\w)|(?<=[\w)])\|", lambda found: found[1] or r"\|", line)


def setup(app: Sphinx) -> None:
    """Connect the above."""
    app.connect("autodoc-process-docstring", escape_bars)
