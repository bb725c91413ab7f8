"""Lassos: the page, SQL and an independent rule find the same cells."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

OFTEN = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
# Whole numbers make points on edges and corners, and horizontal edges.
NUMBER = st.integers(-5, 5).map(float) | st.floats(-6, 6, width=32)
POLYGON = st.lists(st.tuples(NUMBER, NUMBER), min_size=3, max_size=14)
POINTS = st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=40)


def flat(corners):
    return [value for corner in corners for value in corner]


def turns(corners, point):
    """How often the corners go around a point: the sum of the angles between one corner and the next."""
    ways = np.array([complex(*corner) - complex(*point) for corner in corners])
    return round(np.angle(np.roll(ways, -1) / ways).sum() / (2 * np.pi))


def distance(corners, point):
    """The distance of a point from the nearest edge."""
    starts = np.array([complex(*corner) for corner in corners])
    ways, z = np.roll(starts, -1) - starts, complex(*point)
    part = np.real((z - starts) * np.conj(ways)) / np.maximum(np.abs(ways) ** 2, 1e-300)
    return float(np.abs(z - starts - np.clip(part, 0, 1) * ways).min())


@OFTEN
@given(POLYGON, POINTS)
def test_a_point_is_inside_if_the_polygon_goes_around_it_an_odd_number_of_times(call_node, corners, points):
    clear = [point for point in points if distance(corners, point) > 1e-6]
    found = call_node("polygon.js", "pointsInside", flat(corners), [x for x, _ in clear], [y for _, y in clear])
    assert found == [i for i, point in enumerate(clear) if turns(corners, point) % 2]


@OFTEN
@given(POLYGON, POINTS)
def test_sql_finds_the_points_of_the_page(call_node, corners, points):
    """Those on edges, too."""
    x, y = (list(map(float, np.float32(values))) for values in zip(*points, strict=True))
    found = call_node("polygon.js", "pointsInside", flat(corners), x, y)
    condition = call_node("polygon.js", "insideSQL", flat(corners), "p.x", 'p."y"')
    rows = duckdb.sql(
        "FROM (SELECT unnest($x) AS x, unnest($y) AS y, unnest(range(len($x))) AS i) AS p "
        f"SELECT p.i WHERE {condition} ORDER BY p.i",
        params={"x": x, "y": y},
    ).fetchall()
    assert [i for (i,) in rows] == found


@OFTEN
@given(st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=300), st.floats(0.01, 2))
def test_a_path_keeps_the_corners_that_matter(call_node, path, tolerance):
    kept = call_node("polygon.js", "simplify", flat(path), tolerance)
    corners = list(zip(kept[::2], kept[1::2], strict=True))
    assert len(corners) <= 80
    assert (corners[0], corners[-1]) == (path[0], path[-1])
    places = iter(path)
    assert all(corner in places for corner in corners), "the corners are points of the path, in its order"
    if len(corners) < 60 and len(corners) > 1:
        assert all(distance(corners, point) <= tolerance + 1e-9 for point in path)


@OFTEN
@given(POLYGON, st.floats(1e-3, 1e5))
def test_an_address_holds_a_polygon(call_node, corners, extent):
    text = call_node("polygon.js", "writePolygon", flat(corners), extent)
    assert call_node("polygon.js", "readPolygon", text) == pytest.approx(flat(corners), abs=extent / 5000)


@pytest.mark.parametrize(
    "text", [None, "", "1,2,3,4", "1,2,3,4,5", "1,2,3,4,5,x", "1,2,3,4,5,", "1,2,3,4,5,Infinity", "1,2);--"]
)
def test_another_text_is_no_polygon(call_node, text):
    assert call_node("polygon.js", "readPolygon", text) is None


def test_colours_end_where_those_of_the_charts_end(call_node):
    from sigdb.findings.plots.embedding import colour_ends

    rng = np.random.default_rng(0)
    for n in (1, 2, 5, 100, 101, 777):
        scores = np.sort(np.where(rng.random(n) < 0.5, 0, rng.gamma(1, 2, n)))
        cells = rng.integers(1, 9, n)
        rows = [{"score": float(score), "n": int(each)} for score, each in zip(scores, cells, strict=True)]
        assert tuple(
            call_node("paint.js", "colourEnds", list(map(float, scores)), list(map(int, cells)), 99)
        ) == colour_ends(rows)
    assert call_node("paint.js", "colourEnds", [], [], 99) == [0, 1]
