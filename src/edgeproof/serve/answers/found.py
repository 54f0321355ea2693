"""What all tasks that find something in a picture have in common: shares of its size, and how it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edgeproof.core.protocols import Pixels
from edgeproof.imaging.decode import Picture
from edgeproof.imaging.draw import draw

Row = dict[str, Any]


def with_shares(rows: Sequence[Row], picture: Picture) -> list[Row]:
    """Each row with `bbox_normalised`: its box as shares of the full picture's width and height, 0 to 1."""
    size = (picture.width, picture.height) * 2
    return [
        {
            **row,
            "bbox_normalised": [
                round(value / whole, 6) for value, whole in zip(row["bbox"], size, strict=True)
            ],
        }
        for row in rows
    ]


def enlargement(picture: Picture) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What takes x and y of a reduced picture to the full one: float32 (2,)."""
    high, wide = picture.pixels.shape[:2]
    return np.array([picture.width / wide, picture.height / high], np.float32)


def drawn(picture: Picture, rows: Sequence[Mapping[str, Any]], label: Callable[[Any], str]) -> Pixels:
    """The picture as it was decoded, with each row's box, what `label` says of it, and its landmarks."""
    scale = enlargement(picture)
    boxes = np.array([row["bbox"] for row in rows], np.float32).reshape(-1, 4) / np.tile(scale, 2)
    points = [row["kps"] for row in rows] if all(row.get("kps") for row in rows) else []
    marks = np.array(points, np.float32) / scale if points else None
    return draw(picture.pixels, boxes, [label(row) for row in rows], marks)
