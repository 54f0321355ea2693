from __future__ import annotations

import numpy as np
import pytest

from edgeproof.core.errors import ModelError
from edgeproof.formats.onnx import load_model
from edgeproof.optimize.simplify import simplify


def test_rules_work_on_what_other_rules_leave(graphs):
    # Constant node -> stored pads -> Identity gone -> Pad merged -> batch normalisation folded.
    pads = graphs.node("Constant", "", "p", value_ints=[0, 0, 0, 1, 0, 0, 2, 1])
    nodes = [
        pads,
        graphs.node("Pad", "x p", "a"),
        graphs.node("Identity", "a", "b"),
        graphs.node("Conv", "b w", "c"),
        graphs.node("BatchNormalization", "c s t m v", "d"),
        graphs.node("Dropout", "d", "y"),
        graphs.node("Relu", "x", "unused"),
    ]
    ones = np.ones(4, np.float32)
    weights = {"w": graphs.weight(4, 3, 3, 3), "s": ones * 2, "t": ones, "m": ones / 2, "v": ones * 3}
    model = graphs.model(nodes, weights)
    before = model.SerializeToString()
    result = simplify(model)
    assert model.SerializeToString() == before
    assert graphs.kinds(result.model) == {"Conv": 1}
    assert result.changed
    assert any("Pad" in note for note in result.notes)
    x = graphs.pictures(2, 3, 8, 8)
    np.testing.assert_allclose(graphs.run(result.model, x)[0], graphs.run(model, x)[0], atol=1e-5)
    assert result.model.graph.input == model.graph.input
    assert result.model.graph.output == model.graph.output


def test_what_is_simple_stays_equal(graphs):
    model = graphs.model([graphs.node("Conv", "x w", "y")], {"w": graphs.weight(4, 3, 3, 3)})
    result = simplify(model)
    assert not result.changed
    assert result.model == model
    assert result.notes == ("There was nothing to simplify.",)
    assert simplify(result.model).model == model


def test_a_network_that_breaks_the_rules_is_a_typed_error(graphs):
    model = graphs.model([graphs.node("Conv", "nowhere w", "y")], {"w": graphs.weight(4, 3, 3, 3)})
    with pytest.raises(ModelError, match="breaks the rules"):
        simplify(model)


def test_the_orientation_network_keeps_its_answers(graphs, shared):
    import onnxruntime

    model = load_model(shared / "weights" / "orientation.onnx")
    result = simplify(model)
    assert "Pad" not in graphs.kinds(result.model)
    assert len(result.model.opset_import) == 1
    x = np.random.default_rng(0).integers(0, 256, (2, 3, 192, 192)).astype(np.float32)
    old, new = (
        onnxruntime.InferenceSession(net.SerializeToString(), providers=["CPUExecutionProvider"]).run(
            None, {"input": x}
        )[0]
        for net in (model, result.model)
    )
    np.testing.assert_allclose(new, old, atol=1e-4)
