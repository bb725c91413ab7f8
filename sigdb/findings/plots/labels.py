"""Where labels of points can stand without covering each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["SIDES", "box_of", "is_inside", "overlap", "place_labels"]

LINE = 12.0  # pixels of a line of text
GAP = 5.0  # pixels between a point and its label
# The sides of a point where its label can stand, the best first, with the properties of the mark.
SIDES = {
    "right": {"align": "left", "dx": GAP},
    "left": {"align": "right", "dx": -GAP},
    "above": {"align": "center", "dy": -9},
    "below": {"align": "center", "dy": 9},
}


def place_labels(
    points: NDArray[np.float64],
    labels: Iterable[tuple[int, str]],
    size: tuple[float, float],
    n: int,
) -> dict[int, str]:
    """The side on which each label stands, by the number of its point; labels without room are left out.

    points: (n_points, 2) pixels from the left and from the bottom. labels: numbers of points with texts, the most
    important first. size: of the chart. n: the most labels.
    """
    placed: dict[int, str] = {}
    boxes: list[tuple[float, float, float, float]] = []
    for number, text in labels:
        if len(placed) == n:
            break
        for side in SIDES:
            box = box_of(points[number], text, side)
            if is_inside(box, size) and not any(overlap(box, other) for other in boxes) and not covers(box, points):
                placed[number] = side
                boxes.append(box)
                break
    return placed


def box_of(point: Sequence[float] | NDArray[np.float64], text: str, side: str) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a label at a side of a point, or on it, in pixels."""
    x, y = point
    width = 6.7 * len(text)
    left = {"right": x + GAP, "left": x - GAP - width}.get(side, x - width / 2)
    bottom = {"above": y + 3, "below": y - 3 - LINE}.get(side, y - LINE / 2)
    return left, bottom, left + width, bottom + LINE


def is_inside(box: tuple[float, float, float, float], size: tuple[float, float]) -> bool:
    """Whether a box lies in the chart."""
    return box[0] >= 0 and box[1] >= 0 and box[2] <= size[0] and box[3] <= size[1]


def overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    """Whether two boxes overlap."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def covers(box: tuple[float, float, float, float], points: NDArray[np.float64]) -> bool:
    """Whether a point lies in a box."""
    x, y = points.T
    return bool(np.any((x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])))
