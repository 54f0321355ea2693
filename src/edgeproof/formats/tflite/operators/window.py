"""Where a sliding window begins and ends."""

from __future__ import annotations

from collections.abc import Sequence

from edgeproof.formats.tflite.builder import Builder

SAME, VALID = 0, 1
_LARGEST = 1 << 16


def same_padding(
    builder: Builder,
    padding: int,
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> list[int]:
    """ONNX's pads (begins, then ends) for SAME or VALID; of an odd SAME padding the end gets more.

    Source: tensorflow/lite/kernels/padding.h, and tensorflow.org/api_docs/python/tf/nn (notes on padding).

    Raises:
        ModelError: another padding, or a kernel, stride or dilation that isn't from 1 to 65,536.
    """
    given = [*kernel, *strides, *dilations]
    if padding not in (SAME, VALID) or not all(1 <= entry <= _LARGEST for entry in given):
        raise builder.error(
            f"has the kernel {list(kernel)}, strides {list(strides)}, dilations {list(dilations)}, padding {padding}"
        )
    if padding == VALID:
        return [0] * (2 * len(kernel))
    begins, ends = [], []
    for size, width, step, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        reach = (width - 1) * dilation + 1
        total = max((-(-size // step) - 1) * step + reach - size, 0)
        begins.append(total // 2)
        ends.append(total - total // 2)
    return begins + ends
