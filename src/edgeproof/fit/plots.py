"""The report's plots, as inline SVG that takes its colours from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

Range = tuple[float, float]

_WIDTH, _HEIGHT = 480.0, 330.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 14.0, 14.0, 44.0
_LETTER = 7.2  # width of a figure or letter at the labels' font size, the widest of the system fonts
_WIDE = 5.0  # times the smallest value; from there a linear axis squeezes the fast candidates together
_BINS = 150
# Where a label may stand from its marker: slantwise first, clear of the error bars; then further out.
_REACHES = (9.0, 17.0, 26.0, 38.0, 52.0, 68.0)
_SLANTS = ((0.9, -0.9), (-0.9, -0.9), (0.9, 0.9), (-0.9, 0.9))
_DIRECTIONS = (*_SLANTS, (1.0, 0.0), (-1.0, 0.0), (0.0, -1.0), (0.0, 1.0))


@dataclass(frozen=True)
class Point:
    """One candidate in a scatter plot.

    Attributes:
        label: beside the marker; short.
        detail: the whole story, shown on hover.
        x, y: its place, in the units of the axes.
        x_range, y_range: error bars, None for none; an infinite end reaches the edge of the plot.
        family: which marker, from 0; see `marker`.
        state: "chosen", "ok" or "refused" (drawn hollow).
    """

    label: str
    detail: str
    x: float
    y: float
    x_range: Range | None
    y_range: Range | None
    family: int
    state: str


@dataclass(frozen=True)
class Spread:
    """One candidate's raw latencies.

    Attributes:
        name: markup of the row's heading, escaped by the caller.
        detail: for who can't see the plot.
        values: in ms, all above 0.
        marks: latencies that get a line: the percentiles that may be told.
        state: "chosen", "ok" or "refused".
    """

    name: str
    detail: str
    values: Sequence[float]
    marks: Sequence[float]
    state: str


@dataclass(frozen=True)
class Scale:
    """From values to positions along one axis."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    def at(self, value: float) -> float:
        """The position of a value; what lies beyond the axis is put on its end."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values within the axis."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            fine = [step * 10.0**decade for decade in decades for step in (1, 2, 5)]
            inside = [value for value in fine if self.low <= value <= self.high]
            return inside if len(inside) <= 9 else [value for value in inside if f"{value:e}"[0] == "1"]
        rough = (self.high - self.low) / 5.0
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * 0.999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [count * step for count in range(first, last + 1)]


def positive_scale(values: Iterable[float], start: float, end: float) -> Scale:
    """A scale for values above 0: linear from 0, logarithmic where they differ widely."""
    known = [value for value in values if 0.0 < value < math.inf] or [1.0]
    low, high = min(known), max(known)
    if high > _WIDE * low:
        return Scale(low / 1.25, high * 1.15, start, end, log=True)
    return Scale(0.0, high * 1.08, start, end, log=False)


def _signed_scale(values: Iterable[float], start: float, end: float) -> Scale:
    known = [0.0, *(value for value in values if math.isfinite(value))]
    low, high = min(known), max(known)
    room = 0.08 * (high - low) or 1.0
    return Scale(low - room, high + room, start, end, log=False)


def scatter(
    title: str,
    x_title: str,
    y_title: str,
    points: Sequence[Point],
    xs: Iterable[float],
    *,
    limit: tuple[float, str] | None = None,
    signed: bool = False,
) -> str:
    """A scatter plot as an SVG element.

    Arguments:
        title: what it shows, for who can't see it.
        xs: what the x axis has to cover, so that several plots can share it.
        limit: a horizontal line, and its label.
        signed: whether y may be below 0; otherwise its axis starts at 0.
    """
    x = positive_scale(xs, _LEFT, _WIDTH - _RIGHT)
    heights = [end for point in points for end in (point.y, *(point.y_range or ()))]
    heights += [limit[0]] if limit else []
    bottom, top = _HEIGHT - _BOTTOM, _TOP
    if signed:
        y = _signed_scale(heights, bottom, top)
    else:
        y = Scale(
            0.0,
            1.1 * max((height for height in heights if height < math.inf), default=1.0),
            bottom,
            top,
            log=False,
        )
    parts = [*_axes(x, y, x_title, y_title)]
    if limit:
        place = y.at(limit[0])
        parts.append(
            f'<line class="limit" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{place:.1f}" y2="{place:.1f}"/>'
        )
        parts.append(
            f'<text class="limit" x="{_WIDTH - _RIGHT - 4}" y="{place - 5:.1f}" text-anchor="end">'
            f"{escape(limit[1])}</text>"
        )
    # The chosen one last, so that nothing covers it.
    ordered = sorted(points, key=lambda point: point.state == "chosen")
    parts += [_bars(point, x, y) for point in ordered]
    parts += [_dot(point, x, y) for point in ordered]
    parts += _labels(ordered[::-1], x, y, limit)
    return (
        f'<svg class="scatter" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def _axes(x: Scale, y: Scale, x_title: str, y_title: str) -> Iterable[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    for value in y.ticks():
        kind = "zero" if abs(value) < 1e-12 else "grid"
        yield f'<line class="{kind}" x1="{_LEFT}" x2="{right}" y1="{y.at(value):.1f}" y2="{y.at(value):.1f}"/>'
        yield f'<text class="tick" x="{_LEFT - 7}" y="{y.at(value) + 4:.1f}" text-anchor="end">{_tick(value)}</text>'
    for value in x.ticks():
        yield f'<line class="grid" x1="{x.at(value):.1f}" x2="{x.at(value):.1f}" y1="{_TOP}" y2="{bottom}"/>'
        yield f'<text class="tick" x="{x.at(value):.1f}" y="{bottom + 16}" text-anchor="middle">{_tick(value)}</text>'
    scale = " (logarithmic)" if x.log else ""
    yield f'<text class="axis" x="{right}" y="{_HEIGHT - 8}" text-anchor="end">{escape(x_title)}{scale}</text>'
    middle = (_TOP + bottom) / 2
    yield (
        f'<text class="axis" transform="translate(13 {middle:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_title)}</text>"
    )


def _tick(value: float) -> str:
    return f"{value:g}".replace("-", "−") if abs(value) > 1e-9 else "0"


def _bars(point: Point, x: Scale, y: Scale) -> str:
    parts = []
    across, down = x.at(point.x), y.at(point.y)
    if point.x_range:
        ends = [x.at(end) for end in point.x_range]
        parts.append(f"M{ends[0]:.1f} {down:.1f}H{ends[1]:.1f}")
    if point.y_range:
        ends = [y.at(end) for end in point.y_range]
        parts.append(f"M{across:.1f} {ends[0]:.1f}V{ends[1]:.1f}")
        parts += [f"M{across - 3:.1f} {end:.1f}h6" for end in ends]
    return f'<path class="bar {point.state} f{point.family % 4}" d="{"".join(parts)}"/>' if parts else ""


def _dot(point: Point, x: Scale, y: Scale) -> str:
    return marker(point.family, point.state, x.at(point.x), y.at(point.y), point.detail)


def marker(family: int, state: str, x: float, y: float, detail: str = "") -> str:
    """A candidate's marker: circle, square, diamond or triangle by family; a ring if chosen, hollow if refused."""
    r = 6.0 if state == "chosen" else 4.5
    shapes = (
        f"M-{r} 0a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 -{2 * r} 0Z",
        f"M-{0.9 * r} -{0.9 * r}h{1.8 * r}v{1.8 * r}h-{1.8 * r}Z",
        f"M0 -{1.25 * r}L{1.25 * r} 0L0 {1.25 * r}L-{1.25 * r} 0Z",
        f"M0 -{1.2 * r}L{1.2 * r} {r}H-{1.2 * r}Z",
    )
    hover = f"<title>{escape(detail)}</title>" if detail else ""
    ring = '<circle class="ring" r="11"/>' if state == "chosen" else ""
    return (
        f'<g class="dot {state} f{family % 4}" transform="translate({x:.1f} {y:.1f})">'
        f'{hover}{ring}<path d="{shapes[family % 4]}"/></g>'
    )


