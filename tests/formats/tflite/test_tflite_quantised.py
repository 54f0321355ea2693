"""Networks of 8 bits: as LiteRT computes them, to one step of the output."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproof.core.errors import ModelError
from edgeproof.formats import read_network
from formats.tflite.tflite_writer import Entry, Step, stored, write

SHAPE = (1, 7, 9, 4)
_CONV = {0: ("b", 0), 1: ("i", 1), 2: ("i", 1), 3: ("b", 1), 4: ("i", 1), 5: ("i", 1)}


def _network(dtype: str, *, per_channel: bool) -> bytes:
    """A convolution, a sum with its input, and both joined: every kind of quantised edge."""
    noise = np.random.default_rng(5)
    zero = 128 if dtype == "u1" else 0
    scales = [0.01, 0.02, 0.015, 0.03] if per_channel else [0.02]
    weight = (noise.integers(-127, 128, (4, 3, 3, 4)) + (zero if not per_channel else 0)).astype(dtype)
    bias = noise.integers(-500, 500, 4).astype(np.int32)
    source = Entry(SHAPE, dtype, scale=[0.05], zero=[zero + 3])
    middle = Entry(SHAPE, dtype, scale=[0.1], zero=[zero - 128])
    tensors = [
        source,
        stored(weight, scale=scales, zero=[0] * 4 if per_channel else [zero]),
        stored(bias, scale=[0.05 * scale for scale in scales], zero=[0] * len(scales)),
        middle,
        Entry(SHAPE, dtype, scale=[0.12], zero=[zero - 90]),
        Entry((1, 7, 9, 8), dtype, scale=[0.12], zero=[zero - 90]),
    ]
    steps = [
        Step("CONV_2D", [0, 1, 2], [3], _CONV),
        Step("ADD", [3, 0], [4], {0: ("b", 0)}),
        Step("CONCATENATION", [4, 4], [5], {0: ("i", 3), 1: ("b", 0)}),
    ]
    return write(tensors, steps, [0], [5])


@pytest.mark.parametrize(("dtype", "per_channel"), [("u1", False), ("i1", False), ("i1", True)])
def test_quantised_network(
    dtype: str, per_channel: bool, litert: Any, onnx_session: Any, tmp_path: Path
) -> None:
    data = _network(dtype, per_channel=per_channel)
    file = tmp_path / "n.tflite"
    file.write_bytes(data)
    imported = read_network(file)
    limits = np.iinfo(dtype)
    whole = np.random.default_rng(1).integers(limits.min, limits.max, SHAPE, endpoint=True).astype(dtype)
    zero = 128 if dtype == "u1" else 0
    real = ((whole.astype(np.float32) - (zero + 3)) * np.float32(0.05)).astype(np.float32)
    (ours,) = onnx_session(imported.model).run(None, {"t0": real})
    (theirs,) = litert(data, [whole])
    steps = np.abs(np.rint(ours / np.float32(0.12)) + zero - 90 - theirs)
    assert steps.max() <= 1
    assert (steps > 0).mean() < 0.05  # ties: TFLite rounds them up, ONNX to even
    # What saturating at the ends of 8 bits does anyway has no node, so that runtimes fuse the convolution.
    assert "Relu" not in Counter(node.op_type for node in imported.model.graph.node)
    assert any("t0 is float32" in note for note in imported.notes)


def test_half_weights_become_float(onnx_session: Any, tmp_path: Path) -> None:
    weight = np.random.default_rng(2).standard_normal((5, 8)).astype(np.float16)
    tensors = [Entry((1, 8)), stored(weight), Entry((5, 8)), Entry((1, 5))]
    steps = [Step("DEQUANTIZE", [1], [2]), Step("FULLY_CONNECTED", [0, 2], [3], {0: ("b", 0)})]
    file = tmp_path / "n.tflite"
    file.write_bytes(write(tensors, steps, [0], [3]))
    imported = read_network(file)
    assert [node.op_type for node in imported.model.graph.node] == ["Gemm"]
    x = np.ones((1, 8), np.float32)
    (made,) = onnx_session(imported.model).run(None, {"t0": x})
    np.testing.assert_allclose(made, x @ weight.astype(np.float32).T, rtol=1e-5)


def test_weights_of_8_bits_with_a_float_input(onnx_session: Any, tmp_path: Path) -> None:
    weight = np.random.default_rng(2).integers(-127, 127, (5, 8)).astype(np.int8)
    tensors = [Entry((1, 8)), stored(weight, scale=[0.1], zero=[0]), Entry((1, 5))]
    file = tmp_path / "n.tflite"
    file.write_bytes(write(tensors, [Step("FULLY_CONNECTED", [0, 1], [2], {0: ("b", 0)})], [0], [2]))
    x = np.ones((1, 8), np.float32)
    (made,) = onnx_session(read_network(file).model).run(None, {"t0": x})
    np.testing.assert_allclose(made, x @ (weight * np.float32(0.1)).T, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scale": [-0.1]}, "not a number above 0"),
        ({"scale": [float("nan")]}, "not a number above 0"),
        ({"scale": [0.1], "zero": [300]}, "zero point of tensor 1"),
        ({"scale": [0.1, 0.2, 0.3]}, "3 scales"),
    ],
)
def test_a_quantisation_that_cannot_be_is_refused(changes: Any, said: str, tmp_path: Path) -> None:
    tensors = [Entry((1, 8)), stored(np.zeros((5, 8), np.int8), **changes), Entry((1, 5))]
    file = tmp_path / "n.tflite"
    file.write_bytes(write(tensors, [Step("FULLY_CONNECTED", [0, 1], [2], {0: ("b", 0)})], [0], [2]))
    with pytest.raises(ModelError, match=said):
        read_network(file)
