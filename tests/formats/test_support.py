"""What a runtime can't take, by the names that the network gives its nodes."""

from __future__ import annotations

import sys

import pytest

from edgeproof.core.errors import UnknownNameError
from edgeproof.formats.support import RUNTIMES, supported_by

_NEEDS = {"openvino": "openvino", "opencv": "cv2"}


@pytest.fixture(params=["onnxruntime", "openvino", "opencv"])
def runtime(request):
    if request.param in _NEEDS:
        pytest.importorskip(_NEEDS[request.param])
    return request.param


def _sized(graphs, nodes, **options):
    model = graphs.model(nodes, {}, shape=(1, 3, 8, 8), **options)
    for axis, size in zip(model.graph.output[0].type.tensor_type.shape.dim, (1, 3, 8, 8), strict=True):
        axis.dim_value = size
    return model


def test_a_plain_network_is_taken(graphs, runtime):
    found = supported_by(_sized(graphs, [graphs.node("Relu", "x", "y")]), runtime)
    assert (found.verdict, found.nodes, found.reason) == ("ok", (), "")


@pytest.mark.parametrize(("name", "shown"), [("odd one", "odd one"), ("", "f")])
def test_a_node_of_an_unknown_operator_is_named(graphs, runtime, name, shown):
    fancy = graphs.node("Fancy", "r", "f", domain="acme", name=name)
    model = _sized(graphs, [graphs.node("Relu", "x", "r"), fancy, graphs.node("Relu", "f", "y")])
    model.opset_import.add(domain="acme", version=1)
    found = supported_by(model, runtime)
    assert found.verdict == "unsupported"
    assert [(node.node, node.operator) for node in found.nodes] == [(shown, "acme.Fancy")]
    assert "acme" in found.nodes[0].workaround
    assert ".cpp" not in found.reason, "no places in the runtime's own source"
    assert found.as_json()["nodes"]


@pytest.mark.parametrize("runtime", ["openvino", "opencv"])
def test_a_standard_operator_without_a_rule_is_named(graphs, runtime):
    pytest.importorskip(_NEEDS[runtime])
    model = _sized(graphs, [graphs.node("Det", "x", "d", name="det0"), graphs.node("Add", "x d", "y")])
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 8
    found = supported_by(model, runtime)
    assert [(node.node, node.operator) for node in found.nodes] == [("det0", "Det")]


@pytest.mark.parametrize("name", [name for name, attempt in RUNTIMES.items() if attempt is None])
def test_what_is_not_known_is_said(graphs, name):
    found = supported_by(graphs.model([graphs.node("Relu", "x", "y")], {}), name)
    assert found.verdict == "not known"
    assert name in found.reason


@pytest.mark.parametrize("name", _NEEDS)
def test_a_runtime_that_is_not_installed_says_how(graphs, monkeypatch, name):
    monkeypatch.setitem(sys.modules, _NEEDS[name], None)
    found = supported_by(graphs.model([graphs.node("Relu", "x", "y")], {}), name)
    assert found.verdict == "not known"
    assert f"edgeproof[{name}]" in found.reason


def test_a_slip_in_the_name_is_usage(graphs):
    with pytest.raises(UnknownNameError, match="openvino"):
        supported_by(graphs.model([graphs.node("Relu", "x", "y")], {}), "openvin")
