"""The fields of a cell that an atlas knows by name, and texts that stand for a donor or a sample but name none."""

from __future__ import annotations

__all__ = ["FIELDS", "NAMES_NONE", "SAMPLE_FIELDS", "names_none"]

# The columns of sigdb_data.samples: a sample has one value of each.
SAMPLE_FIELDS = ("sample", "donor", "tissue", "disease", "assay", "sex", "development_stage", "in_vivo")
# The fields of a cell. All other columns of obs are kept under their own names.
FIELDS = (*SAMPLE_FIELDS, "cell_type")

# In lower case. The last line is what CELLxGENE and tools that assign cells to donors write.
UNKNOWN = frozenset(
    {
        *("", "-", "--", ".", "?", "na", "n/a", "n.a.", "#n/a", "<na>", "nan", "nil", "none", "null", "missing"),
        *("unknown", "undefined", "unspecified", "undetermined", "unavailable", "unassigned", "tbd"),
        *(f"not {word}" for word in ("given", "available", "applicable", "provided", "reported", "collected")),
        *(f"not {word}" for word in ("specified", "determined", "recorded", "known", "assigned")),
        *("ambiguous", "doublet", "negative"),
    }
)
# Cells of several donors are one sample, but they are no donor.
SEVERAL = frozenset({"pooled", "pool", "mixed", "multiple"})
# Only these fields say which cells belong together. In others, such as cell_type, `unknown` is a label like any other.
NAMES_NONE = {"donor": UNKNOWN | SEVERAL, "sample": UNKNOWN}


def names_none(field: str, value: object) -> bool:
    """Whether a value stands for a donor or a sample but names none, such as 'not given'; False for other fields.

    The statement `findings/group_hits` applies the same rule.
    """
    return isinstance(value, str) and value.strip().lower().replace("_", " ") in NAMES_NONE.get(field, ())
