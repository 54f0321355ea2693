"""Any Pillow mode to 8-bit RGB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image


def to_rgb(image: Image) -> Image:
    """The picture in mode RGB.

    Transparent parts become white: that is what paper and most viewers show behind a cut-out, and black
    would swallow dark drawings. 16-bit grey is scaled from 0..65535, never clipped. 32-bit integers count
    as 16-bit (so Pillow holds 16-bit files) and floats as 0..1, each stretched from its lowest to its
    highest value where it goes beyond.
    """
    from PIL import Image as pil  # noqa: N813 - the class of the same name is the argument's type

    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        white = 1.0 if image.mode == "F" else 65535.0
        return pil.fromarray(_grey8(np.asarray(image), white)).convert("RGB")
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        white_page = pil.new("RGB", image.size, (255, 255, 255))
        white_page.paste(rgba, mask=rgba.getchannel("A"))
        return white_page
    return image.convert("RGB")


def _grey8(values: NDArray[np.generic], white: float) -> NDArray[np.uint8]:
    grey = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=white, neginf=0.0)
    low, high = 0.0, white
    if grey.min() < low or grey.max() > high:
        low, high = float(grey.min()), float(grey.max())
    grey -= low
    grey *= 255.0 / (high - low)
    return np.rint(grey).clip(0, 255).astype(np.uint8)
