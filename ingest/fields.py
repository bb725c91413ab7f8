"""What ingest took as the fields of an atlas, and columns that look like the fields for which it found none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sigdb.errors import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["FieldReport", "find_candidates", "is_spelling", "notes_on_missing"]

# Other names of the fields, without capitals and separators.
SYNONYMS = {
    "sample": ("sample", "samplename", "specimen", "specimenid", "biosample", "library", "libraryid", "origident"),
    "donor": ("donor", "patient", "patientid", "subject", "subjectid", "individual", "individualid", "participant"),
    "tissue": ("tissue", "organ", "organname", "anatomicalsite", "site"),
    "disease": ("disease", "condition", "diagnosis", "healthstatus", "phenotype"),
    "assay": ("assay", "technology", "platform", "chemistry", "protocol"),
    "sex": ("sex", "gender"),
    "development_stage": ("developmentstage", "stage", "age", "agegroup"),
    "in_vivo": ("invivo",),
    "cell_type": ("celltype", "celllabel", "cellontologyclass", "annotation", "majorityvoting", "predictedcelltype"),
}


@dataclass(frozen=True)
class FieldReport:
    """What was taken as a field of the atlas.

    column: the column of obs; None if there is none. Samples without a column are inferred. n_values: distinct values.
    n_missing: cells without a value. candidates: columns that look like the field, if it has no column or lacks values.
    """

    field: str
    column: str | None
    n_values: int
    n_missing: int
    candidates: tuple[str, ...] = ()


def find_candidates(field: str, columns: Iterable[str]) -> tuple[str, ...]:
    """The columns with another usual name of a field, the likeliest first: `Patient_ID`, then `donor_age`."""
    names = SYNONYMS[field]

    def rank(column: str) -> int:
        bare = bare_name(column)
        exact = bare in names or bare.removesuffix("id") in names
        return 0 if exact else 1 if bare.startswith(names[0]) else 2

    found = sorted((rank(column), n, column) for n, column in enumerate(columns))
    return tuple(column for place, _, column in found if place < 2)


def is_spelling(field: str, column: str) -> bool:
    """Whether a column has the name of a field in another spelling: `Donor`, `donor_ID`, `CellType`."""
    return bare_name(column).removesuffix("id") == SYNONYMS[field][0]


def bare_name(column: str) -> str:
    """The name of a column without capitals and separators."""
    return re.sub(r"[^a-z0-9]", "", column.lower())


def notes_on_missing(fields: Sequence[FieldReport]) -> list[str]:
    """Notes on the fields without a column or value: the columns that look like each, and how to take the first."""
    notes = []
    for each in fields:
        if each.candidates:
            lacks = "none" if each.column is None else f"{each.n_missing:,} cells without"
            way = f"`mapping={ {each.field: each.candidates[0]} }`"
            notes.append(f"{each.field}: {lacks}; candidates: {listed(each.candidates, 5)}. To take the first: {way}")
    without = [each.field for each in fields if each.column is None and not each.candidates]
    return [*notes, *([f"no column looks like {', '.join(without)}"] if without else [])]
