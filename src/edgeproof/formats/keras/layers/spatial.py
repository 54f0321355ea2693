"""Layers that change a picture's size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeproof.formats.keras.graph import Builder, Value
from edgeproof.formats.keras.layers.window import Picture, picture_of
from edgeproof.formats.keras.network import Layer

# Where the centres of pixels lie on each other; tensorflow.org/api_docs/python/tf/image/resize.
_MODES = {
    "nearest": {
        "mode": "nearest",
        "coordinate_transformation_mode": "half_pixel",
        "nearest_mode": "round_prefer_ceil",
    },
    "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
}


def up_sampling(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """UpSampling1D and UpSampling2D: each pixel `size` times, or bilinear."""
    (value,) = inputs
    picture = picture_of(builder, layer, value)
    count = len(picture.spatial)
    factors = layer.settings.sizes("size", count, 2)
    sizes = [
        None if size is None else size * factor
        for size, factor in zip(picture.sizes(value), factors, strict=True)
    ]
    mode = layer.settings.text("interpolation", "nearest", tuple(_MODES))
    if mode == "nearest":  # the form of it that every runtime takes
        how = {
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        }
    else:
        how = _MODES[mode]
    scales = builder.weight(builder.floats([1, 1, *factors]))
    name = builder.one("Resize", builder.get(value, picture.order), "", scales, **how)
    return _put(builder, value, picture, name, sizes)


def resizing(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Resizing to `height` x `width`, without a filter against aliasing."""
    (value,) = inputs
    picture = picture_of(builder, layer, value)
    settings = layer.settings
    for name in ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"):
        if settings.flag(name, False):
            raise builder.error(f"has {name}, which isn't read", "Resize before the network.")
    channels = value.shape[picture.channels]
    wanted = [settings.integer(name, 0, low=1, high=1 << 16) for name in ("height", "width")]
    how = _MODES[settings.text("interpolation", "bilinear", tuple(_MODES))]
    source = builder.get(value, picture.order)
    if channels is None or len(picture.spatial) != 2:
        raise builder.error("takes a picture whose number of channels isn't known")
    scales = [_scale(old, new) for old, new in zip(picture.sizes(value), wanted, strict=True)]
    known = [scale for scale in scales if scale is not None]
    if len(known) == 2:
        name = builder.one("Resize", source, "", builder.weight(builder.floats([1, 1, *known])), **how)
        return _put(builder, value, picture, name, wanted)
    head = builder.one("Shape", source, end=1)
    target = builder.one("Concat", head, builder.integers([channels, *wanted]), axis=0)
    return _put(builder, value, picture, builder.one("Resize", source, "", "", target, **how), wanted)


def _scale(old: int | None, new: int) -> float | None:
    """A factor that makes one size into the other however precisely the product is taken: it is rounded down."""
    if old is None:
        return None
    factor = np.float32(new / old)
    higher = np.nextafter(factor, np.float32(np.inf))
    tried = (
        each for each in (factor, higher) if int(np.float32(old) * each) == int(old * float(each)) == new
    )
    return next((float(each) for each in tried), None)


def _put(builder: Builder, value: Value, picture: Picture, name: str, sizes: Sequence[int | None]) -> Value:
    return builder.put(name, picture.shape(value, sizes, value.shape[picture.channels]), picture.order)
