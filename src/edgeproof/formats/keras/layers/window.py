"""Windows that slide over the axes of a picture: kernel, strides, dilations and padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgeproof.formats.keras.graph import Builder, Order, Shape, Value, channels_second, identity
from edgeproof.formats.keras.network import Layer


@dataclass(frozen=True)
class Picture:
    """Where a layer's axes are: the order that ONNX wants, the channels, and the others."""

    order: Order
    channels: int
    spatial: tuple[int, ...]

    def shape(self, value: Value, sizes: Sequence[int | None], channels: int | None) -> Shape:
        """A shape of other sizes and channels."""
        changed = list(value.shape)
        changed[self.channels] = channels
        for axis, size in zip(self.spatial, sizes, strict=True):
            changed[axis] = size
        return tuple(changed)

    def sizes(self, value: Value) -> list[int | None]:
        """The sizes of the axes that a window slides over."""
        return [value.shape[axis] for axis in self.spatial]


def picture_of(builder: Builder, layer: Layer, value: Value) -> Picture:
    """How a layer sees what it takes, by its `data_format`.

    Raises:
        ModelError: too few axes, or a number of channels that isn't known.
    """
    rank = len(value.shape)
    if not 3 <= rank <= 5:
        raise builder.error(f"takes a picture, and gets the shape {value.shape}")
    if (
        layer.settings.text("data_format", "channels_last", ("channels_last", "channels_first"))
        == "channels_last"
    ):
        return Picture(channels_second(rank), rank - 1, tuple(range(1, rank - 1)))
    return Picture(identity(rank), 1, tuple(range(2, rank)))


@dataclass(frozen=True)
class Window:
    """A window over some axes, and how ONNX is told of its padding."""

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    padding: dict[str, Any]
    sizes: list[int | None]


def window(
    builder: Builder,
    layer: Layer,
    sizes: Sequence[int | None],
    kernel: list[int],
    strides: list[int],
    dilations: list[int],
) -> Window:
    """Where a window begins and ends; of an odd "same" padding the end gets more.

    Source: tensorflow.org/api_docs/python/tf/nn, notes on padding. For an unknown size ONNX's own SAME_UPPER says the
    same at a run.

    Raises:
        ModelError: a padding that isn't known, or a window larger than what it slides over.
    """
    known = ("valid", "same", "causal")
    padding = layer.settings.text("padding", "valid", known)
    if padding == "causal" and len(kernel) > 1:
        raise builder.error("has causal padding for more than one axis")
    begins, ends, results = [], [], []
    free = smaller = False
    for size, width, step, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        reach = (width - 1) * dilation + 1
        if padding == "valid":
            total = 0
        elif padding == "causal":
            total = reach - 1
        elif size is not None:
            total = max((-(-size // step) - 1) * step + reach - size, 0)
        else:
            free = free or (step > 1 and reach > 1)
            total = reach - 1
        smaller = smaller or reach < step
        begins.append(total if padding == "causal" else total // 2)
        ends.append(0 if padding == "causal" else total - total // 2)
        result = None if size is None else (size + total - reach) // step + 1
        if result is not None and (result < 1 or size is None or size + total < reach):
            raise builder.error(f"slides a window of {reach} over {size}", "Give the network a larger input.")
        results.append(result)
    if free and smaller:
        # ONNX Runtime takes the negative padding of SAME_UPPER there as it is, and fails at the run.
        raise builder.error(
            f"slides a window of {kernel} by {strides} over a size that isn't known",
            "Save the network with a fixed input size.",
        )
    shown: dict[str, Any] = {"auto_pad": "SAME_UPPER"} if free else {"pads": begins + ends}
    return Window(kernel, strides, dilations, shown, results)
