"""Does an atlas of unlike studies find the disease in which a programme is on? By attribution and by expression.

Nine studies are made of the cells of the bundled studies. They differ in tissue, assay, depth and panel: four bundled
studies give one half of their cells as they are, and the other half thinned or cut to a panel. Cells are dealt out at
random to 8 donors for each study: 4 with the disease of this study, 4 normal. In each disease, another programme is on:
20 genes that all studies measured, in a part of the cells of the 4 donors. All studies are ingested into one atlas.

Donors are the units. Measured for each score: the power of a Welch test within the study of the disease, false
discoveries among the other diseases (also of a test across studies, which takes the normal donors of all studies), and
the rank of the true disease among all nine by the mean of its donors. Last, how much of the variance of the scores of
marker genes is explained by the design (the two halves of a study) and by depth, within a half.

    python -m benchmarks.discovery --json discovery.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from scipy.stats import rankdata, ttest_ind

import sigdb
from benchmarks import altered
from benchmarks.expression import SIGNATURES, counts_of
from benchmarks.markers import BARON, BASSEZ, TIROSH, WU, ZHENG
from ingest import IngestOptions, Source, ingest_files, load_model
from sigdb.findings.expression import expression_scores, signature_columns

if TYPE_CHECKING:
    from collections.abc import Callable

    import anndata
    import duckdb

    from ingest.models import CellModel

    Design = Callable[[anndata.AnnData, np.random.Generator], anndata.AnnData]

DONORS = 8
PROGRAMME = 20
# Column of a table of cells: what is shown of a score. A hit of "pooled" is above percentile 95 of all cells.
METHODS = {
    "attribution": "attribution, mean",
    "attribution_hit": "attribution, pooled hits",
    "z": "attribution, z",
    "is_hit": "attribution, hits against controls",
    "ucell": "UCell, mean",
    "ucell_hit": "UCell, pooled hits",
    "score_genes": "score_genes, mean",
    "score_genes_hit": "score_genes, pooled hits",
}
SCORES = """
    SELECT study, barcode, donor, disease, n_counts, score AS attribution, z, is_hit::DOUBLE AS is_hit
    FROM signature_hits($genes, missing := 'ignore') JOIN cells USING (cell_id)
