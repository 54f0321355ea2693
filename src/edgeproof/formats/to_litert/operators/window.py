"""Where a sliding window begins and ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeproof.formats.graph import attribute
from edgeproof.formats.to_litert.builder import Builder, Known, Refused

SAME, VALID = 0, 1


@dataclass(frozen=True)
class Window:
    """A window of two axes; `extra` is how far rounding up (ceil_mode) reaches beyond the padding at the end."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    begins: tuple[int, int]
    ends: tuple[int, int]
    extra: tuple[int, int] = (0, 0)

    def padding(self, sizes: Sequence[int]) -> int | None:
        """TFLite's SAME or VALID where it says the same, else None.

        Source: tensorflow/lite/kernels/padding.h; of an odd SAME padding the end gets more.
        """
        ends = [end + extra for end, extra in zip(self.ends, self.extra, strict=True)]
        if not any((*self.begins, *ends)):
            return VALID
        same = [
            max((math.ceil(size / step) - 1) * step + (width - 1) * dilation + 1 - size, 0)
            for size, width, step, dilation in zip(
                sizes, self.kernel, self.strides, self.dilations, strict=True
            )
        ]
        fits = [
            (begin, end) == (total // 2, total - total // 2)
            for begin, end, total in zip(self.begins, ends, same, strict=True)
        ]
        return SAME if all(fits) else None


def window_of(builder: Builder, node: Any, kernel: Sequence[int], sizes: Sequence[int]) -> Window:
    """The window of a Conv or a pool over the spatial sizes of its input."""
    if len(kernel) != 2:
        raise Refused(f"it slides over {len(kernel)} axes; only pictures, of two, are written")
    strides = tuple(attribute(node, "strides", [1, 1]))
    dilations = tuple(attribute(node, "dilations", [1, 1]))
    reach = [(width - 1) * dilation + 1 for width, dilation in zip(kernel, dilations, strict=True)]
    kind = attribute(node, "auto_pad", "NOTSET")
    begins, ends, extra = [], [], [0, 0]
    if kind in ("SAME_UPPER", "SAME_LOWER"):
        for size, step, width in zip(sizes, strides, reach, strict=True):
            total = max((math.ceil(size / step) - 1) * step + width - size, 0)
            less, more = total // 2, total - total // 2
            begins.append(less if kind == "SAME_UPPER" else more)
            ends.append(more if kind == "SAME_UPPER" else less)
    else:
        pads = [0] * 4 if kind == "VALID" else list(attribute(node, "pads", [0] * 4))
        begins, ends = pads[:2], pads[2:]
    output = builder.shape(node.output[0])[2:]
    if attribute(node, "ceil_mode", 0):
        starts = (
            (count - 1) * step - begin for count, step, begin in zip(output, strides, begins, strict=True)
        )
        if any(start >= size for start, size in zip(starts, sizes, strict=True)):
            raise Refused("its last window lies in the padding (ceil_mode), which runtimes count differently")
        extra = [
            max((count - 1) * step + width - size - begin - end, 0)
            for count, step, width, size, begin, end in zip(
                output, strides, reach, sizes, begins, ends, strict=True
            )
        ]
    return Window(
        (kernel[0], kernel[1]),
        (strides[0], strides[1]),
        (dilations[0], dilations[1]),
        (begins[0], begins[1]),
        (ends[0], ends[1]),
        (extra[0], extra[1]),
    )


def padded(builder: Builder, number: int, window: Window, *, lowest: bool = False) -> int:
    """An NHWC tensor with the window's padding around it: zeros, or the lowest value of its type."""
    ends = [end + extra for end, extra in zip(window.ends, window.extra, strict=True)]
    pads = np.asarray([[0, 0], *zip(window.begins, ends, strict=True), [0, 0]], np.int32)
    if not pads.any():
        return number
    tensor = builder.graph.tensors[number]
    shape = [size + int(pad.sum()) for size, pad in zip(tensor.shape, pads, strict=True)]
    inputs = [number, builder.store(Known(pads), "pads")]
    if not lowest:
        return builder.step("PAD", inputs, shape, number)
    if tensor.dtype == "int8":
        least = builder.store(Known(np.asarray([-128], np.int8), tensor.quantisation), "lowest")
    else:
        # Not minus infinity: some delegates compute with the padding before they leave it out.
        least = builder.store(Known(np.asarray([np.finfo(np.float32).min], np.float32)), "lowest")
    return builder.step("PADV2", [*inputs, least], shape, number)
