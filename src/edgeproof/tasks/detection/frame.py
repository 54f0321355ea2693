"""A picture in a network's frame: placed, resampled and made a tensor, in one pass into one buffer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgeproof.imaging.decode import check_pixels
from edgeproof.tasks.detection.decoder import Form

# Detectors were trained on pictures that OpenCV made smaller without smoothing. Up to twice, Pillow's smoothing makes
# no difference to what is found; beyond, leaving pixels out does harm.
_GAP = 2.0


@dataclass(frozen=True)
class Place:
    """Where a picture lies in its frame.

    Attributes:
        scale: how much wider and higher the picture is there.
        offset: x and y of its upper left corner.
        size: width and height of the picture, in its own pixels.
    """

    scale: tuple[float, float]
    offset: tuple[int, int]
    size: tuple[int, int]

    def to_picture(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes (N, 4) of the frame in the picture's own pixels, clipped to it."""
        moved = (boxes - np.array(self.offset * 2, np.float32)) / np.array(self.scale * 2, np.float32)
        clipped: NDArray[np.float32] = np.clip(moved, 0, np.array(self.size * 2, np.float32))
        return clipped


def place(size: tuple[int, int], frame: tuple[int, int], form: Form) -> tuple[Place, tuple[int, int]]:
    """Where a picture of a width and height goes in a frame, and its width and height there."""
    (wide, high), (width, height) = size, frame
    if form.stretch:
        return Place((width / wide, height / high), (0, 0), size), frame
    scale = min(width / wide, height / high)
    scale = scale if form.enlarge else min(1.0, scale)
    inner = (max(1, min(width, round(wide * scale))), max(1, min(height, round(high * scale))))
    spare = (width - inner[0], height - inner[1])
    # 0.1 less than the half, so that of an odd number the larger part lies right and below, as it was in training.
    offset = (round(spare[0] / 2 - 0.1), round(spare[1] / 2 - 0.1)) if form.centred else (0, 0)
    return Place((inner[0] / wide, inner[1] / high), offset, size), inner


def free_frame(size: tuple[int, int], long_side: int, stride: int) -> tuple[int, int]:
    """A frame for a network of free size: the picture with its long side so long, sides rounded up to the stride."""
    scale = long_side / max(size)
    return (_up(size[0] * scale, stride), _up(size[1] * scale, stride))


def _up(length: float, stride: int) -> int:
    return max(1, math.ceil(round(length) / stride)) * stride


def tensor_of(
    pixels: NDArray[np.uint8],
    frame: tuple[int, int],
    form: Form,
    *,
    channels_last: bool = False,
    dtype: Any = np.float32,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], Place]:
    """A picture, uint8 (H, W, 3) RGB, as a network takes it.

    Arguments:
        frame: width and height of the network's input.
        channels_last: the network takes (height, width, 3), else (3, height, width).
        dtype: what it takes.
        out: an array of that shape and type to use again.

    Raises:
        InputError: not a picture.
    """
    check_pixels(pixels)
    where, inner = place((pixels.shape[1], pixels.shape[0]), frame, form)
    shape = (frame[1], frame[0], 3) if channels_last else (3, frame[1], frame[0])
    made = np.empty(shape, dtype) if out is None or out.shape != shape or out.dtype != dtype else out
    planes = made.transpose(2, 0, 1) if channels_last else made
    _fill_beside(planes, where.offset, inner, form)
    x, y = where.offset
    part = planes[:, y : y + inner[1], x : x + inner[0]]
    picture = _resized(pixels, inner)
    for channel in range(3):
        _normalised(picture[:, :, 2 - channel if form.bgr else channel], part[channel], form, channel)
    return made, where


def _normalised(values: NDArray[np.uint8], out: NDArray[Any], form: Form, channel: int) -> None:
    mean, std = form.mean[channel], form.std[channel]
    if std == 1.0:
        out[...] = values
    elif out.dtype == np.float32:
        # In two steps, each on what the other left in the cache: a product of two types goes through small buffers.
        out[...] = values
        out *= np.float32(1 / std)
    else:
        np.multiply(values, np.float32(1 / std), out=out, dtype=np.float32, casting="same_kind")
    if mean:
        out -= out.dtype.type(mean / std)


def _fill_beside(planes: NDArray[Any], offset: tuple[int, int], inner: tuple[int, int], form: Form) -> None:
    (x, y), (width, height) = offset, inner
    for plane, mean, std in zip(planes, form.mean, form.std, strict=True):
        value = (form.fill - mean) / std
        plane[:y], plane[y + height :] = value, value
        plane[y : y + height, :x], plane[y : y + height, x + width :] = value, value


def _resized(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if size == (pixels.shape[1], pixels.shape[0]):
        return pixels
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR, reducing_gap=_GAP))
