"""Windows, sizes and ranges of any kind, against ONNX Runtime."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from edgeproof.core.errors import ModelError
from edgeproof.formats.to_litert import write

FEW = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))
SIDES = st.tuples(st.integers(5, 9), st.integers(5, 9))
PADDING = st.one_of(
    st.lists(st.integers(0, 2), min_size=4, max_size=4),
    st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]),
)


def where(padding):
    return {"pads": padding} if isinstance(padding, list) else {"auto_pad": padding}


@FEW
@given(
    sides=SIDES,
    kernel=PAIR,
    strides=PAIR,
    dilations=st.sampled_from([(1, 1), (2, 2), (1, 2)]),
    padding=PADDING,
    shape=st.sampled_from([(1, 4, 5), (4, 4, 4), (4, 4, 8), (2, 4, 6)]),
    bias=st.booleans(),
    xnnpack=st.booleans(),
)
def test_convolutions(agree, graphs, sides, kernel, strides, dilations, padding, shape, bias, xnnpack):
    assume(dilations == (1, 1) or not str(padding).startswith("SAME"))  # ONNX Runtime has no such kernel
    groups, channels, made = shape
    weights = {"w": graphs.weight(made, channels // groups, *kernel)}
    if bias:
        weights["b"] = graphs.weight(made, seed=2)
    node = graphs.node(
        "Conv",
        "x w b" if bias else "x w",
        "y",
        group=groups,
        strides=strides,
        dilations=dilations,
        **where(padding),
    )
    model = graphs.model([node], weights, shape=("N", channels, *sides))
    x = graphs.pictures(2, channels, *sides)
    written = agree(model, {"x": x}, xnnpack=xnnpack)
    assert written.kinds["DEPTHWISE_CONV_2D" if groups == channels else "CONV_2D"] == 1
    assert written.kinds["PAD"] <= 1


@FEW
@given(
    sides=SIDES,
    kernel=PAIR,
    strides=PAIR,
    dilations=st.sampled_from([(1, 1), (2, 1)]),
    pads=st.lists(st.integers(0, 1), min_size=4, max_size=4),
    extra=st.tuples(st.integers(0, 1), st.integers(0, 1)),
    groups=st.sampled_from([1, 2, 4]),
    xnnpack=st.booleans(),
)
def test_transposed_convolutions(
    agree, graphs, sides, kernel, strides, dilations, pads, extra, groups, xnnpack
):
    assume(all(more < step for more, step in zip(extra, strides, strict=True)))
    node = graphs.node(
        "ConvTranspose",
        "x w b",
        "y",
        strides=strides,
        dilations=dilations,
        pads=pads,
        output_padding=extra,
        group=groups,
    )
    weights = {"w": graphs.weight(4, 3, *kernel), "b": graphs.weight(3 * groups, seed=2)}
    model = graphs.model([node], weights, shape=("N", 4, *sides))
    written = agree(model, {"x": graphs.pictures(1, 4, *sides)}, xnnpack=xnnpack)
    assert any("batch is fixed at 1" in note for note in written.notes)


def _ends_in_padding(side, kernel, stride, begin, end):
    """Whether the last window, rounded up, would begin behind the picture."""
    return math.ceil((side + begin + end - kernel) / stride) * stride >= side + begin


@FEW
@given(
    kind=st.sampled_from(["MaxPool", "AveragePool"]),
    sides=SIDES,
    kernel=PAIR,
    strides=PAIR,
    padding=PADDING,
    ceil=st.booleans(),
    counted=st.booleans(),
    xnnpack=st.booleans(),
)
def test_pools(agree, graphs, kind, sides, kernel, strides, padding, ceil, counted, xnnpack):
    if isinstance(padding, list):
        assume(all(padding[place] < kernel[place % 2] for place in range(4)))
        axes = zip(sides, kernel, strides, padding[:2], padding[2:], strict=True)
        assume(not ceil or not any(_ends_in_padding(*axis) for axis in axes))
    elif padding != "VALID":  # ONNX Runtime has no such pool
        assume(all(step <= size for step, size in zip(strides, kernel, strict=True)))
    more = {"count_include_pad": int(counted)} if kind == "AveragePool" else {}
    if isinstance(padding, list):
        more["ceil_mode"] = int(ceil)
    node = graphs.node(kind, "x", "y", kernel_shape=kernel, strides=strides, **where(padding), **more)
    model = graphs.model([node], {}, shape=("N", 3, *sides))
    agree(model, {"x": graphs.pictures(2, 3, *sides)}, xnnpack=xnnpack)


@FEW
@given(
    sides=SIDES,
    factors=st.tuples(st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0]), st.sampled_from([0.5, 1.0, 2.0, 2.5])),
    by_size=st.booleans(),
    mode=st.sampled_from(["nearest", "linear"]),
    mapping=st.sampled_from(["asymmetric", "half_pixel", "align_corners", "pytorch_half_pixel"]),
    rule=st.sampled_from(["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]),
    xnnpack=st.booleans(),
)
def test_resizes(agree, graphs, sides, factors, by_size, mode, mapping, rule, xnnpack):
    sizes = [math.floor(side * factor) for side, factor in zip(sides, factors, strict=True)]
    whole = all(size == side * factor for size, side, factor in zip(sizes, sides, factors, strict=True))
    assume(by_size or whole)
    more = {"nearest_mode": rule} if mode == "nearest" else {}
    if by_size:
        inputs, weights = "x - - s", {"s": np.asarray([1, 3, *sizes], np.int64)}
    else:
        inputs, weights = "x - s", {"s": np.asarray([1, 1, *factors], np.float32)}
    node = graphs.node("Resize", inputs, "y", mode=mode, coordinate_transformation_mode=mapping, **more)
    model = graphs.model([node], weights, shape=(1, 3, *sides))
    agree(
        model, {"x": graphs.pictures(1, 3, *sides)}, most=1e-4 if mode == "linear" else 0.0, xnnpack=xnnpack
    )


def test_a_last_window_in_the_padding_is_refused(graphs, tmp_path):
    """Runtimes differ in whether there is such a window at all."""
    node = graphs.node(
        "MaxPool", "x", "y", kernel_shape=[1, 3], strides=[1, 2], pads=[0, 1, 0, 2], ceil_mode=1
    )
    with pytest.raises(ModelError, match="last window"):
        write(graphs.model([node], {}, shape=(1, 3, 5, 5)), tmp_path / "m.tflite")


RANGE = st.tuples(st.integers(-9, 9), st.integers(-9, 12), st.sampled_from([1, 1, 2, 3, -1, -2]))


@FEW
@given(
    parts=st.dictionaries(st.sampled_from([1, 2, 3, -1]), RANGE, min_size=1),
    turn=st.booleans(),
    xnnpack=st.booleans(),
)
def test_slices(agree, graphs, parts, turn, xnnpack):
    assume(not {3, -1} <= parts.keys())
    sizes = (5, 6, 7)
    assume(all(len(range(*slice(*part).indices((0, *sizes)[axis]))) for axis, part in parts.items()))
    begins, ends, steps = (np.asarray(each, np.int64) for each in zip(*parts.values(), strict=True))
    weights = {"b": begins, "e": ends, "a": np.asarray(list(parts), np.int64), "s": steps}
    nodes = [graphs.node("Slice", "x b e a s", "y")]
    if turn:  # through the layout of pictures
        nodes = [
            graphs.node("MaxPool", "x", "p", kernel_shape=[1, 1]),
            graphs.node("Slice", "p b e a s", "y"),
        ]
    model = graphs.model(nodes, weights, shape=("N", *sizes))
    agree(model, {"x": graphs.pictures(2, *sizes)}, most=0.0, xnnpack=xnnpack)


@FEW
@given(data=st.data(), turn=st.permutations(range(4)))
def test_reshapes_behind_transposes(agree, graphs, data, turn):
    """Whatever is split and merged in whatever order, the numbers come out as ONNX has them."""
    sizes = [1, 4, 6, 2]
    turned = [sizes[axis] for axis in turn]
    factors = [
        factor for size in turned for factor in ((2, 2) if size == 4 else (3, 2) if size == 6 else (size,))
    ]
    cuts = data.draw(st.lists(st.booleans(), min_size=len(factors) - 1, max_size=len(factors) - 1))
    shape = [factors[0]]
    for factor, cut in zip(factors[1:], cuts, strict=True):
        shape = [*shape, factor] if cut else [*shape[:-1], shape[-1] * factor]
    nodes = [
        graphs.node("MaxPool", "x", "a", kernel_shape=[1, 1]),
        graphs.node("Transpose", "a", "b", perm=turn),
        graphs.node("Reshape", "b s", "c"),
        graphs.node("Transpose", "c", "y", perm=list(range(len(shape)))[::-1]),
    ]
    model = graphs.model(nodes, {"s": np.asarray(shape)}, shape=sizes, outputs={"y": len(shape)})
    agree(model, {"x": graphs.pictures(1, *sizes[1:])}, most=0.0)
