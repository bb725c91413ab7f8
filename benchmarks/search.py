"""How long a search takes, compared with sc-signature 1.0.0 on the same scores. `make bench` runs it.

    python -m benchmarks.search build

Measures the CASES on build/cells.duckdb and build/wide.duckdb (benchmarks.atlases) and on build/cells.tiledb
(benchmarks.peer), prints one table and writes build/search.json. Every measurement is a separate process, which warms
up once and then repeats. The two sides of a comparison run one after the other. Peak memory is per process.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb
    import pandas as pd
    from numpy.typing import NDArray

N_GENES = 86
SQL = {
    "table": "SELECT count(*), sum(score) FROM signature_score($genes)",
    "weighted": "SELECT count(*), sum(score) FROM signature_score($genes, weights := $weights)",
    "scalar": "SELECT count(s), sum(s) FROM (SELECT signature_score(cell_id, $genes) AS s FROM cells)",
    "scalar of a sample in 25": """
        SELECT count(s), sum(s)
        FROM (SELECT signature_score(cell_id, $genes) AS s FROM cells WHERE sample_id % 25 = 0)""",
    "group means": """
        SELECT disease, cell_type, sum(score * n_cells) / sum(n_cells) AS score
        FROM signature_by_sample($genes) GROUP BY disease, cell_type ORDER BY disease, cell_type""",
    "hit rates": "SELECT sample, hit_rate FROM sample_hit_rates($genes) ORDER BY sample",
    "function again": "SELECT count(s), sum(s) FROM (SELECT signature_score_py(cell_id, 'QUESTION') AS s FROM cells)",
    "materialised": "SELECT count(*), sum(score) FROM signature_scores(['QUESTION'])",
    "50 signatures": "SELECT count(*), sum(score) FROM signature_scores((SELECT list(signature) FROM signature_info))",
}


@dataclass(frozen=True)
class Case:
    """One measurement. how: `connect`, `plain` (DuckDB with its default settings), `python` or `peer`."""

    atlas: str
    what: str
    how: str
    duckdb: str = ""  # a version of DuckDB other than the installed one
    peer: str = ""  # the measurement of sc-signature that it is compared with


CASES = (
    Case("cells", "vector", "peer"),
    Case("cells", "vector", "python", peer="vector"),
    Case("cells", "table", "connect", peer="vector"),
    Case("cells", "table", "plain", peer="vector"),
    Case("cells", "table", "connect", "1.5.6", "vector"),
    Case("cells", "table", "connect", "1.4.2", "vector"),
    Case("cells", "table", "plain", "1.4.2", "vector"),
    Case("cells", "group means", "peer"),
    Case("cells", "group means", "connect", peer="group means"),
    Case("cells", "group means", "plain", peer="group means"),
    Case("cells", "hit rates", "peer"),
    Case("cells", "hit rates", "connect", peer="hit rates"),
    Case("cells", "scalar of a sample in 25", "connect", peer="vector"),
    Case("cells", "scalar", "connect", peer="vector"),
    Case("cells", "function again", "connect"),
    Case("cells", "materialised", "connect"),
    Case("wide", "vector", "python"),
    Case("wide", "weighted", "connect"),
    Case("wide", "weighted", "plain"),
    Case("wide", "weighted", "plain", "1.5.6"),
    Case("wide", "weighted", "plain", "1.4.2"),
    Case("wide", "scalar of a sample in 25", "connect"),
    Case("wide", "scalar", "connect"),
    Case("wide", "group means", "connect"),
    Case("wide", "50 signatures", "connect"),
)


def genes_of(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The genes of the question: most genes of the narrow atlas, and genes spread over the wide one."""
    query = "SELECT symbol FROM genes WHERE gene_id % greatest((SELECT count(*) FROM genes) // $n, 1) = 0 LIMIT $n"
    return [gene for (gene,) in con.execute(query, {"n": N_GENES}).fetchall()]


def on_sigdb(case: Case, folder: Path) -> tuple[Callable[[], Any], duckdb.DuckDBPyConnection]:
    """The function to time, and the connection."""
    import duckdb

    import sigdb

    path = folder / f"{case.atlas}.duckdb"
    con = duckdb.connect(str(path), read_only=True) if case.how == "plain" else sigdb.connect(path)
    genes = genes_of(con)
    if case.how == "python":
        return lambda: totals(sigdb.score(con, genes)["score"].to_numpy()), con
    query, parameters = SQL[case.what], parameters_of(SQL[case.what], genes)
    return lambda: con.execute(query, parameters).fetchall(), con


