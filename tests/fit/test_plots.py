from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproof.fit.plots import Point, Scale, Spread, positive_scale, scatter, spreads

latency = st.floats(1e-3, 1e5)


@given(st.lists(latency, min_size=1, max_size=20))
def test_a_scale_covers_its_values_and_has_round_ticks_within(values: list[float]) -> None:
    scale = positive_scale(values, 50.0, 450.0)
    assert all(scale.low <= value <= scale.high for value in values)
    ticks = scale.ticks()
    assert len(ticks) >= 2
    assert ticks == sorted(ticks)
    assert all(50.0 - 1e-6 <= scale.at(tick) <= 450.0 + 1e-6 for tick in ticks)


@pytest.mark.parametrize(
    ("values", "log"), [([4.0, 5.0], False), ([1.0, 30.0], True), ([], False), ([math.inf, math.nan], False)]
)
def test_the_axis_is_logarithmic_where_times_differ_widely(values: list[float], log: bool) -> None:
    assert positive_scale(values, 0.0, 1.0).log is log


@pytest.mark.parametrize("value", [-math.inf, math.inf, -5.0, 1e9])
def test_what_lies_beyond_an_axis_is_put_on_its_end(value: float) -> None:
    assert Scale(0.0, 10.0, 100.0, 0.0, log=False).at(value) in (0.0, 100.0)


def _point(i: int, x: float, y: float, state: str = "ok") -> Point:
    return Point(f"{i}", f"candidate {i}", x, y, (x * 0.9, math.inf), (-math.inf, y + 1.0), i, state)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(1.0, 50.0), st.floats(-2.0, 2.0)), min_size=1, max_size=10))
def test_no_two_labels_overlap(places: list[tuple[float, float]]) -> None:
    points = [_point(i, x, y) for i, (x, y) in enumerate(places)]
    drawn = scatter("a", "b", "c", points, [x for x, _ in places], limit=(1.0, "limit 1 %"), signed=True)
    labels = [
        (float(x), float(y)) for x, y in re.findall(r'class="label ok" x="([\d.]+)" y="([\d.]+)"', drawn)
    ]
    assert len(labels) == len(places)
    for i, (x, y) in enumerate(labels):
        assert all(abs(x - a) >= 7.0 or abs(y - b) >= 12.9 for a, b in labels[:i])


def test_the_chosen_one_is_drawn_last_and_the_limit_is_labelled() -> None:
    points = [_point(1, 3.0, 0.1, "chosen"), _point(2, 3.0, 0.1, "refused")]
    drawn = scatter("a <title>", "x", "y", points, [3.0], limit=(2.0, "limit 2 %"), signed=True)
    assert drawn.rindex("dot chosen") > drawn.rindex("dot refused")
    assert "limit 2 %" in drawn
    assert "a &lt;title&gt;" in drawn
    assert "nan" not in drawn


def test_nothing_to_draw_is_an_empty_plot() -> None:
    assert "<svg" in scatter("a", "x", "y", [], [])


def test_a_single_slow_run_among_thousands_can_be_seen() -> None:
    drawn = spreads([Spread("one", "one", [1.0] * 5000 + [80.0], [1.0], "ok")])
    boxes = re.findall(r"M([\d.]+) [\d.]+h[\d.]+v([\d.]+)", drawn)
    assert len(boxes) == 2
    assert all(float(height) >= 2.0 for _, height in boxes)
