"""Orders of axes: TFLite keeps pictures as NHWC, ONNX as NCHW.

An order says for each axis of a TFLite tensor which axis of the ONNX tensor it is: (0, 2, 3, 1) for NHWC.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

Order = tuple[int, ...]
NHWC: Order = (0, 2, 3, 1)


def identity(rank: int) -> Order:
    """The order that ONNX has."""
    return tuple(range(rank))


def permuted(sizes: Sequence[int], order: Order) -> tuple[int, ...]:
    """A shape of ONNX as TFLite has it."""
    return tuple(sizes[axis] for axis in order)


def in_line(sizes: Sequence[int], order: Order) -> bool:
    """Whether the numbers lie in ONNX's order: axes of 1 don't count."""
    real = [axis for axis in order if sizes[axis] != 1]
    return real == sorted(real)


def without(order: Order, dropped: set[int]) -> Order:
    """The order of the axes that are left, counted again."""
    left = [axis for axis in order if axis not in dropped]
    return tuple(sorted(left).index(axis) for axis in left)


def reshaped(order: Order, before: Sequence[int], after: Sequence[int]) -> Order | None:
    """The order after a reshape that needs no transposing, or None where it does.

    ONNX's reshape splits and merges neighbouring axes. Where those that belong together lie together in TFLite's
    order too, the same can be done there.
    """
    if math.prod(before) == 0 or math.prod(before) != math.prod(after):
        return None
    parts = list(_parts(before, after))
    position = {axis: place for place, axis in enumerate(axis for axis in order if before[axis] != 1)}
    placed: list[tuple[int, int, list[int]]] = []
    last = -1
    for number, (given, made) in enumerate(parts):
        places = [position[axis] for axis in given if before[axis] != 1]
        if places and places != list(range(places[0], places[0] + len(places))):
            return None
        # Axes of 1 lie anywhere: they stay behind the axes that they follow in ONNX.
        last = places[0] if places else last
        placed.append((last, number, made))
    return tuple(axis for _, _, made in sorted(placed) for axis in made)


def _parts(before: Sequence[int], after: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
    """The shortest runs of axes of both shapes that hold the same numbers."""
    left = right = 0
    while left < len(before) or right < len(after):
        given, made = [], []
        many = wanted = 1
        if left < len(before):
            many, given, left = before[left], [left], left + 1
        if right < len(after):
            wanted, made, right = after[right], [right], right + 1
        while many != wanted:
            if many < wanted:
                many, given, left = many * before[left], [*given, left], left + 1
            else:
                wanted, made, right = wanted * after[right], [*made, right], right + 1
        yield given, made
