"""What a runtime can't take, by the names that the network gives its nodes."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from edgeproof.core.errors import UnknownNameError
from edgeproof.formats.support import RUNTIMES, supported_by

_NEEDS = {"openvino": ["openvino"], "opencv": ["cv2"], "litert": ["flatbuffers"], "ncnn": ["ncnn", "pnnx"]}


@pytest.fixture(params=["onnxruntime", *_NEEDS])
def runtime(request):
    for library in _NEEDS.get(request.param, ()):
        pytest.importorskip(library)
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


def test_a_standard_operator_without_a_rule_is_named(graphs, runtime):
    if runtime == "onnxruntime":
        pytest.skip("it has them all")
    model = _sized(graphs, [graphs.node("Det", "x", "d", name="det0"), graphs.node("Add", "x d", "y")])
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 8
    found = supported_by(model, runtime)
    assert [(node.node, node.operator) for node in found.nodes] == [("det0", "Det")]


@pytest.mark.parametrize(
    ("name", "command"),
    [("ascend", "atc --model="), ("edgetpu", "edgetpu_compiler -s"), ("tensorrt", "trtexec --onnx=")],
)
def test_what_only_the_device_knows_says_how_to_ask_it(graphs, monkeypatch, name, command):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    found = supported_by(graphs.model([graphs.node("Relu", "x", "y")], {}), name)
    assert found.verdict == "not known"
    assert "not known here" in found.reason
    assert command in found.reason


def _fake_tensorrt(errors):
    """The part of TensorRT's Python package that reads an ONNX file."""
    parser = SimpleNamespace(
        parse_from_file=lambda path: not errors, num_errors=len(errors), get_error=errors.__getitem__
    )
    logger = SimpleNamespace(ERROR=1)
    builder = SimpleNamespace(create_network=lambda flags: None)
    return SimpleNamespace(
        Logger=type("Logger", (), {"ERROR": logger.ERROR, "__init__": lambda self, level: None}),
        Builder=lambda logger: builder,
        OnnxParser=lambda network, logger: parser,
    )


@pytest.mark.parametrize("place", [1, -1])
def test_tensorrt_names_nodes_by_their_place(graphs, monkeypatch, place):
    error = SimpleNamespace(node=lambda: place, desc=lambda: "No importer registered for op: Fancy")
    monkeypatch.setitem(sys.modules, "tensorrt", _fake_tensorrt([error]))
    nodes = [graphs.node("Relu", "x", "r"), graphs.node("Fancy", "r", "y", name="odd", domain="acme")]
    found = supported_by(graphs.model(nodes, {}), "tensorrt")
    assert (found.verdict, found.reason) == ("unsupported", "No importer registered for op: Fancy")
    assert [node.node for node in found.nodes] == ["odd"] * (place == 1)
    monkeypatch.setitem(sys.modules, "tensorrt", _fake_tensorrt([]))
    assert supported_by(graphs.model(nodes, {}), "tensorrt").verdict == "ok"


def test_tensorrt_without_a_gpu_is_not_known(graphs, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace())
    found = supported_by(graphs.model([graphs.node("Relu", "x", "y")], {}), "tensorrt")
    assert (found.verdict, "can't be asked" in found.reason) == ("not known", True)


def test_every_runtime_of_the_command_is_known():
    from edgeproof.cli import ops

    assert tuple(RUNTIMES) == ops._RUNTIMES


@pytest.mark.parametrize("name", ["openvino", "opencv"])
def test_a_runtime_that_is_not_installed_says_how(graphs, monkeypatch, name):
    monkeypatch.setitem(sys.modules, _NEEDS[name][0], None)
    found = supported_by(graphs.model([graphs.node("Relu", "x", "y")], {}), name)
    assert found.verdict == "not known"
    assert f"edgeproof[{name}]" in found.reason


def test_a_slip_in_the_name_is_usage(graphs):
    with pytest.raises(UnknownNameError, match="openvino"):
        supported_by(graphs.model([graphs.node("Relu", "x", "y")], {}), "openvin")
