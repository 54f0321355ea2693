"""The file itself: what is refused, what is left behind, what its parts are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproof.core.errors import ModelError, StorageError
from edgeproof.formats.tflite.schema import parse
from edgeproof.formats.to_litert import unsupported, write
from edgeproof.formats.to_litert.flatfile import Graph, Tensor, serialise
from edgeproof.formats.to_litert.layout import NHWC, in_line, permuted, reshaped, without


def test_all_nodes_that_cannot_be_written_are_named(graphs, tmp_path):
    nodes = [
        graphs.node("Erf", "x", "a", name="first"),
        graphs.node("Relu", "a", "b"),
        graphs.node("Det", "b", "c", name="second"),
        graphs.node("Erf", "c", "y"),
    ]
    path = tmp_path / "m.tflite"
    with pytest.raises(ModelError) as caught:
        write(graphs.model(nodes, {}, outputs={"y": 2}), path)
    for words in ("first (Erf: ", "second (Det: ", "y (Erf: "):
        assert words in caught.value.message
    assert "edgeproof ops" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_node_of_a_foreign_domain_is_named_and_those_behind_it_are_not(graphs, tmp_path):
    import onnx

    foreign = onnx.helper.make_node("Own", ["x"], ["a"], name="mine", domain="com.example")
    model = graphs.model(
        [foreign, graphs.node("Relu", "a", "b"), graphs.node("Conv", "b w", "y")],
        {"w": graphs.weight(4, 3, 3, 3)},
    )
    model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    with pytest.raises(
        ModelError, match=r"mine \(com\.example\.Own: the operator is com.example's own"
    ) as caught:
        write(model, tmp_path / "m.tflite")
    assert "Conv" not in caught.value.message
    assert [node.name for node, _ in unsupported(model)] == ["mine"]


def test_what_can_be_written_has_nothing_unsupported(graphs):
    assert unsupported(graphs.model([graphs.node("Relu", "x", "y")], {})) == []


def test_float16_arithmetic_is_refused(graphs, tmp_path):
    nodes = [
        graphs.node("Cast", "x", "a", to=10),
        graphs.node("Relu", "a", "b"),
        graphs.node("Cast", "b", "y", to=1),
    ]
    with pytest.raises(ModelError, match="computes in float16"):
        write(graphs.model(nodes, {}), tmp_path / "m.tflite")


def test_a_node_says_why(graphs, tmp_path):
    node = graphs.node("MaxPool", "x", "y", kernel_shape=[2, 2], dilations=[2, 2])
    with pytest.raises(ModelError, match=r"y \(MaxPool: its window is dilated\)"):
        write(graphs.model([node], {}), tmp_path / "m.tflite")


def test_computed_weights_are_refused(graphs, tmp_path):
    nodes = [graphs.node("Slice", "x b e", "w"), graphs.node("Conv", "x w", "y")]
    weights = {"b": np.asarray([0, 0, 0, 0]), "e": np.asarray([1, 3, 2, 2])}
    with pytest.raises(ModelError, match="weights are computed"):
        write(graphs.model(nodes, weights, shape=(1, 3, 8, 8)), tmp_path / "m.tflite")


def test_free_sizes_are_refused(graphs, tmp_path):
    model = graphs.model([graphs.node("Relu", "x", "y")], {}, shape=("N", 3, "height", 8))
    with pytest.raises(ModelError, match=r"Size 2 of the input 'x' is free \(height\)") as caught:
        write(model, tmp_path / "m.tflite")
    assert "fixed sizes" in caught.value.hint


def test_shapes_that_depend_on_values_are_refused(graphs, tmp_path):
    nodes = [graphs.node("NonZero", "x", "a"), graphs.node("Cast", "a", "y", to=1)]
    with pytest.raises(ModelError, match="depends on what comes in"):
        write(graphs.model(nodes, {}, outputs={"y": 2}), tmp_path / "m.tflite")


def test_a_batch_that_cannot_be_free_is_fixed_and_told(graphs, tmp_path):
    model = graphs.model([graphs.node("Slice", "x b e", "y")], {"b": np.asarray([0]), "e": np.asarray([1])})
    path = tmp_path / "m.tflite"
    notes = write(model, path)
    assert any("batch is fixed at 1" in note for note in notes)
    assert not any(tensor.free for tensor in parse("m", path.read_bytes()).tensors)


def test_outputs_keep_their_names(graphs, tmp_path):
    nodes = [
        graphs.node("Relu", "x", "a"),
        graphs.node("Identity", "a", "b"),
        graphs.node("Identity", "x", "c"),
        graphs.node("Identity", "w", "d"),
    ]
    model = graphs.model(nodes, {"w": np.ones(3, np.float32)}, outputs={"a": 4, "b": 4, "c": 4, "d": 1})
    path = tmp_path / "m.tflite"
    write(model, path)
    network = parse("m", path.read_bytes())
    assert [network.tensors[number].name for number in network.inputs] == ["x"]
    assert [network.tensors[number].name for number in network.outputs] == ["a", "b", "c", "d"]
    names = [tensor.name for tensor in network.tensors]
    assert len(set(names)) == len(names)


def test_the_network_given_is_not_changed(graphs, tmp_path):
    nodes = [graphs.node("Conv", "x w", "a"), graphs.node("Clip", "a", "y")]
    model = graphs.model(nodes, {"w": graphs.weight(4, 3, 3, 3)})
    before = model.SerializeToString()
    write(model, tmp_path / "m.tflite")
    assert model.SerializeToString() == before


def test_weights_lie_where_kernels_can_read_them(graphs, tmp_path):
    path = tmp_path / "m.tflite"
    weight = graphs.weight(4, 3, 3, 3)
    write(graphs.model([graphs.node("Conv", "x w", "y")], {"w": weight}), path)
    place = path.read_bytes().find(np.ascontiguousarray(weight.transpose(0, 2, 3, 1)).tobytes())
    assert place > 0
    assert place % 16 == 0


def test_the_same_network_gives_the_same_bytes(graphs, tmp_path):
    model = graphs.model([graphs.node("Conv", "x w", "y")], {"w": graphs.weight(4, 3, 3, 3)})
    for name in ("a", "b"):
        write(model, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_over_two_gigabytes_is_refused():
    # One stride of 0: a value of 3 GB that takes 4 bytes.
    value = np.broadcast_to(np.float32(0), (3 << 28,))
    with pytest.raises(ModelError, match="2 GB"):
        serialise(Graph([Tensor("w", value.shape, "float32", value)]))


def test_a_place_that_is_no_folder_is_refused(graphs, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        write(graphs.model([graphs.node("Relu", "x", "y")], {}), tmp_path / "file" / "m.tflite")


@pytest.mark.parametrize(
    ("order", "before", "after", "wanted"),
    [
        (NHWC, (1, 6, 4, 5), (1, 2, 3, 4, 5), (0, 3, 4, 1, 2)),
        (NHWC, (1, 6, 4, 5), (1, 6, 20), (0, 2, 1)),
        (NHWC, (1, 6, 1, 1), (1, 6), (0, 1)),
        (NHWC, (2, 6, 4, 5), (12, 20), None),
        (NHWC, (1, 6, 4, 5), (1, 120), None),
        ((0, 1, 2, 3), (1, 6, 4, 5), (1, 120), (0, 1)),
    ],
)
def test_a_reshape_is_carried_through_an_order_of_axes(order, before, after, wanted):
    assert reshaped(order, before, after) == wanted


@given(st.data())
def test_a_carried_reshape_moves_no_number(data):
    before = data.draw(st.lists(st.sampled_from([1, 2, 3, 4]), min_size=1, max_size=5))
    order = tuple(data.draw(st.permutations(range(len(before)))))
    after = data.draw(st.permutations(before))
    made = reshaped(order, before, after)
    if made is not None:
        values = np.arange(np.prod(before))
        stored = values.reshape(before).transpose(order)
        assert (stored.reshape(permuted(after, made)) == values.reshape(after).transpose(made)).all()


def test_axes_of_one_do_not_count():
    assert in_line((1, 6, 1, 1), NHWC)
    assert not in_line((1, 6, 4, 1), NHWC)
    assert without(NHWC, {2, 3}) == (0, 1)
    assert without(NHWC, {1}) == (0, 1, 2)
