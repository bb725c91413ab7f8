"""What should a hit be? Rules side by side, on the bundled studies as they are and as other designs would measure them.

Each study is attributed whole, cut to three panels, and thinned to 30 % and 10 % of its counts, in an atlas with the
other four studies as they are. The same cells should give the same hits. In a *mixed* study, one half of the cells is
thinned to 30 %; each half takes its turn. Each study is also asked in the atlas without one of the other studies, and
alone. Also measured: type I error (random signatures), power (a programme of 20 genes planted in 5 % of the cells), the
means of cell types, and seconds. [ADR 12](../docs/adr/0012-what-a-hit-is.md) shows the table and explains the choice.

    python -m benchmarks.calibration --json calibration.json
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from scipy.stats import mannwhitneyu

from benchmarks import altered
from benchmarks.expression import SIGNATURES, counts_of
from benchmarks.markers import BARON, BASSEZ, TIROSH, WU, ZHENG
from benchmarks.rules import RULES, Atlas, Cells, Question, attributed
from ingest.models import load_model
from sigdb.signatures import read_signatures

if TYPE_CHECKING:
    from collections.abc import Iterator

    import anndata
    from numpy.typing import NDArray

    from ingest.models import CellModel

STUDIES = (BARON, BASSEZ, TIROSH, WU, ZHENG)
PANELS = ("genes of zheng2017", "500 random genes", "1,500 most expressed")
THINNED = {"30 % of counts": 0.3, "10 % of counts": 0.1}
MIXED = ("first half thinned", "second half thinned")
WITHOUT, ALONE = "in the atlas without ", "alone"
SIZES = (2, 5, 20, 100)
# Cell types that a signature marks beside those of benchmarks.expression, and types that it marks in part: these count
# neither as marked nor as others.
ALSO = {"T cell": ["CD4 T", "CD8 T", "MT-high T"]}
DENDRITIC = ["Dendritic", "DC", "pDC"]
IN_PART = {
    "T cell": ["NK", "CD56+ NK", "ILC3"],
    "B cell": ["plasma", "pDC"],
    "NK cell": ["CD8+ Cytotoxic T", "CD8_T", "CD8 T", "gdT", "ILC3"],
    "myeloid": [*DENDRITIC, "mast"],
    "MS1": [*DENDRITIC, "mast"],
}
# Added to rates before their ratio is taken, so that one cell among a few hundred does not decide it.
PSEUDO_RATE = 0.01
MIN_CELLS = 10
# How many times as much the cells with a planted programme express its genes.
FOLD = 5


def signatures_of(genes: list[str]) -> dict[str, NDArray[np.intp]]:
    """The signatures of benchmarks.expression, as positions among the model's genes."""
    (ms1,) = read_signatures(Path(str(files("sigdb") / "data" / "ms1.txt")), name="MS1")
    listed = {name: list(ms1.genes) if name == "MS1" else text.split() for name, (text, _) in SIGNATURES.items()}
    place = {gene: n for n, gene in enumerate(genes)}
    return {name: np.array([place[gene] for gene in names if gene in place]) for name, names in listed.items()}


def marked_types(signature: str) -> list[str]:
    """The cell types that a signature marks."""
    return [each.strip("' ") for each in SIGNATURES[signature][1].split(",")] + ALSO.get(signature, [])


def versions(
    study: anndata.AnnData, name: str, genes: list[str], panel: list[str], rng: np.random.Generator
) -> Iterator[tuple[str, anndata.AnnData]]:
    """The study as other designs would measure it. zheng2017 has a small panel already, and is only thinned."""
    if name != ZHENG:
        markers = {gene for text, _ in SIGNATURES.values() for gene in text.split()}
        known = sorted(set(study.var_names) & set(genes))
        yield PANELS[0], altered.cut(study, panel)
        yield PANELS[1], altered.cut(study, markers | set(rng.choice(known, 500, replace=False)))
        yield PANELS[2], altered.cut(study, markers | set(altered.most_expressed(study, 1500)))
    for title, share in THINNED.items():
        yield title, altered.thin(study, share, rng)
    half = rng.permutation(study.n_obs) < study.n_obs / 2
    for title, thinned in zip(MIXED, (half, ~half), strict=True):
        mixed = altered.thin(study, np.where(thinned, 0.3, 1.0), rng)
        mixed.obs["thinned"] = thinned
        yield title, mixed


def other_atlases(whole: dict[str, Cells], name: str) -> dict[str, Atlas]:
    """The study in the atlas without one of the other studies, and alone."""
    rest = {other: {key: cells for key, cells in whole.items() if key != other} for other in whole if other != name}
    return {f"{WITHOUT}{other}": Atlas(studies) for other, studies in rest.items()} | {
        ALONE: Atlas({name: whole[name]})
    }


