"""Open sizes are given values everywhere they are named; what doesn't fit is a typed error."""

from __future__ import annotations

import pytest

from edgeproof.core.errors import ModelError, UnknownNameError, UsageError
from edgeproof.formats.fixed_shape import check_fixed, fed_inputs, fix_shapes, has_open_batch


def _sizes(entry):
    return [dim.dim_value or dim.dim_param for dim in entry.type.tensor_type.shape.dim]


def _model(graphs, shape=("N", 3, "H", "W"), **options):
    return graphs.model(
        [graphs.node("Relu", "x", "r"), graphs.node("Neg", "r", "y")], {}, shape=shape, **options
    )


@pytest.mark.parametrize(
    ("shapes", "batch", "wanted"),
    [
        ({}, None, ["N", 3, "H", "W"]),
        ({}, 1, [1, 3, "H", "W"]),
        ({"x": (2, 3, 8, 6)}, None, [2, 3, 8, 6]),
        ({"x": (2, 3, 8, 6)}, 1, [2, 3, 8, 6]),
        ({"x": ("N", 3, 8, 6)}, None, ["N", 3, 8, 6]),
        ({"x": ("N", 3, 8, 6)}, 1, [1, 3, 8, 6]),
    ],
)
def test_sizes_reach_the_outputs(graphs, shapes, batch, wanted):
    model = _model(graphs)
    fixed = fix_shapes(model, shapes, batch=batch)
    assert _sizes(fixed.graph.input[0]) == wanted
    sizes = _sizes(fixed.graph.output[0])
    assert [size for size in sizes if isinstance(size, int)] == [
        size for size in wanted if isinstance(size, int)
    ]
    assert _sizes(model.graph.input[0]) == ["N", 3, "H", "W"], "the network itself stays"


def test_the_fixed_network_runs(graphs):
    fixed = fix_shapes(_model(graphs), {"x": (1, 3, 4, 5)})
    (answer,) = graphs.run(fixed, graphs.pictures(1, 3, 4, 5))
    assert answer.shape == (1, 3, 4, 5)


@pytest.mark.parametrize(
    ("shape", "error", "says"),
    [
        ((1, 3, 8), UsageError, "4 axes"),
        ((1, 4, 8, 8), UsageError, "fixed size 3"),
    ],
)
def test_what_does_not_fit(graphs, shape, error, says):
    with pytest.raises(error, match=says):
        fix_shapes(_model(graphs), {"x": shape})


def test_a_slip_in_the_name(graphs):
    with pytest.raises(UnknownNameError, match="'y'"):
        fix_shapes(_model(graphs), {"y": (1, 3, 8, 8)})


def test_one_symbol_has_one_value(graphs):
    with pytest.raises(UsageError, match="size S is 9"):
        fix_shapes(_model(graphs, ("N", 3, "S", "S")), {"x": (1, 3, 8, 9)})


def test_sizes_that_the_operators_contradict(graphs):
    joined = graphs.node("Concat", "x w", "y", axis=1)
    model = graphs.model([joined], {"w": graphs.weight(1, 3, 8, 8)}, shape=(1, 3, "H", 8))
    with pytest.raises(ModelError, match="sizes"):
        fix_shapes(model, {"x": (1, 3, 9, 8)})


def test_stored_weights_are_no_inputs(graphs):
    model = graphs.model([graphs.node("Add", "x w", "y")], {"w": graphs.weight(1, 3, 8, 8)}, listed=True)
    assert [entry.name for entry in fed_inputs(model)] == ["x"]
    assert has_open_batch(model)
    assert not has_open_batch(fix_shapes(model, {}, batch=1))


def test_open_sizes_are_named(graphs):
    with pytest.raises(ModelError, match=r"ncnn.*x \(Nx3xHxW\)") as caught:
        check_fixed(_model(graphs), "ncnn")
    assert "--input-shape" in caught.value.hint
    check_fixed(_model(graphs, ("N", 3, 8, 8)), "ncnn")