"""


def designs(panel: list[str]) -> dict[str, dict[str, Design]]:
    """How the parts of each bundled study are measured, by name. tirosh2016 is not divided, since it has few cells."""
    return {
        ZHENG: {"whole": as_it_is, "30 % of counts": thinned},
        BASSEZ: {"whole": as_it_is, "genes of zheng2017": lambda study, _: altered.cut(study, panel)},
        BARON: {"whole": as_it_is, "30 % of counts": thinned},
        WU: {"whole": as_it_is, "1,500 genes": lambda study, _: altered.cut(study, kept_genes(study, panel))},
        TIROSH: {"whole": as_it_is},
    }


def as_it_is(study: anndata.AnnData, rng: np.random.Generator) -> anndata.AnnData:
    """The study."""
    return study


def thinned(study: anndata.AnnData, rng: np.random.Generator) -> anndata.AnnData:
    """The study with 30 % of its counts."""
    return altered.thin(study, 0.3, rng)


def kept_genes(study: anndata.AnnData, panel: list[str]) -> set[str]:
    """The 1,500 genes with the most counts, and the genes that other studies measured."""
    return {*altered.most_expressed(study, 1500), *panel}


def make_studies(
    known: list[str], share: float, fold: float, rng: np.random.Generator
) -> tuple[dict[str, anndata.AnnData], dict[str, list[str]]]:
    """The nine studies by name, and the programme of the disease of each."""
    bundled = {name: counts_of(name) for name in (BARON, BASSEZ, TIROSH, WU, ZHENG)}
    common = altered.measured_by_all(list(bundled.values()), known)
    genes = iter(np.split(rng.permutation(common)[: len(common) // PROGRAMME * PROGRAMME], len(common) // PROGRAMME))
    studies, programmes = {}, {}
    for source, parts in designs(list(bundled[ZHENG].var_names)).items():
        part_of = rng.permutation(np.arange(bundled[source].n_obs) % len(parts))
        for part, (design, measure) in enumerate(parts.items()):
            name = f"{source}, {design}"
            programmes[name] = list(next(genes))
            study = with_disease(bundled[source][part_of == part].copy(), name, rng)
            on = (study.obs["disease"] == name).to_numpy() & (rng.random(study.n_obs) < share)
            studies[name] = measure(altered.plant(study, on, programmes[name], fold, rng), rng)
    return studies, programmes


def with_disease(study: anndata.AnnData, name: str, rng: np.random.Generator) -> anndata.AnnData:
    """The study, its cells dealt out to donors; one half of the donors has the disease of this name."""
    donor = altered.split_into_donors(study.n_obs, DONORS, rng)
    study.obs["donor"] = study.obs["sample"] = [f"{name}, donor {each}" for each in donor]
    study.obs["disease"] = np.where(donor < DONORS // 2, name, "normal")
    return study


def build(path: Path, studies: dict[str, anndata.AnnData], model: CellModel) -> None:
    """Ingest the studies into an atlas."""
    sources = []
    for number, (name, study) in enumerate(studies.items()):
        file = path.with_name(f"{number}.h5ad")
        study.obs = study.obs[["donor", "sample", "disease", "cell_type"]]
        study.write_h5ad(file)
        sources.append(Source(file, study=name))
    ingest_files(path, sources, model, IngestOptions(min_genes=300))


def score_cells(con: duckdb.DuckDBPyConnection, studies: dict[str, anndata.AnnData], genes: list[str]) -> pd.DataFrame:
    """One row per cell: study, donor, disease, n_counts, and the columns of METHODS."""
    tables = []
    for study, cells in con.execute(SCORES, {"genes": genes}).df().groupby("study"):
        adata = studies[str(study)][cells["barcode"].to_list()]
        if adata.var_names.isin(genes).any():
            values = expression_scores(adata, signature_columns(con, adata.var_names.tolist(), genes))
            tables.append(cells.assign(**values))
    table = pd.concat(tables, ignore_index=True)
    for name in ("attribution", "ucell", "score_genes"):
        table[f"{name}_hit"] = (table[name] > np.percentile(table[name], 95)).astype(float)
    return table


def welch(a: pd.Series, b: pd.Series) -> float:
    """The one-sided p value of a larger mean of a; 1 if neither varies."""
    p = ttest_ind(a, b, equal_var=False, alternative="greater").pvalue if a.std() > 0 or b.std() > 0 else 1.0
    return float(p)


def compare_diseases(table: pd.DataFrame, true: str) -> list[dict[str, Any]]:
    """One row per method and disease: p within the study, p across studies, and the rank of the disease."""
    donors = table.groupby(["study", "donor", "disease"], as_index=False)[list(METHODS)].mean()
    normal, ill = donors[donors["disease"] == "normal"], donors[donors["disease"] != "normal"]
    rows = []
    for method, title in METHODS.items():
        means = ill.groupby("disease")[method].mean()
        ranks = dict(zip(means.index, rankdata(-means), strict=True))
        for disease, those in ill.groupby("disease"):
            rows.append(
                {
                    "method": title,
                    "programme": true,
                    "disease": disease,
                    "within": welch(those[method], normal.loc[normal["study"] == disease, method]),
                    "across": welch(those[method], normal[method]),
                    "rank": ranks[disease],
                }
            )
    return rows


def explain_variance(table: pd.DataFrame, signature: str) -> list[dict[str, Any]]:
    """One row per method and divided study: the parts of the variance that the design and the depth explain."""
    rows = []
    sources = table["study"].str.partition(",")[0]
    for source, cells in table.groupby(sources):
        for method, title in METHODS.items():
            total = ((cells[method] - cells[method].mean()) ** 2).sum()
            if cells["study"].nunique() > 1 and total > 0:
                centred = cells[method] - cells.groupby("study")[method].transform("mean")
                depth = np.log(cells["n_counts"])
                depth -= depth.groupby(cells["study"]).transform("mean")
                by_depth = sum(
                    (centred[part] @ depth[part]) ** 2 / (depth[part] @ depth[part])
                    for part in cells.groupby("study").groups.values()
                )
                found = {"design": 1 - (centred**2).sum() / total, "depth": by_depth / total}
                rows.append({"method": title, "signature": signature, "study": source, **found})
    return rows


def run(share: float, fold: float, n_draws: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of `compare_diseases` and of `explain_variance` over several atlases."""
    model, tests, parts = load_model("mlp", Path(str(files("ingest") / "demo" / "model"))), [], []
    for draw in range(n_draws):
        studies, programmes = make_studies(list(model.gene_ids), share, fold, np.random.default_rng(draw))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "atlas.duckdb"
            build(path, studies, model)
            with sigdb.connect(path) as con:
                for name, genes in programmes.items():
                    tests += [{"draw": draw, **row} for row in compare_diseases(score_cells(con, studies, genes), name)]
                for name, (listed, _) in SIGNATURES.items():
                    if name != "MS1":
                        found = explain_variance(score_cells(con, studies, listed.split()), name)
                        parts += [{"draw": draw, **row} for row in found]
    return tests, parts


def summarise(tests: list[dict[str, Any]], parts: list[dict[str, Any]]) -> pd.DataFrame:
    """One row per method."""
    found = pd.DataFrame(tests)
    true = found[found["programme"] == found["disease"]].groupby("method")
    false = found[found["programme"] != found["disease"]].groupby("method")
    variance = pd.DataFrame(parts).groupby("method")
    return pd.DataFrame(
        {
            "power within": true["within"].apply(lambda p: (p < 0.05).mean()),
            "false within": false["within"].apply(lambda p: (p < 0.05).mean()),
            "power across": true["across"].apply(lambda p: (p < 0.05).mean()),
            "false across": false["across"].apply(lambda p: (p < 0.05).mean()),
            "mean rank": true["rank"].mean(),
            "first": true["rank"].apply(lambda rank: (rank == 1).mean()),
            "variance by design": variance["design"].mean(),
            "variance by depth": variance["depth"].mean(),
        }
    ).loc[list(METHODS.values())]


def main() -> None:
    """Print one row per score, and the ranks by study; write all figures as JSON."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=3, help="atlases, each with nine programmes")
    parser.add_argument("--share", type=float, default=0.2, help="the part of the cells in which a programme is on")
    parser.add_argument("--fold", type=float, default=5, help="how many times as much they express its genes")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    arguments = parser.parse_args()
    tests, parts = run(arguments.share, arguments.fold, arguments.draws)
    summary = summarise(tests, parts)
    found = pd.DataFrame(tests)
    true = found[found["programme"] == found["disease"]]
    ranks = true.pivot_table(index="method", columns="disease", values="rank").loc[summary.index]
    console = Console(width=220)
    for title, table in {"Discovery": summary, "Mean rank of the true disease": ranks}.items():
        shown = Table("score", *table.columns, box=box.SIMPLE_HEAD, title=title)
        for method, row in table.iterrows():
            shown.add_row(str(method), *(f"{value:.3f}" for value in row))
        console.print(shown)
    if arguments.json:
        figures = {"summary": summary.to_dict("index"), "tests": tests, "variance": parts}
        arguments.json.write_text(json.dumps(figures, indent=1, default=float))


if __name__ == "__main__":
    main()
