"""Each operator, as LiteRT computes it and as its ONNX form does."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproof.formats import read_network
from formats.tflite.tflite_writer import Entry, Step, stored, write

SAME, VALID = 0, 1
PICTURE = (1, 7, 9, 4)
_noise = np.random.default_rng(7)


def _weight(*shape: int) -> Entry:
    return stored(_noise.standard_normal(shape).astype(np.float32))


def _ints(*values: Any) -> Entry:
    return stored(np.asarray(values, np.int32))


def _conv(padding: int, stride: int = 1, activation: int = 0, dilation: int = 1) -> dict[int, Any]:
    return {
        0: ("b", padding),
        1: ("i", stride),
        2: ("i", stride),
        3: ("b", activation),
        4: ("i", dilation),
        5: ("i", dilation),
    }


def _depthwise(padding: int, stride: int, multiplier: int) -> dict[int, Any]:
    return {
        0: ("b", padding),
        1: ("i", stride),
        2: ("i", stride),
        3: ("i", multiplier),
        4: ("b", 3),
        5: ("i", 1),
        6: ("i", 1),
    }


def _pool(padding: int, stride: int, width: int, height: int, activation: int = 0) -> dict[int, Any]:
    return {
        0: ("b", padding),
        1: ("i", stride),
        2: ("i", stride),
        3: ("i", width),
        4: ("i", height),
        5: ("b", activation),
    }


def _fused(activation: int) -> dict[int, Any]:
    return {0: ("b", activation)}


# name: operator, shape of the input, other inputs, shape of the output, options
ONE: dict[str, tuple[str, tuple[int, ...], list[Entry], tuple[int, ...], dict[int, Any] | None]] = {
    "conv": ("CONV_2D", PICTURE, [_weight(5, 3, 3, 4), _weight(5)], (1, 5, 7, 5), _conv(VALID)),
    "conv same": ("CONV_2D", PICTURE, [_weight(5, 3, 3, 4), _weight(5)], (1, 7, 9, 5), _conv(SAME, 1, 1)),
    "conv odd": ("CONV_2D", (1, 8, 6, 4), [_weight(5, 3, 3, 4), _weight(5)], (1, 4, 3, 5), _conv(SAME, 2, 3)),
    "conv dilated": (
        "CONV_2D",
        PICTURE,
        [_weight(5, 3, 3, 4), _weight(5)],
        (1, 7, 9, 5),
        _conv(SAME, 1, 2, 2),
    ),
    "conv grouped": ("CONV_2D", PICTURE, [_weight(6, 3, 3, 2), _weight(6)], (1, 7, 9, 6), _conv(SAME)),
    "depthwise": (
        "DEPTHWISE_CONV_2D",
        PICTURE,
        [_weight(1, 3, 3, 8), _weight(8)],
        (1, 4, 5, 8),
        _depthwise(SAME, 2, 2),
    ),
    "deconv same": (
        "TRANSPOSE_CONV",
        PICTURE,
        [_weight(5, 3, 3, 4)],
        (1, 14, 18, 5),
        {0: ("b", SAME), 1: ("i", 2), 2: ("i", 2)},
    ),
    "deconv valid": (
        "TRANSPOSE_CONV",
        PICTURE,
        [_weight(5, 2, 2, 4)],
        (1, 14, 18, 5),
        {0: ("b", VALID), 1: ("i", 2), 2: ("i", 2)},
    ),
    "dense": ("FULLY_CONNECTED", (3, 8), [_weight(5, 8), _weight(5)], (3, 5), _fused(1)),
    "dense of picture": ("FULLY_CONNECTED", PICTURE, [_weight(5, 252), _weight(5)], (1, 5), _fused(0)),
    "dense keeps axes": (
        "FULLY_CONNECTED",
        PICTURE,
        [_weight(5, 4), _weight(5)],
        (1, 7, 9, 5),
        {0: ("b", 0), 2: ("b", 1)},
    ),
    "add": ("ADD", PICTURE, [_weight(4)], PICTURE, _fused(3)),
    "sub": ("SUB", PICTURE, [_weight(1, 7, 9, 1)], PICTURE, _fused(0)),
    "mul": ("MUL", PICTURE, [_weight(9, 4)], PICTURE, _fused(2)),
    "div": ("DIV", PICTURE, [stored(np.float32([1, 2, -3, 4]))], PICTURE, _fused(0)),
    "maximum": ("MAXIMUM", PICTURE, [_weight(4)], PICTURE, None),
    "minimum": ("MINIMUM", PICTURE, [_weight(4)], PICTURE, None),
    **{
        kind.lower(): (kind, PICTURE, [], PICTURE, None)
        for kind in ("RELU", "RELU6", "RELU_N1_TO_1", "LOGISTIC", "TANH", "HARD_SWISH", "EXP")
    },
    "prelu": ("PRELU", PICTURE, [_weight(1, 1, 4)], PICTURE, None),
    "leaky relu": ("LEAKY_RELU", PICTURE, [], PICTURE, {0: ("f", 0.2)}),
    "softmax": ("SOFTMAX", PICTURE, [], PICTURE, {0: ("f", 0.7)}),
    "max pool": ("MAX_POOL_2D", PICTURE, [], (1, 4, 5, 4), _pool(SAME, 2, 3, 2)),
    "average pool": ("AVERAGE_POOL_2D", PICTURE, [], (1, 4, 5, 4), _pool(SAME, 2, 2, 3, 1)),
    "average of all": ("AVERAGE_POOL_2D", PICTURE, [], (1, 1, 1, 4), _pool(VALID, 1, 9, 7)),
    "mean": ("MEAN", PICTURE, [_ints(1, 2)], (1, 4), {0: ("b", 0)}),
    "mean kept": ("MEAN", PICTURE, [_ints(1, 2)], (1, 1, 1, 4), {0: ("b", 1)}),
    "mean of channels": ("MEAN", PICTURE, [_ints(-1)], (1, 7, 9), {0: ("b", 0)}),
    "sum": ("SUM", PICTURE, [_ints(1)], (1, 9, 4), {0: ("b", 0)}),
    "reshape": ("RESHAPE", PICTURE, [_ints(9, 28)], (9, 28), None),
    "squeeze": ("SQUEEZE", PICTURE, [], (7, 9, 4), None),
    "expand": ("EXPAND_DIMS", PICTURE, [_ints(1)], (1, 1, 7, 9, 4), None),
    "transpose": ("TRANSPOSE", PICTURE, [_ints(0, 2, 3, 1)], (1, 9, 4, 7), None),
    "concatenate": ("CONCATENATION", PICTURE, [_weight(1, 7, 9, 2)], (1, 7, 9, 6), {0: ("i", -1)}),
    "pack": ("PACK", PICTURE, [_weight(*PICTURE)], (1, 2, 7, 9, 4), {0: ("i", 2), 1: ("i", 1)}),
    "pad": ("PAD", PICTURE, [_ints([0, 0], [1, 2], [3, 0], [0, 1])], (1, 10, 12, 5), None),
    "pad with": (
        "PADV2",
        PICTURE,
        [_ints([0, 0], [1, 2], [3, 0], [0, 1]), stored(np.float32(-2))],
        (1, 10, 12, 5),
        None,
    ),
    "reflect": (
        "MIRROR_PAD",
        PICTURE,
        [_ints([0, 0], [1, 2], [3, 0], [0, 0])],
        (1, 10, 12, 4),
        {0: ("b", 0)},
    ),
    "symmetric": (
        "MIRROR_PAD",
        PICTURE,
        [_ints([0, 0], [1, 1], [1, 0], [0, 0])],
        (1, 9, 10, 4),
        {0: ("b", 1)},
    ),
    "strided slice": (
        "STRIDED_SLICE",
        PICTURE,
        [_ints(0, 1, -2, 0), _ints(1, -1, 0, 4), _ints(1, 2, -3, 1)],
        (1, 3, 3, 4),
        {0: ("i", 1), 1: ("i", 9), 4: ("i", 0)},
    ),
    "strided slice shrinks": (
        "STRIDED_SLICE",
        PICTURE,
        [_ints(0, 2, 0, 0), _ints(1, 3, 9, 4), _ints(1, 1, 1, 1)],
        (1, 9, 4),
        {0: ("i", 0), 1: ("i", 0), 4: ("i", 2)},
    ),
    "slice": ("SLICE", PICTURE, [_ints(0, 2, 1, 0), _ints(1, 3, -1, 2)], (1, 3, 8, 2), None),
    **{
        f"{kind} {mode}": (
            f"RESIZE_{kind}",
            PICTURE,
            [_ints(*size)],
            (1, *size, 4),
            {
                slot: ("b", value)
                for slot, value in zip((2, 3) if kind == "BILINEAR" else (0, 1), flags, strict=True)
            },
        )
        for kind in ("BILINEAR", "NEAREST_NEIGHBOR")
        for mode, flags in {"plain": (0, 0), "aligned": (1, 0), "centred": (0, 1)}.items()
        for size in ((14, 18),)
    },
    "bilinear down": ("RESIZE_BILINEAR", PICTURE, [_ints(4, 5)], (1, 4, 5, 4), {2: ("b", 0), 3: ("b", 1)}),
    "nearest down": (
        "RESIZE_NEAREST_NEIGHBOR",
        PICTURE,
        [_ints(4, 5)],
        (1, 4, 5, 4),
        {0: ("b", 0), 1: ("b", 1)},
    ),
    "space to depth": ("SPACE_TO_DEPTH", (1, 6, 8, 3), [], (1, 3, 4, 12), {0: ("i", 2)}),
    "gelu": ("GELU", PICTURE, [], PICTURE, {0: ("b", 0)}),
    "gelu by tanh": ("GELU", PICTURE, [], PICTURE, {0: ("b", 1)}),
    **{kind.lower(): (kind, PICTURE, [], PICTURE, None) for kind in ("ROUND", "SIN", "COS", "LOG_SOFTMAX")},
    "lrn": (
        "LOCAL_RESPONSE_NORMALIZATION",
        PICTURE,
        [],
        PICTURE,
        {0: ("i", 1), 1: ("f", 1.5), 2: ("f", 0.1), 3: ("f", 0.5)},
    ),
    "matrices": ("BATCH_MATMUL", PICTURE, [_weight(1, 7, 4, 5)], (1, 7, 9, 5), {0: ("b", 0), 1: ("b", 0)}),
    "matrices over": ("BATCH_MATMUL", PICTURE, [_weight(7, 5, 9)], (1, 7, 4, 5), {0: ("b", 1), 1: ("b", 1)}),
    "gather": ("GATHER", PICTURE, [_ints(3, 0, 3)], (1, 7, 9, 3), {0: ("i", 3), 1: ("i", 0)}),
    "gather table": ("GATHER", PICTURE, [_ints([2, 0], [1, 1])], (1, 7, 2, 2, 4), {0: ("i", 2), 1: ("i", 0)}),
    "tile": ("TILE", PICTURE, [_ints(1, 2, 1, 3)], (1, 14, 9, 12), None),
    "broadcast": ("BROADCAST_TO", (1, 7, 1, 4), [_ints(2, 7, 9, 4)], (2, 7, 9, 4), None),
    "depth to space": ("DEPTH_TO_SPACE", (1, 3, 4, 12), [], (1, 6, 8, 3), {0: ("i", 2)}),
}


def _file_of(name: str) -> tuple[bytes, tuple[int, ...]]:
    """A network of a 1x1 convolution, where it can be, the operator, and a product: so layouts meet."""
    kind, shape, others, after, options = ONE[name]
    tensors = [Entry(shape), *others, Entry(after)]
    inputs = list(range(len(others) + 1))
    end = len(tensors) - 1
    if kind == "TRANSPOSE_CONV":
        tensors.append(_ints(*after))
        inputs = [end + 1, 1, 0]
    steps = [Step(kind, inputs, [end], options)]
    if len(shape) == 4:
        channels = shape[3]
        tensors += [
            Entry(shape),
            stored(np.eye(channels, dtype=np.float32).reshape(channels, 1, 1, channels)),
        ]
        tensors += [stored(np.zeros(channels, np.float32))]
        source = len(tensors) - 3
        steps.insert(0, Step("CONV_2D", [source, source + 1, source + 2], [0], _conv(SAME)))
        return write(tensors, steps, [source], [end]), shape
    return write(tensors, steps, [0], [end]), shape


@pytest.mark.parametrize("name", ONE)
def test_operator_computes_what_litert_does(
    name: str, litert: Any, onnx_session: Any, tmp_path: Path
) -> None:
    data, shape = _file_of(name)
    picture = (3 * np.random.default_rng(3).standard_normal(shape)).astype(np.float32)
    file = tmp_path / "n.tflite"
    file.write_bytes(data)
    session = onnx_session(read_network(file).model)
    (ours,) = session.run(None, {session.get_inputs()[0].name: picture})
    (theirs,) = litert(data, [picture])
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_split_makes_every_part(litert: Any, onnx_session: Any, tmp_path: Path) -> None:
    tensors = [Entry(PICTURE), stored(np.int32(3)), Entry((1, 7, 9, 2)), Entry((1, 7, 9, 2))]
    data = write(tensors, [Step("SPLIT", [1, 0], [2, 3], {0: ("i", 2)})], [0], [2, 3])
    picture = np.random.default_rng(3).standard_normal(PICTURE).astype(np.float32)
    file = tmp_path / "n.tflite"
    file.write_bytes(data)
    ours = onnx_session(read_network(file).model).run(None, {"t0": picture})
    for mine, theirs in zip(ours, litert(data, [picture]), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def _compared(
    data: bytes, litert: Any, onnx_session: Any, file: Path, shape: tuple[int, ...] = PICTURE
) -> None:
    picture = (3 * np.random.default_rng(3).standard_normal(shape)).astype(np.float32)
    file.write_bytes(data)
    ours = onnx_session(read_network(file).model).run(None, {"t0": picture})
    for mine, theirs in zip(ours, litert(data, [picture]), strict=True):
        assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)


def test_the_largest_and_where_they_are(litert: Any, onnx_session: Any, tmp_path: Path) -> None:
    tensors = [Entry(PICTURE), stored(np.int32(2)), Entry((1, 7, 9, 2)), Entry((1, 7, 9, 2), "i4")]
    data = write(tensors, [Step("TOPK_V2", [0, 1], [2, 3])], [0], [2, 3])
    _compared(data, litert, onnx_session, tmp_path / "n.tflite")


def test_a_choice_between_two(litert: Any, onnx_session: Any, tmp_path: Path) -> None:
    tensors = [Entry(PICTURE), _weight(4), Entry(PICTURE, "b1"), Entry(PICTURE)]
    steps = [Step("GREATER", [0, 1], [2]), Step("SELECT_V2", [2, 0, 1], [3])]
    _compared(write(tensors, steps, [0], [3]), litert, onnx_session, tmp_path / "n.tflite")


@pytest.mark.parametrize("kind", ["PAD", "PADV2"])
def test_zeros_before_a_maximum_count(kind: str, litert: Any, onnx_session: Any, tmp_path: Path) -> None:
    # ONNX Runtime would take them for padding of its own, which a maximum leaves out.
    tensors = [Entry(PICTURE), Entry(PICTURE), Entry(PICTURE), Entry((1, 9, 11, 4)), Entry((1, 5, 6, 4))]
    tensors += [_ints([0, 0], [1, 1], [1, 1], [0, 0]), stored(np.float32(0))]
    steps = [
        Step("EXP", [0], [1]),
        Step("NEG", [1], [2]),
        Step(kind, [2, 5, 6] if kind == "PADV2" else [2, 5], [3]),
        Step("MAX_POOL_2D", [3], [4], _pool(SAME, 2, 2, 2)),
    ]
    _compared(write(tensors, steps, [0], [4]), litert, onnx_session, tmp_path / "n.tflite")


def test_a_cast_changes_the_type(onnx_session: Any, tmp_path: Path) -> None:
    file = tmp_path / "n.tflite"
    file.write_bytes(write([Entry((2, 3), "i4"), Entry((2, 3))], [Step("CAST", [0], [1])], [0], [1]))
    (made,) = onnx_session(read_network(file).model).run(None, {"t0": np.ones((2, 3), np.int32)})
    assert made.dtype == np.float32


def test_a_chain_of_pictures_keeps_one_transpose_at_each_end(tmp_path: Path) -> None:
    eye = stored(np.eye(4, dtype=np.float32).reshape(4, 1, 1, 4))
    steps = [
        Step("CONV_2D", [0, 1], [2], _conv(SAME)),
        Step("TRANSPOSE", [2, 3], [4]),  # as converters from PyTorch leave them: to NCHW, work, and back
        Step("LOGISTIC", [4], [5]),
        Step("TRANSPOSE", [5, 6], [7]),
        Step("ADD", [7, 2], [8], _fused(0)),
        Step("CONV_2D", [8, 1], [9], _conv(SAME)),
    ]
    turned = (1, 4, 7, 9)
    tensors = [Entry(PICTURE), eye, Entry(PICTURE), _ints(0, 3, 1, 2), Entry(turned), Entry(turned)]
    tensors += [_ints(0, 2, 3, 1), Entry(PICTURE), Entry(PICTURE), Entry(PICTURE)]
    file = tmp_path / "n.tflite"
    file.write_bytes(write(tensors, steps, [0], [9]))
    kinds = Counter(node.op_type for node in read_network(file).model.graph.node)
    assert kinds == {"Transpose": 2, "Conv": 2, "Sigmoid": 1, "Add": 1}
