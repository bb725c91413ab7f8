"""The structure of the code in figures: modules, imports, circles, and files that a call passes through.

    python -m benchmarks.structure [ROOT]

ROOT is a checkout with the packages `sigdb` and `ingest`, by default this one. Imports within functions count; imports
for type checkers do not. Another process imports ROOT and makes each call twice, on the bundled studies. The second
call is traced, when everything is loaded. A file counts if any of its code runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from statistics import median

import grimp

PACKAGES = ("sigdb", "ingest")
# A program for a separate process. It prints how many files of the packages each call passes through.
TRACE = """
import sys, tempfile
from pathlib import Path
import sigdb, ingest.pipeline
from ingest.demo import build_demo
from ingest.models import load_model

root, folder = Path(sys.argv[1]), Path(tempfile.mkdtemp())
demo, study = folder / "demo.duckdb", root / "ingest" / "demo" / "studies" / "zheng2017_pbmc68k.h5ad"
build_demo(demo, lambda study, done, total: None)
model = load_model("mlp", root / "ingest" / "demo" / "model")

def files_of(call):
    call(folder / "first")
    seen = set()
    sys.setprofile(lambda frame, event, argument: seen.add(frame.f_code.co_filename))
    try:
        call(folder / "second")
    finally:
        sys.setprofile(None)
    own = {Path(name).relative_to(root) for name in seen if name.startswith(str(root))}
    return sorted(str(path) for path in own if path.parts[0] in ("sigdb", "ingest"))

for name, call in {
    "connect": lambda out: sigdb.connect(demo).close(),
    "export_lake": lambda out: sigdb.export_lake(demo, out),
    "ingest_files": lambda out: ingest.pipeline.ingest_files(
        out.with_suffix(".duckdb"), [ingest.pipeline.Source(study)], model
    ),
}.items():
    found = files_of(call)
    print(f"files that {name} passes through: {len(found)}")
    print("    " + ", ".join(found))
"""


def graph_of(root: Path) -> grimp.ImportGraph:
    """Who imports whom in the packages of a checkout."""
    sys.path.insert(0, str(root))
    return grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)


def circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, directly or through others (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in sorted(imports[module]):
            if other not in index:
                visit(other)
            if other in stack:
                low[module] = min(low[module], low[other])
        if low[module] == index[module]:
            at = stack.index(module)
            found.append(stack[at:])
            del stack[at:]

    for module in imports:
        if module not in index:
            visit(module)
    return [group for group in found if len(group) > 1]


def room(module: str) -> str:
    """The part of a package that a module belongs to: `sigdb.lake` of `sigdb.lake.export`."""
    return ".".join(module.split(".")[:2])


def describe(package: str, imports: dict[str, set[str]], root: Path) -> list[str]:
    """Figures of one package."""
    own = {module for module in imports if module.split(".")[0] == package}
    within = {module: imports[module] & own for module in own}
    rooms = {room(module) for module in own} - {package}
    between = {(room(a), room(b)) for a in own for b in within[a] if room(a) != room(b) and package not in (a, b)}
    lengths = [len(path.read_text(encoding="utf-8").splitlines()) for path in (root / package).rglob("*.py")]
    top = Counter(str(path.parent.relative_to(root)) for path in (root / package).rglob("*.py"))
    return [
        f"{package}: {len(own)} modules, {sum(map(len, within.values()))} imports between them",
        f"    rooms (modules and packages right below {package}): {len(rooms)}, imports between rooms: {len(between)}",
        f"    files: {len(lengths)}, lines: {sum(lengths)}, median {median(lengths):.0f}, longest {max(lengths)}",
        f"    files in the fullest folder: {max(top.values())}",
        f"    circles: {[' -> '.join(group) for group in circles(within)] or 'none'}",
    ]


def longest_chain(imports: dict[str, set[str]]) -> list[str]:
    """The longest chain of imports. It is defined only if there are no circles."""
    best: dict[str, list[str]] = {}

    def chain(module: str) -> list[str]:
        if module not in best:
            best[module] = [module, *max((chain(other) for other in imports[module]), key=len, default=[])]
        return best[module]

    return max((chain(module) for module in imports), key=len)


def main() -> None:
    """Print the figures of a checkout."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1]).resolve()
    graph = graph_of(root)
    imports = {module: graph.find_modules_directly_imported_by(module) & graph.modules for module in graph.modules}
    lines = [line for package in PACKAGES for line in describe(package, imports, root)]
    if not circles(imports):
        chain = longest_chain(imports)
        assert all(b in imports[a] for a, b in pairwise(chain))
        lines.append(f"longest chain of imports: {len(chain)} modules")
    print("\n".join(lines), flush=True)  # noqa: T201
    environment = os.environ | {"PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", TRACE, str(root)], check=True, env=environment, cwd=root)


if __name__ == "__main__":
    main()