def legend(families: Sequence[str]) -> str:
    """What the markers mean, as an HTML list; `families` in the order of their numbers."""
    keys = [(family, "ok", name) for family, name in enumerate(families)]
    keys += [(0, "chosen", "ringed: chosen"), (0, "refused", "hollow: refused or failed")]
    items = (
        f'<li><svg class="key" viewBox="0 0 24 24" aria-hidden="true">{marker(family, state, 12.0, 12.0)}</svg> '
        f"{escape(name)}</li>"
        for family, state, name in keys
    )
    return f'<ul class="legend">{"".join(items)}</ul>'


def _labels(points: Sequence[Point], x: Scale, y: Scale, limit: tuple[float, str] | None) -> Iterable[str]:
    """Each label at the first place near its marker that is free; a thin line leads there from further off."""
    taken = []
    for point in points:
        side = 24.0 if point.state == "chosen" else 13.0
        taken.append(_box(x.at(point.x), y.at(point.y), side, side))
    if limit:
        width = _LETTER * len(limit[1])
        taken.append(_box(_WIDTH - _RIGHT - 4 - width / 2, y.at(limit[0]) - 7, width, 16.0))
    for point in points:
        width = _LETTER * len(point.label) + 2
        across, down = x.at(point.x), y.at(point.y)
        reach, (cx, cy) = _free_place(across, down, width, taken)
        taken.append(_box(cx, cy, width, 13.0))
        if reach > _REACHES[1]:
            yield f'<line class="leader" x1="{across:.1f}" y1="{down:.1f}" x2="{cx:.1f}" y2="{cy:.1f}"/>'
        yield (
            f'<text class="label {point.state}" x="{cx:.1f}" y="{cy + 4:.1f}" text-anchor="middle">'
            f"{escape(point.label)}</text>"
        )


