"""How the units of one study, or of several studies, are tested: by pairs, by Welch's test, or by a linear model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sigdb.errors import QueryError, listed
from sigdb.findings.statistics import fit_groups, independent_columns, paired_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from sigdb.findings.units import Design, Unit

__all__ = [
    "LINEAR_MODEL",
    "ONE_MODEL",
    "PAIRED",
    "WELCH",
    "Sides",
    "Tested",
    "compare_studies",
    "compare_study",
    "count_donors",
    "match_pairs",
]

WELCH, PAIRED, LINEAR_MODEL, ONE_MODEL = "Welch t", "paired t", "linear model", "one model of all studies"


@dataclass(frozen=True)
class Sides:
    """The units of one study in the group and in the reference, with their values (n_units, n_columns)."""

    group: Sequence[Unit]
    reference: Sequence[Unit]
    pairs: Sequence[str]
    values: tuple[NDArray[np.float64], NDArray[np.float64]]

    @property
    def units(self) -> list[Unit]:
        """The units of both sides, the group first."""
        return [*self.group, *self.reference]

    @property
    def unpaired(self) -> list[Unit]:
        """The units without a partner, in a study that has pairs."""
        return [unit for unit in self.units if unit.pair not in self.pairs] if self.pairs else []

    def in_pairs(self) -> Sides:
        """Only the units that have a partner."""
        kept = [np.array([unit.pair in self.pairs for unit in side], bool) for side in (self.group, self.reference)]
        group, reference = (
            [unit for unit, keep in zip(side, keeps, strict=True) if keep]
            for side, keeps in zip((self.group, self.reference), kept, strict=True)
        )
        return replace(
            self, group=group, reference=reference, values=(self.values[0][kept[0]], self.values[1][kept[1]])
        )

    def pair_means(self) -> list[NDArray[np.float64]]:
        """The mean of each pair's units, in the group and in the reference, (n_pairs, n_columns)."""
        sides = zip((self.group, self.reference), self.values, strict=True)
        return [
            np.array([values[[unit.pair == pair for unit in side]].mean(axis=0) for pair in self.pairs])
            for side, values in sides
        ]

    def tested_by(self, design: Design) -> Sides:
        """The units that the study's own test uses: those in pairs if there are enough pairs, otherwise all."""
        return self.in_pairs() if len(self.pairs) >= design.fewest else self

    def choose_columns(self, columns: NDArray[Any]) -> Sides:
        """The same units with some of their values."""
        return replace(self, values=(self.values[0][:, columns], self.values[1][:, columns]))


@dataclass(frozen=True)
class Tested:
    """The name of a test, what to know about it, and its results by name, (n_columns,); None if there was no test."""

    test: str
    note: str | None
    columns: Mapping[str, NDArray[np.float64]] | None = None


def compare_study(sides: Sides, design: Design) -> Tested:
    """The test of one study that the design asks for."""
    if sides.pairs and design.covariates:
        raise QueryError("A covariate that is constant within a donor cancels out of a pair. Omit `covariates`.")
    if note := too_few(sides, design):
        return Tested("none", note)
    if len(sides.pairs) >= design.fewest:
        note = None if len(sides.pairs) > 2 else "too few pairs for an effect size"
        return Tested(PAIRED, note, paired_columns(*sides.pair_means()))
    if design.covariates or sides.pairs or donors_repeat(sides, design):
        return fit_model(LINEAR_MODEL, [sides], design)
    note = None if min(len(sides.group), len(sides.reference)) > 2 else "too few units for an effect size"
    return Tested(WELCH, note, independent_columns(*sides.values))


def compare_studies(studies: Sequence[Sides], design: Design) -> Tested:
    """All units of several studies in one linear model: the difference between the groups within studies."""
    return fit_model(ONE_MODEL, studies, design)


def too_few(sides: Sides, design: Design) -> str | None:
    """Why a study cannot be tested; None if it can."""
    both = (sides.group, sides.reference)
    if min(map(len, both)) < design.fewest:
        return f"fewer than {design.fewest} units in a group"
    if design.unit != "cell" and min(map(count_donors, both)) < design.fewest:
        return f"fewer than {design.fewest} donors in a group; {design.unit}s of one donor are not replicates"
    return None


def count_donors(units: Sequence[Unit]) -> int:
    """How many donors units have. A unit without a donor in the atlas counts as a donor of its own."""
    return len({unit.donors or unit.cluster for unit in units})


def donors_repeat(sides: Sides, design: Design) -> bool:
    """Whether several units belong to one donor."""
    return design.unit != "cell" and len({unit.cluster for unit in sides.units}) < len(sides.units)


def fit_model(test: str, studies: Sequence[Sides], design: Design) -> Tested:
    """A linear model of the values on the group, the study and the covariates, with donors as clusters."""
    units = [unit for sides in studies for unit in sides.units]
    in_group = np.concatenate([np.repeat([1.0, 0.0], [len(s.group), len(s.reference)]) for s in studies])
    of_study = np.repeat(np.eye(len(studies)), [len(sides.units) for sides in studies], axis=0)
    others = np.column_stack([of_study, design_matrix([unit.covariates for unit in units])])
    names = {name: place for place, name in enumerate(dict.fromkeys((unit.study, *unit.cluster) for unit in units))}
    donors = None if design.unit == "cell" else [names[unit.study, *unit.cluster] for unit in units]
    fit = fit_groups(np.concatenate([each for sides in studies for each in sides.values]), in_group, others, donors)
    means = {}
    if len(studies) == 1:
        means = {"mean_group": studies[0].values[0].mean(axis=0), "mean_reference": studies[0].values[1].mean(axis=0)}
    return Tested(test, fit.note, None if fit.columns is None else {**means, **fit.columns})


def design_matrix(values: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
    """Covariates as numbers, (n_units, k): numbers are centred; each other value but the first becomes 0 or 1."""
    columns = []
    for covariate in zip(*values, strict=True):
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in covariate):
            columns.append(np.array(covariate, float) - np.mean(covariate))
        else:
            others = sorted(set(covariate), key=str)[1:]
            columns += [np.array([value == other for value in covariate], float) for other in others]
    return np.column_stack(columns) if columns else np.empty((len(values), 0))


def match_pairs(group: Sequence[Unit], reference: Sequence[Unit], design: Design) -> list[str]:
    """The values of the pairing column that both sides have.

    Raises QueryError if donors have cells in both groups and the design does not pair.
    """
    if design.paired_by:
        return sorted({str(unit.pair) for unit in group} & {str(unit.pair) for unit in reference})
    both = {d for unit in group for d in unit.donors} & {d for unit in reference for d in unit.donors}
    if both and design.unit != "cell":
        raise QueryError(
            f"{len(both)} donors of {group[0].study} have cells in both {group[0].group} and {design.reference} "
            f"({listed(sorted(both), 3)}), so the groups are not independent. `paired_by='donor'` compares them in "
            "pairs."
        )
    return []
