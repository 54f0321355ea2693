"""Boxes, their names and their points, drawn into a copy of a picture."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.imaging.decode import check_pixels

Corners = tuple[float, float, float, float]

# A label may be so much wider than its box.
_WIDER = 1.5
_LINE, _TEXT, _POINT = (0, 220, 90), (0, 30, 10), (255, 60, 60)


def draw(
    pixels: NDArray[np.uint8],
    boxes: NDArray[Any],
    labels: Sequence[str] = (),
    points: NDArray[Any] | None = None,
) -> NDArray[np.uint8]:
    """A copy of a picture with boxes drawn in; lines and letters grow with the picture.

    Arguments:
        pixels: uint8 (H, W, 3) RGB.
        boxes: (N, 4), xyxy in pixels; parts outside the picture are left out.
        labels: what is written on each box, as many as boxes or none. Letters that the font lacks become "?".
        points: (N, K, 2), xy in pixels: a dot each.

    Raises:
        InputError: not a picture.
    """
    from PIL import Image, ImageDraw

    check_pixels(pixels)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    brush, size = ImageDraw.Draw(image), image.size
    inside = [_inside(box, size) for box in np.asarray(boxes, np.float64)]
    for number, box in enumerate(inside):
        width = _line(box, size)
        brush.rectangle(box, outline=_LINE, width=width)
        for x, y in () if points is None else np.asarray(points[number], np.float64):
            brush.ellipse((x - width, y - width, x + width, y + width), fill=_POINT)
    # Names last, so that no box of a crowd hides one.
    for box, label in zip(inside, labels, strict=False):
        _write(brush, box, label, size)
    return np.asarray(image)


def _line(box: Corners, size: tuple[int, int]) -> int:
    """Thick enough to be seen in the whole picture, thin enough to leave something of a small face."""
    return max(1, round(min(max(size) / 400, (box[2] - box[0]) / 16)))


def _inside(box: NDArray[np.float64], size: tuple[int, int]) -> Corners:
    x1, y1, x2, y2 = np.clip(box, 0, [size[0] - 1, size[1] - 1] * 2)
    return float(x1), float(y1), float(max(x1, x2)), float(max(y1, y2))


def _write(brush: Any, box: Corners, label: str, size: tuple[int, int]) -> None:
    """The label above the box, or in its upper edge where there is no room above; none where it would hide others."""
    font = _font(max(10, round(min(max(size) / 45, (box[2] - box[0]) / 3))))
    text = _known(label)
    left, top, right, bottom = brush.textbbox((0, 0), text, font=font)
    high, wide = bottom - top + 4, right - left + 4
    if not text or right - left > _WIDER * (box[2] - box[0]):
        return
    x = min(max(0.0, box[0]), max(0, size[0] - wide))
    y = box[1] - high if box[1] >= high else box[1]
    brush.rectangle((x, y, x + wide, y + high), fill=_LINE)
    brush.text((x + 2 - left, y + 2 - top), text, fill=_TEXT, font=font)


@functools.lru_cache(maxsize=8)
def _font(side: int) -> Any:
    from PIL import ImageFont

    try:
        return ImageFont.load_default(side)
    except (OSError, ImportError):  # a Pillow without FreeType has one small font
        return ImageFont.load_default()


def _known(label: str) -> str:
    """The label in the letters of Pillow's own font, which has those of Western Europe."""
    return label.replace("\n", " ").encode("latin-1", errors="replace").decode("latin-1")
