"""Names and layouts of one network in two formats: which input and output of the one is which of the other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edgeproof.core.errors import InputError
from edgeproof.core.tensor import Array, Tensors, TensorSpec


def feeds_for(wanted: Sequence[TensorSpec], given: Sequence[TensorSpec], feeds: Tensors) -> dict[str, Array]:
    """The feeds under the names of another format and in its layout: some put the channels last.

    Arguments:
        wanted: the inputs of the network to feed.
        given: the inputs that `feeds` were made for, in the same order.
        feeds: an array for each of `given`.

    Raises:
        InputError: they have another number of inputs.
    """
    if len(wanted) != len(given):
        raise InputError(
            f"One of the two networks has {len(wanted)} inputs and the other {len(given)}.",
            hint="They can't be given the same pictures, so nothing was compared.",
        )
    by_name = {spec.name for spec in wanted} == set(feeds)
    made = {}
    for spec, other in zip(wanted, given, strict=True):
        array = feeds[spec.name if by_name else other.name]
        made[spec.name] = array
        if not spec.accepts(array.shape) and array.ndim == 4:
            layouts = (array.transpose(0, 2, 3, 1), array.transpose(0, 3, 1, 2))
            fits = (layout for layout in layouts if spec.accepts(layout.shape))
            made[spec.name] = np.ascontiguousarray(next(fits, array))
    return made


def named_alike(outputs: Tensors, like: Tensors) -> dict[str, Array]:
    """`outputs` under the names of `like` and in its layout; by place where a format has no names of its own."""
    if set(outputs) == set(like):
        return {name: _laid_out_as(outputs[name], like[name].shape) for name in like}
    if len(outputs) != len(like):
        return dict(outputs)
    pairs = zip(like.items(), outputs.values(), strict=True)
    return {name: _laid_out_as(values, array.shape) for (name, array), values in pairs}


def _laid_out_as(array: Array, shape: tuple[int, ...]) -> Array:
    """`array` in another layout: with other axes of size 1, its channels elsewhere, or without empty rows."""
    if array.shape == shape:
        return array
    if [size for size in array.shape if size != 1] == [size for size in shape if size != 1]:
        return array.reshape(shape) if math.prod(array.shape) == math.prod(shape) else array
    if array.ndim == 4:
        for order in ((0, 3, 1, 2), (0, 2, 3, 1)):
            turned: Array = array.transpose(order)
            if turned.shape == shape:
                return turned
        if array.shape[:2] + array.shape[3:] == shape[:2] + shape[3:]:
            # OpenCV fills its table of detections up with zeros (DetectionOutput).
            rows = np.flatnonzero(array.any(axis=(0, 1, 3)))
            return array[:, :, : rows[-1] + 1 if rows.size else 0]
    return array