def parameters_of(query: str, genes: list[str]) -> dict[str, Any]:
    """The parameters that the query names."""
    every = {"genes": genes, "weights": [1.0 + i % 3 for i in range(len(genes))]}
    return {name: value for name, value in every.items() if f"${name}" in query}


def on_peer(case: Case, folder: Path) -> Callable[[], Any]:
    """The function to time: the package's own functions, as its documentation calls them."""
    import duckdb
    from SIGnature import SIGnature
    from SIGnature.meta import Meta

    with duckdb.connect(str(folder / f"{case.atlas}.duckdb"), read_only=True) as con:
        genes = genes_of(con)
        order = [gene for (gene,) in con.execute("SELECT symbol FROM genes ORDER BY gene_id").fetchall()]
        columns = "0" if case.what == "vector" else "study, sample, tissue, disease, cell_type"
        obs = con.execute(f"SELECT {columns} FROM cells ORDER BY cell_id").df()  # noqa: S608
    signature = SIGnature(gene_order=order, attribution_tiledb_uri=str(folder / f"{case.atlas}.tiledb"))

    if case.what == "group means":
        obs = obs[["disease", "cell_type"]].astype("category")

    def scores() -> NDArray[np.float64]:
        return np.asarray(signature.query_attributions(genes)).ravel()

    def group_means() -> list[tuple[Any, ...]]:
        frame: pd.DataFrame = obs.assign(score=scores())
        means = frame.groupby(["disease", "cell_type"], observed=True)["score"].mean()
        return [(*key, value) for key, value in means.sort_index().items()]

    def hit_rates() -> list[tuple[Any, ...]]:
        meta = Meta(obs.assign(score=scores()))
        meta.add_hits("score")
        rates = meta.samphit_df(samp_min=1, hit_col="score__hit", dropna=False, num_dis=None)
        return sorted(zip(rates["sample"], rates["score__hit"], strict=True))

    return {"vector": lambda: totals(scores()), "group means": group_means, "hit rates": hit_rates}[case.what]


def totals(scores: NDArray[np.float64]) -> list[tuple[Any, ...]]:
    """A summary by which two vectors of scores can be compared."""
    return [(len(scores), float(scores.sum()))]


def prepare(folder: Path) -> None:
    """Make the atlases that do not exist, with 50 signatures each, and materialise the scores of QUESTION."""
    import sigdb
    from benchmarks import atlases, peer

    for name in {case.atlas for case in CASES}:
        path = folder / f"{name}.duckdb"
        if not path.is_file():
            atlases.make(atlases.SHAPES[name], path)
        with sigdb.Atlas(path) as atlas:
            known = atlas.con.execute("SELECT count(*) FROM signature_info").fetchall() != [(0,)]
            if known:
                continue
            genes = [gene for (gene,) in atlas.con.execute("SELECT symbol FROM genes ORDER BY gene_id").fetchall()]
            rng = np.random.default_rng(3)
            drawn = [sigdb.Signature(f"S{i:02}", tuple(rng.permutation(genes)[:50].tolist())) for i in range(49)]
            atlas.add_signatures([*drawn, sigdb.Signature("QUESTION", tuple(genes_of(atlas.con)))])
            atlas.materialize(["QUESTION"])
    if not (folder / "cells.tiledb").is_dir():
        unfinished = folder / "cells.unfinished.tiledb"
        shutil.rmtree(unfinished, ignore_errors=True)
        peer.export(folder / "cells.duckdb", unfinished)
        unfinished.rename(folder / "cells.tiledb")


def measure(case: Case, folder: Path, repeats: int) -> dict[str, Any]:
    """Time one case in this process."""
    con = None
    if case.how == "peer":
        action = on_peer(case, folder)
    else:
        action, con = on_sigdb(case, folder)
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        result = action()
        seconds.append(time.perf_counter() - start)
    found = {"first": seconds[0], "seconds": seconds[1:], "median": statistics.median(seconds[1:]), "peak_gb": peak()}
    return asdict(case) | found | {"result": result, "read": None if con is None else rows_read(con, case)}


