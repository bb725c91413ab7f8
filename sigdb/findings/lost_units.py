"""Why a comparison lacks units of a group, and which smallest size of a unit would keep enough of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from sigdb.errors import QueryError, listed, nearest
from sigdb.findings.lost import nth_largest
from sigdb.findings.units import too_small, unit_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sigdb.findings.units import Design, Unit

__all__ = ["advise_min_cells", "check_group", "check_groups", "nothing_compared"]


def check_group(
    units: Sequence[Unit], lost: Sequence[tuple[Mapping[str, Any], str]], design: Design, group: str, parameter: str
) -> None:
    """Raise QueryError if no unit is in a group, with the filter that lost its units.

    lost: the rows of units that were left out, with the reasons. parameter: the one that names the group.
    """
    if any(unit.group == group for unit in units):
        return
    rows = [(row, reason) for row, reason in lost if str(row["group"]) == group]
    if not rows:
        there = sorted({*(unit.group for unit in units), *(str(row["group"]) for row, _ in lost if row["group"])})
        raise QueryError(
            f"No {design.unit} has {design.by} {group!r} (`{parameter}`).{nearest(group, there)} "
            f"There are: {listed(map(repr, there)) or 'none'}."
        )
    counts = ", ".join(f"{n} ({reason})" for reason, n in Counter(reason for _, reason in rows).most_common())
    counted = f", counted in each {design.within}," if design.within else ""
    raise QueryError(
        f"All {len(rows)} {design.unit}s of {design.by} {group!r}{counted} were left out: {counts}. "
        f"{advise_min_cells(units, lost, design)}".strip()
    )


def check_groups(
    units: Sequence[Unit],
    lost: Sequence[tuple[Mapping[str, Any], str]],
    design: Design,
    study: str | None,
    group: str | None,
) -> None:
    """Raise QueryError if no unit is of a study, in the reference or in the group; lost: as for `check_group`."""
    studies = sorted({*(unit.study for unit in units), *(row["study"] for row, _ in lost)})
    if study is not None and study not in studies:
        hint = nearest(study, studies)
        raise QueryError(f"There is no study {study!r} (`study`).{hint} There are: {listed(studies)}.")
    check_group(units, lost, design, str(design.reference), "reference")
    if group is not None:
        check_group(units, lost, design, group, "group")


def advise_min_cells(
    units: Sequence[Unit],
    lost: Sequence[tuple[Mapping[str, Any], str]],
    design: Design,
    study: str | None = None,
    group: str | None = None,
) -> str:
    """The largest `min_cells` that leaves enough units for a test, in words; no text if no unit was too small.

    A test needs units of both groups in one study and in one value of `within`. study, group: those that are compared.
    lost: as for `check_group`.
    """
    small = [unit_of(row, design) for row, reason in lost if reason == too_small(design)]
    if not small:
        return ""
    sizes: dict[tuple[str | None, str], dict[str, dict[object, int]]] = defaultdict(lambda: defaultdict(dict))
    for unit in [*units, *small]:
        donors = sizes[unit.within, unit.study][unit.group]
        donor = unit.donors or unit.cluster
        donors[donor] = max(unit.n_cells, donors.get(donor, 0))
    reference = str(design.reference)
    choices = [
        (min(nth_largest(each[side].values(), design.fewest) for side in (other, reference)), other, place)
        for place, each in sizes.items()
        if reference in each and study in (None, place[1])
        for other in sorted(each.keys() - {reference})
        if group in (None, other)
    ]
    n_cells, other, (within, name) = max(choices, key=lambda choice: choice[0], default=(0, "", ("", "")))
    units_of = f"{design.fewest} {design.unit}s{' of different donors' if design.unit == 'sample' else ''}"
    if not n_cells:
        place = f"one {design.within} of a study" if design.within else "a study"
        return f"No value of `min_cells` leaves {units_of} in both groups of {place}, as a test needs."
    place = f"{within} of {name}" if within else name
    return f"`min_cells={n_cells}` leaves at least {units_of} of {other!r} and of {reference!r} in {place}."


def nothing_compared(units: Sequence[Unit], design: Design) -> str:
    """The note on a comparison without rows: no study has units of the reference and of another group."""
    sides = {True: set[str](), False: set[str]()}
    for unit in units:
        sides[unit.group == str(design.reference)].add(unit.study)
    place = f" within one {design.within}" if design.within else ""
    note = f"Nothing was compared: no study has units of {design.reference!r} and of another {design.by}{place}. "
    note += f"Studies with {design.reference!r}: {listed(sorted(sides[True])) or 'none'}; with another: "
    note += f"{listed(sorted(sides[False])) or 'none'}."
    if design.within and sides[True] & sides[False]:
        note += " `within=None` compares all cells of a unit together."
    return note