def _free_place(
    across: float, down: float, width: float, taken: Sequence[tuple[float, float, float, float]]
) -> tuple[float, tuple[float, float]]:
    places = [
        (reach, (across + dx * (reach + width / 2), down + dy * (reach + 6.0)))
        for reach in _REACHES
        for dx, dy in _DIRECTIONS
    ]
    for reach, (cx, cy) in places:
        left, top, right, bottom = box = _box(cx, cy, width, 13.0)
        within = left > _LEFT and right < _WIDTH - 2 and top > 2 and bottom < _HEIGHT - _BOTTOM
        if within and not any(_overlap(box, other) for other in taken):
            return reach, (cx, cy)
    return places[0]  # nothing is free: better over a neighbour than not there


def _box(cx: float, cy: float, width: float, height: float) -> tuple[float, float, float, float]:
    return cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def spreads(rows: Sequence[Spread]) -> str:
    """The raw latencies of each candidate as a mirrored histogram, on one axis in ms, as HTML.

    The heights are each row's own. Every bin that holds a run can be seen: tails are not trimmed.
    """
    scale = positive_scale(
        (value for row in rows for value in (min(row.values), max(row.values))), 0.0, 1000.0
    )
    grid = "".join(f"M{scale.at(value):.1f} 0V40" for value in scale.ticks())
    lines = [
        f'<div class="spread {row.state}"><div class="name">{row.name}</div>'
        f'<svg viewBox="0 0 1000 40" preserveAspectRatio="none" role="img" aria-label="{escape(row.detail)}">'
        f'<title>{escape(row.detail)}</title><path class="grid" d="{grid}"/>'
        f'<path class="mass" d="{_mass(row.values, scale)}"/>'
        f'<path class="mark" d="{"".join(f"M{scale.at(value):.1f} 3V37" for value in row.marks)}"/></svg></div>'
        for row in rows
    ]
    ticks = "".join(
        f'<span style="left:{scale.at(value) / 10:.2f}%">{_tick(value)}</span>' for value in scale.ticks()
    )
    unit = "ms for one picture" + (" (logarithmic)" if scale.log else "")
    return (
        f'{"".join(lines)}<div class="spread" aria-hidden="true"><div class="name"></div>'
        f'<div class="ticks">{ticks}</div></div><p class="unit">{unit}</p>'
    )


def _mass(values: Sequence[float], scale: Scale) -> str:
    places = np.array([scale.at(value) for value in values])
    counts, _ = np.histogram(places, bins=_BINS, range=(0.0, 1000.0))
    width = 1000.0 / _BINS
    tallest = max(int(counts.max()), 1)
    boxes = []
    for bin, count in enumerate(counts.tolist()):
        if count:
            half = max(17.0 * count / tallest, 1.0)  # one run of thousands must not vanish
            boxes.append(f"M{bin * width:.1f} {20 - half:.1f}h{width:.1f}v{2 * half:.1f}h-{width:.1f}Z")
    return "".join(boxes)