def ask_rules(
    atlas: Atlas, study: str, signature: str, genes: NDArray[np.intp], about: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """One row per rule: what it says of one signature in the cells of one study."""
    cells, question = atlas.studies[study], Question(atlas, genes)
    own = np.isin(cells.types, marked_types(signature))
    other = ~own & ~np.isin(cells.types, IN_PART.get(signature, []))
    names, counts = np.unique(cells.types, return_counts=True)
    for rule, call in RULES.items():
        values, hits = call(question, study)
        yield {
            **about,
            "rule": rule,
            "study": study,
            "signature": signature,
            "rate": hits.mean(),
            "own": hits[own].mean() if own.sum() >= MIN_CELLS else None,
            "other": hits[other].mean() if other.sum() >= MIN_CELLS else None,
            "thinned": hits[cells.thinned].mean() if cells.thinned.any() else None,
            "not thinned": hits[~cells.thinned].mean(),
            "means": {str(each): values[cells.types == each].mean() for each in names[counts >= MIN_CELLS]},
        }


def compare_designs(
    whole: dict[str, Cells], studies: dict[str, anndata.AnnData], model: CellModel
) -> list[dict[str, Any]]:
    """Rows of `ask_rules` for every study as it is, and for each of its other versions."""
    rows: list[dict[str, Any]] = []
    signatures, rng = signatures_of(list(model.gene_ids)), np.random.default_rng(0)
    panel = list(studies[ZHENG].var_names)
    for name, study in studies.items():
        designs = {"whole": whole[name]}
        for title, version in versions(study, name, list(model.gene_ids), panel, rng):
            designs[title] = attributed(version, model)
        atlases = {title: Atlas(whole | {name: cells}) for title, cells in designs.items()} | other_atlases(whole, name)
        for title, atlas in atlases.items():
            cells = atlas.studies[name]
            for signature, genes in signatures.items():
                if np.isin(genes, cells.measured).sum() >= 2:
                    rows += ask_rules(atlas, name, signature, genes, {"version": title})
    return rows


def call_at_random(whole: dict[str, Cells], n_genes: int, n_draws: int) -> list[dict[str, Any]]:
    """Hit rates of signatures of random genes, by rule, size, draw and study."""
    atlas, rng, rows = Atlas(whole), np.random.default_rng(1), []
    for size in SIZES:
        for draw in range(n_draws):
            genes = rng.choice(n_genes, size, replace=False)
            for study in [name for name, cells in whole.items() if np.isin(genes, cells.measured).any()]:
                question = Question(atlas, genes)
                rates = {rule: call(question, study)[1].mean() for rule, call in RULES.items()}
                rows += [{"rule": r, "size": size, "draw": draw, "study": study, "rate": x} for r, x in rates.items()]
    return rows


def find_planted(
    whole: dict[str, Cells], studies: dict[str, anndata.AnnData], model: CellModel, n_draws: int
) -> list[dict[str, Any]]:
    """Hits among cells with and without a programme: 20 genes that 5 to 50 % of the cells show."""
    rng, rows = np.random.default_rng(2), []
    place = {gene: n for n, gene in enumerate(model.gene_ids)}
    for name, study in studies.items():
        medium = [gene for gene in altered.well_measured(study, 0.05, 0.5) if gene in place]
        for draw in range(n_draws):
            chosen, cells = rng.choice(medium, 20, replace=False), rng.random(study.n_obs) < 0.05
            planted = attributed(altered.plant(study, cells, chosen, FOLD, rng), model)
            question = Question(Atlas(whole | {name: planted}), np.array([place[gene] for gene in chosen]))
            for rule, call in RULES.items():
                values, hits = call(question, name)
                auroc = mannwhitneyu(values[cells], values[~cells]).statistic / (cells.sum() * (~cells).sum())
                found = {"power": hits[cells].mean(), "false": hits[~cells].mean(), "AUROC": auroc}
                rows.append({"rule": rule, "study": name, "draw": draw, **found})
    return rows


def measure_seconds(whole: dict[str, Cells], genes: NDArray[np.intp]) -> dict[str, float]:
    """Seconds of a core to call the hits of one signature in all cells, when levels and ranks are known."""
    atlas, seconds = Atlas(whole), {}
    for rule, call in RULES.items():
        for study in whole:
            call(Question(atlas, genes), study)  # computes levels and ranks
        question, start = Question(atlas, genes), time.process_time()
        for study in whole:
            call(question, study)
        seconds[rule] = time.process_time() - start
    return seconds


def change(rates: pd.Series, reference: pd.Series) -> pd.Series:
    """log2 of the ratio of hit rates."""
    return np.log2((rates.astype(float) + PSEUDO_RATE) / (reference.astype(float) + PSEUDO_RATE))


def shifts(found: pd.DataFrame) -> pd.DataFrame:
    """How far the means of cell types move from the whole study: mean and mean absolute shift, in SDs between types."""
    rows = []
    for keys, group in found.groupby(["rule", "study", "signature"]):
        means = group.set_index("version")["means"]
        base = pd.Series(means["whole"])
        for version in means.index.intersection([*PANELS, *THINNED]):
            moved = (pd.Series(means[version]) - base) / base.std(ddof=0)
            rows.append((*keys, version, moved.mean(), moved.abs().mean()))
    table = pd.DataFrame(rows, columns=["rule", "study", "signature", "version", "shift", "distance"])
    return table[np.isfinite(table["shift"])]


def summarise_designs(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """One row per rule: whether other designs of the same study give the same hits, and who is called."""
    found = pd.DataFrame(rows)
    whole = found[found["version"] == "whole"]
    keys = ["rule", "study", "signature"]
    joined = found.merge(whole[[*keys, "rate"]], on=keys, suffixes=("", "_whole"))
    joined["change"] = change(joined["rate"], joined["rate_whole"])
    panels = joined[joined["version"].isin(PANELS)].groupby("rule")["change"]
    thinned = joined[joined["version"].isin(THINNED)].groupby("rule")["change"]
    without = joined[joined["version"].str.startswith(WITHOUT)].groupby("rule")["change"]
    alone = found[found["version"] == ALONE].groupby("rule")["own"]
    mixed = found[found["version"].isin(MIXED)].groupby(keys)[["thinned", "not thinned"]].mean()
    apart = change(mixed["thinned"], mixed["not thinned"]).groupby("rule")
    moved = shifts(found)
    is_panel = moved["version"].isin(PANELS)
    own = (
        found[found["version"].isin([*PANELS, *THINNED])]
        .groupby("rule")[["own", "other"]]
        .agg(lambda rates: rates.astype(float).mean())
    )
    return pd.DataFrame(
        {
            "panels |log2|": panels.apply(lambda x: x.abs().mean()),
            "worst": panels.apply(lambda x: x.abs().max()),
            "thinned: raise": thinned.max(),
            "thinned: mean": thinned.mean(),
            "mixed |log2|": apart.apply(lambda x: x.abs().mean()),
            "mixed: worst": apart.apply(lambda x: x.abs().max()),
            "mixed: mean": apart.mean(),
            "TPR": whole.groupby("rule")["own"].apply(lambda x: x.astype(float).mean()),
            "FPR": whole.groupby("rule")["other"].apply(lambda x: x.astype(float).mean()),
            "altered: TPR": own["own"],
            "altered: FPR": own["other"],
            "other atlas |log2|": without.apply(lambda x: x.abs().mean()),
            "other atlas: worst": without.apply(lambda x: x.abs().max()),
            "alone: TPR": alone.apply(lambda x: x.astype(float).mean()),
            "panels: shift": moved[is_panel].groupby("rule")["shift"].median(),
            "panels: distance": moved[is_panel].groupby("rule")["distance"].median(),
            "thinned: shift": moved[~is_panel].groupby("rule")["shift"].median(),
            "thinned: distance": moved[~is_panel].groupby("rule")["distance"].median(),
        }
    ).loc[list(RULES)]


def summarise_errors(
    random: list[dict[str, Any]], planted: list[dict[str, Any]], seconds: dict[str, float]
) -> pd.DataFrame:
    """One row per rule: type I error by size of the signature (mean and SD over signatures), power, seconds."""
    rates = pd.DataFrame(random).groupby(["rule", "size"])["rate"].agg(["mean", "std"]).unstack("size")
    table = pd.DataFrame({f"random {n}{x}": rates[y, n] for n in SIZES for x, y in (("", "mean"), (" sd", "std"))})
    found = pd.DataFrame(planted).groupby("rule")[["power", "false", "AUROC"]].mean()
    return table.join(found).assign(seconds=pd.Series(seconds)).loc[list(RULES)]


def print_table(console: Console, title: str, table: pd.DataFrame) -> None:
    """Print a table with one row per rule."""
    shown = Table("rule", *table.columns, box=box.SIMPLE_HEAD, title=title)
    for rule, row in table.iterrows():
        shown.add_row(str(rule), *(f"{value:.3f}" for value in row))
    console.print(shown)


def main() -> None:
    """Print one table of designs and one of errors, with a row per rule; write all figures as JSON."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10, help="random signatures of each size, and planted programmes")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    arguments = parser.parse_args()
    model = load_model("mlp", Path(str(files("ingest") / "demo" / "model")))
    studies = {name: counts_of(name) for name in STUDIES}
    whole = {name: attributed(study, model) for name, study in studies.items()}
    designs = compare_designs(whole, studies, model)
    random = call_at_random(whole, len(model.gene_ids), arguments.draws)
    planted = find_planted(whole, studies, model, arguments.draws)
    seconds = measure_seconds(whole, signatures_of(list(model.gene_ids))["T cell"])
    tables = {
        "The same cells in other designs": summarise_designs(designs),
        "Errors, power and cost": summarise_errors(random, planted, seconds),
    }
    for title, table in tables.items():
        print_table(Console(width=300), title, table)
    if arguments.json:
        figures = {title: table.to_dict("index") for title, table in tables.items()}
        rows = {"designs": designs, "random": random, "planted": planted}
        arguments.json.write_text(json.dumps({**figures, **rows}, indent=1, default=float))


if __name__ == "__main__":
    main()
