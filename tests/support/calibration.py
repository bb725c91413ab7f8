"""An independent computation, in numpy, of what `signature_calibration` and `signature_hits` give.

It shares no code with sql/, and reads nothing but arrays and the ids of genes and cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from tests.support.toy import new_atlas, obs_of, write_study

PRIME = 2**31 - 1
N_SETS, WINDOW, N_CELLS, N_PAIRS = 200, 51, 200, 5000


@dataclass
class Study:
    """Dense scores (n_cells, n_genes); the genes that it measured; detected genes and type of each cell, or None."""

    name: str
    scores: np.ndarray
    measured: list[int]
    detected: list[int | None]
    types: list[str | None] = field(default_factory=list)
    cell_ids: np.ndarray = field(default_factory=lambda: np.array([], int))


def build(path, genes, studies):
    """Write the studies, and note the ids that their cells get."""
    with new_atlas(path, genes) as atlas:
        for study in studies:
            obs = obs_of(len(study.scores), cell_type=study.types) if study.types else None
            write_study(atlas, study.scores, genes, study=study.name, measured=study.measured, obs=obs)
            ids = "SELECT c.cell_id FROM cells AS c WHERE c.study = ? ORDER BY substr(c.barcode, 2)::INTEGER"
            study.cell_ids = np.ravel(atlas.con.execute(ids, [study.name]).fetchall())
            with atlas.transaction() as con:
                con.executemany(
                    "UPDATE sigdb_data.cell_data SET n_genes = ? WHERE cell_id = ?",
                    list(zip(study.detected, study.cell_ids.tolist(), strict=True)),
                )
    return path


def cells_by_type(study):
    """Which cells each type has, of types with 5 cells or more, or of all types if none has 5."""
    types = np.array(study.types or [None] * len(study.scores), dtype=object)
    groups = [types == each for each in set(types)]
    return [group for group in groups if group.sum() >= 5] or groups


def gene_levels(studies):
    """The level of each gene: (n_genes,), NaN if no study measured it."""
    found = np.full((len(studies), studies[0].scores.shape[1]), np.nan)
    for row, study in zip(found, studies, strict=True):
        scores = np.abs(study.scores.astype(np.float32).astype(float))
        means = np.array([scores[group].mean(axis=0)[study.measured] for group in cells_by_type(study)])
        row[study.measured] = np.log(0.01 + means * len(study.measured) / 1000).mean(axis=0)
    with np.errstate(invalid="ignore"):
        return np.nansum(found, axis=0) / (~np.isnan(found)).sum(axis=0)


def depth_of(detected):
    return -1 if detected is None else math.floor(2 * math.log2(max(detected, 1)))


def control_sets(study, levels, gene_ids, weights):
    """The weights of each control set: (200, n_genes)."""
    order = sorted(study.measured, key=lambda gene: (round(levels[gene], 9), gene_ids[gene]))
    n = len(order)
    sets = np.zeros((N_SETS, len(gene_ids)))
    for gene, weight in weights.items():
        if gene not in study.measured:
            continue
        nearest = order[max(0, min(order.index(gene) - WINDOW // 2, n - WINDOW)) :][:WINDOW]
        for number in range(N_SETS):
            h = (int(gene_ids[gene]) * 1103515245 + number * 12345679 + 1013904223) % PRIME
            sets[number, nearest[h * h % PRIME % len(nearest)]] += weight
    return sets


def sampled_pairs(cell_ids):
    """The pairs (row, control set) of the cells of one stratum."""
    n = len(cell_ids)
    per_cell = math.ceil(N_PAIRS / min(n, N_CELLS))
    for row, cell in enumerate(cell_ids):
        h = (int(cell) * 1103515245 + 12345) % PRIME
        if h * n <= N_CELLS * PRIME:
            yield from ((row, (h + i) % N_SETS) for i in range(min(N_SETS, per_cell)))


def reference(studies, gene_ids, genes, weights, *, agg, signed, measured_only, percentile):
    """Calibrations by (study, depth): (n_cells, n_pairs, mean, sd, cutoff); hits by cell: (score, z, is_hit)."""
    total = sum(map(abs, weights)) if agg == "mean" else 1
    shares = {gene: weight / total for gene, weight in zip(genes, weights, strict=True)}
    levels, strata, hits = gene_levels(studies), {}, {}
    own = np.array([shares.get(gene, 0) for gene in range(len(gene_ids))])
    for study in studies:
        values = study.scores.astype(np.float32).astype(float)
        values = values if signed else np.abs(values)
        measured = sum(abs(share) for gene, share in shares.items() if gene in study.measured)
        factor = 1.0
        if measured_only and agg == "mean":
            factor = sum(map(abs, shares.values())) / measured if measured else math.nan
        scores = values @ own * factor
        controls = values @ control_sets(study, levels, gene_ids, shares).T * factor
        depths = np.array([depth_of(each) for each in study.detected])
        for depth in np.unique(depths):
            rows = np.flatnonzero(depths == depth)
            rows = rows[np.argsort(study.cell_ids[rows])]
            pairs = list(sampled_pairs(study.cell_ids[rows]))
            sample = np.array([controls[rows[row], number] for row, number in pairs])
            mean, sd, cutoff = sample.mean(), sample.std(), np.percentile(sample, percentile)
            if measured:
                n_sampled = len({row for row, _ in pairs})
                strata[study.name, int(depth)] = (n_sampled, len(pairs), mean, sd, cutoff)
            for row in rows:
                z = (scores[row] - mean) / sd if sd > 0 and measured else None
                score = None if math.isnan(scores[row]) else scores[row]
                hits[int(study.cell_ids[row])] = (score, z, scores[row] > cutoff if measured else None, cutoff)
    return strata, hits


def random_studies(seed, sizes, n_genes, n_measured):
    """Studies of cells whose absolute scores add up to 1000; genes differ in level, some are never seen."""
    rng = np.random.default_rng(seed)
    level = np.where(np.arange(n_genes) % 9 == 0, 0, rng.lognormal(0, 1, n_genes))
    studies = []
    for number, (n_cells, n) in enumerate(zip(sizes, n_measured, strict=True)):
        measured = sorted(rng.choice(n_genes, n, replace=False).tolist())
        raw = rng.gamma(0.5, 1, (n_cells, n_genes)) * level * (rng.random((n_cells, n_genes)) < 0.6)
        raw[:, np.setdiff1d(np.arange(n_genes), measured)] = 0
        total = raw.sum(axis=1, keepdims=True)
        scores = np.divide(raw * 1000, total, out=np.zeros_like(raw), where=total > 0)
        scores *= np.where(rng.random(scores.shape) < 0.3, -1, 1)
        detected = [int(each) for each in np.exp(rng.normal(6, 0.5, n_cells))]
        detected[::13] = [None] * len(detected[::13])
        types = rng.choice(["T cell", "B cell", "rare", None], n_cells, p=[0.55, 0.3, 0.05, 0.1]).tolist()
        studies.append(Study(f"study {number}", scores.astype(np.float32), measured, detected, types))
    return studies