def peak(process: str = "self") -> float | None:
    """The peak memory of a process in GB, from /proc, since ru_maxrss starts with the memory of the parent; or None."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return None
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**20


def rows_read(con: duckdb.DuckDBPyConnection, case: Case) -> dict[str, int] | None:
    """Rows and row groups of the attributions that a query reads, as DuckDB 2 reports them."""
    query = SQL.get(case.what)
    return query and read_by(con, query, parameters_of(query, genes_of(con)))


def read_by(
    con: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any] | None = None
) -> dict[str, int] | None:
    """Rows and row groups of the attributions that a query reads; None if DuckDB does not report them."""
    ((_, plan),) = con.execute(f"EXPLAIN (ANALYZE, FORMAT json) {query}", parameters).fetchall()
    scans = [scan for scan in nodes(json.loads(plan)) if "row_groups_scanned" in scan]
    mine = [scan for scan in scans if str(scan["extra_info"].get("Table", "")).endswith("sigdb_data.attributions")]
    if not mine:
        return None
    return {
        "rows": sum(scan["rows_scanned"] for scan in mine),
        "row_groups": sum(scan["row_groups_scanned"] for scan in mine),
        "of_row_groups": max(scan["total_row_groups_to_scan"] for scan in mine),
    }


def nodes(plan: Any) -> list[dict[str, Any]]:
    """All operators of a plan."""
    if isinstance(plan, list):
        return [node for each in plan for node in nodes(each)]
    if not isinstance(plan, dict):
        return []
    return [plan, *(node for key, each in plan.items() if key != "extra_info" for node in nodes(each))]


def measure_in_process(case: Case, folder: Path, repeats: int) -> dict[str, Any]:
    """Time one case in a separate process, with the DuckDB that it names (from `make .clients/ready`)."""
    command = [sys.executable, "-m", "benchmarks.search", str(folder), "--repeats", str(repeats)]
    other = {"PYTHONPATH": f".clients/duckdb-{case.duckdb}"} if case.duckdb else {}
    output = subprocess.run(
        [*command, "--case", str(CASES.index(case))], env=os.environ | other, stdout=subprocess.PIPE, check=True
    ).stdout
    return dict(json.loads(output.splitlines()[-1]))


def compare(found: list[dict[str, Any]]) -> None:
    """Print the table, and raise if two sides give different results."""
    table = Table(
        "atlas", "what", "how", "duckdb", "median s", "peak GB", "row groups", "sc-signature s", "times faster"
    )
    for each in found:
        peers = [peer for peer in found if peer["how"] == "peer" and peer["what"] == each["peer"]]
        peer = peers[0] if peers else None
        if peer is not None and each["what"] != "scalar of a sample in 25":
            check_same(each, peer)
        groups = "{row_groups:,} of {of_row_groups:,}".format(**each["read"]) if each["read"] else ""
        memory = f"{each['peak_gb']:.1f}" if each["peak_gb"] else ""
        table.add_row(
            each["atlas"],
            each["what"],
            each["how"],
            each["duckdb"],
            f"{each['median']:.2f}",
            memory,
            groups,
            f"{peer['median']:.2f}" if peer else "",
            f"{peer['median'] / each['median']:.1f}" if peer else "",
        )
    Console(width=140).print(table)


def check_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Raise unless two results are equal to 1e-6, row by row.

    Hit rates may differ by 0.002: sc-signature adds up in float32, so a cell near the cut-off can be on its other side.
    """
    tolerance = {"rtol": 0, "atol": 2e-3} if ours["what"] == "hit rates" else {"rtol": 1e-6, "atol": 1e-12}
    for mine, other in zip(ours["result"], theirs["result"], strict=True):
        if mine[:-1] != other[:-1] or not np.isclose(mine[-1], other[-1], **tolerance):
            raise AssertionError(f"{ours['what']}: {mine} by {ours['how']}, {other} by sc-signature")


def main() -> None:
    """Measure everything, or (in a separate process) one case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--atlas", choices=sorted({case.atlas for case in CASES}), help="only the cases of this atlas")
    parser.add_argument("--case", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case is not None:
        json.dump(measure(CASES[options.case], options.folder, options.repeats), sys.stdout)
        return
    prepare(options.folder)
    cases = [case for case in CASES if options.atlas in (None, case.atlas)]
    found: list[dict[str, Any]] = []
    for case in track(cases, "Measuring"):
        found.append(measure_in_process(case, options.folder, options.repeats))
        (options.folder / "search.json").write_text(json.dumps(found, indent=1))
    for each in found:
        each["result"] = [tuple(row) for row in each["result"]]
    compare(found)


if __name__ == "__main__":
    main()
