"""Networks that are damaged, wrong or hostile, of each format; each function writes one and gives what to import."""

from __future__ import annotations

import collections
import io
import json
import os
import pickle
import random
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from formats.keras.keras_models import functional, layer, sequential

KERAS = Path(__file__).parent.parent / "formats" / "keras" / "files"
MARK = "PWNED"
# Protobuf: field 1, 2, 7 or 100 with a length of 2 GB, and nothing like it behind.
_TWO_GB = b"\xff\xff\xff\xff\x07" + bytes(200)
PROTOTXT = """
input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 3 } }
"""


class Payload:
    """A pickle of it makes a file in the current folder when it is loaded."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {MARK}",)


# Whole files, to be damaged


def onnx_network(change: Callable[[Any], None] = lambda _: None) -> bytes:
    """y = Relu(x) + w, after `change` of the ModelProto."""
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    info = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (1, 4)) for name in ("x", "y")]
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], name="first"),
        helper.make_node("Add", ["r", "w"], ["y"], name="last"),
    ]
    stored = [onnx.numpy_helper.from_array(np.ones(4, np.float32), "w")]
    graph = helper.make_graph(nodes, "g", info[:1], info[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    change(model)
    return bytes(model.SerializeToString())


def tflite_network(shape: tuple[int, ...] = (1, 4), kind: str = "RELU", *, cyclic: bool = False) -> bytes:
    """y = kind(EXP(x)); cyclic: the first takes what the second makes."""
    pytest.importorskip("flatbuffers", reason="flatbuffers, which isn't installed, writes it")
    from formats.tflite.tflite_writer import Entry, Step, write

    steps = [Step("ADD", [0, 2 if cyclic else 0], [1]), Step(kind, [1], [2])]
    return write([Entry(shape)] * 3, steps, [0], [2])


def _zip(members: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def keras_archive(architecture: Any = None, **members: bytes) -> bytes:
    """A .keras archive with another architecture or other members."""
    with zipfile.ZipFile(KERAS / "functional.keras") as archive:
        whole = {name: archive.read(name) for name in archive.namelist()}
    if architecture is not None:
        whole["config.json"] = json.dumps(architecture).encode()
    return _zip({**whole, **members}, zipfile.ZIP_DEFLATED)


def _field(number: int, data: bytes) -> bytes:
    assert len(data) < 1 << 14
    return bytes([number << 3 | 2, len(data) & 127 | 128, len(data) >> 7]) + data


def saved_model(kind: str, *, takes: str = "", in_function: bool = False) -> bytes:
    """A saved_model.pb of two nodes, "first" and "second", which takes it, and the usual signature."""
    first = _field(1, b"first") + _field(2, kind.encode()) + (_field(3, takes.encode()) if takes else b"")
    second = (
        _field(1, b"second") + _field(2, b"Relu") + _field(3, b"first:out:0" if in_function else b"first")
    )
    graph = b"".join(_field(3 if in_function else 1, node) for node in (first, second))
    if in_function:
        graph = _field(2, _field(1, _field(1, _field(1, b"inner")) + graph)) + _field(
            1, _field(2, b"Placeholder")
        )
    signature = _field(5, _field(1, b"serving_default") + _field(2, _field(2, _field(1, b"out"))))
    return b"\x08\x01" + _field(2, _field(2, graph) + signature)


def caffemodel(name: str, values: int) -> bytes:
    """The weights of one layer, so many floats."""
    blob = _field(5, np.ones(values, np.float32).tobytes())
    return b"\xa2\x06" + _field(1, _field(1, name.encode()) + _field(7, blob))[1:]


@cache
def torch_network(suffix: str) -> bytes:
    """A small network in each form in which PyTorch keeps one."""
    torch = pytest.importorskip("torch", reason="torch, which isn't installed, writes it")
    network, buffer = torch.nn.Sequential(torch.nn.Linear(4, 2)).eval(), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if suffix == ".pt2":
            torch.export.save(torch.export.export(network, (torch.zeros(1, 4),)), buffer)
        elif suffix == ".torchscript":
            torch.jit.save(torch.jit.script(network), buffer)
        else:
            torch.save(network.state_dict(), buffer, _use_new_zipfile_serialization=suffix == ".pt")
    return buffer.getvalue()


WHOLE: dict[str, Callable[[], bytes]] = {
    "net.onnx": onnx_network,
    "net.tflite": tflite_network,
    "net.h5": (KERAS / "functional.h5").read_bytes,
    "net.keras": (KERAS / "functional.keras").read_bytes,
    "net.caffemodel": lambda: caffemodel("conv", 112),
    "net/saved_model.pb": lambda: saved_model("Conv2D"),
    **{
        f"net{suffix}": lambda suffix=suffix: torch_network(suffix)
        for suffix in (".pt", ".pth", ".pt2", ".torchscript")
    },
}
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut": lambda data: data[: len(data) // 2],
    "png": lambda _: b"\x89PNG\r\n\x1a\n" + bytes(100),
    "text": lambda _: b"not a network at all, just some text\n" * 5,
    "noise": lambda _: random.Random(0).randbytes(3000),
    "zeros": lambda _: bytes(3000),
}


def put(folder: Path, name: str, data: bytes) -> Path:
    """Write a file, with the prototxt that a caffemodel needs beside it; gives what to import."""
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data)
    if file.suffix == ".caffemodel":
        file.with_suffix(".prototxt").write_text(PROTOTXT)
    return file.parent if file.name == "saved_model.pb" else file


# What is wrong with one format only


def _outside(location: str) -> bytes:
    def change(model: Any) -> None:
        (tensor,) = model.graph.initializer
        tensor.ClearField("raw_data")
        tensor.data_location = 1
        tensor.external_data.add(key="location", value=location)

    return onnx_network(change)


def _cycle(model: Any) -> None:
    model.graph.node[0].input[0] = "y"


def _operator(domain: str) -> bytes:
    def change(model: Any) -> None:
        model.graph.node[0].op_type, model.graph.node[0].domain = "Fancy", domain
        if domain:
            model.opset_import.add(domain=domain, version=1)

    return onnx_network(change)


def _huge_weight(model: Any) -> None:
    model.graph.initializer[0].dims[:] = [1 << 20, 1 << 20]


def _huge_constant(model: Any) -> None:
    from onnx import helper, numpy_helper

    graph, side = model.graph, 1 << 20
    graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array([side, side]), "size"))
    graph.node.insert(0, helper.make_node("ConstantOfShape", ["size"], ["w"]))
    for entry, size in ((graph.input[0], 1), (graph.output[0], side)):
        for axis in entry.type.tensor_type.shape.dim:
            axis.dim_value = size


def _huge_input(model: Any) -> None:
    for entry in (model.graph.input[0], model.graph.output[0]):
        entry.type.tensor_type.shape.dim[0].dim_value = 1 << 40


_INPUT = layer("InputLayer", "x", batch_input_shape=[None, 4])
_KERAS_CYCLE = functional(
    [_INPUT, layer("Add", "a", [["x", "b"]]), layer("ReLU", "b", [["a"]])], ["x"], ["b"]
)
_CAFFE_CYCLE = """
input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layer { name: "a" type: "Eltwise" bottom: "data" bottom: "b" top: "a" }
layer { name: "b" type: "ReLU" bottom: "a" top: "b" }
"""


def _caffe(folder: Path, text: str, weights: bytes = b"") -> Path:
    file = put(folder, "net.caffemodel", weights or caffemodel("conv", 112))
    file.with_suffix(".prototxt").write_text(text)
    return file


def _keras_weights_alone(folder: Path, architecture: Any) -> Path:
    (folder / "net.json").write_text(json.dumps(architecture))
    return put(folder, "net.h5", (KERAS / "sequential.weights.h5").read_bytes())


def _payload(folder: Path, *, as_zip: bool) -> Path:
    data = pickle.dumps(collections.OrderedDict(weight=Payload()), protocol=2)
    return put(
        folder, "net.pth", _zip({"archive/data.pkl": data, "archive/version": b"3"}) if as_zip else data
    )


def _torch_changed(folder: Path, suffix: str, change: Callable[[dict[str, bytes]], None]) -> Path:
    """PyTorch's own archive with other members in it, of the right checksums."""
    with zipfile.ZipFile(io.BytesIO(torch_network(suffix))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    return put(folder, f"net{suffix}", _zip(members))


def _program_cycle(members: dict[str, bytes]) -> None:
    (name,) = (name for name in members if name.endswith("models/model.json"))
    program = json.loads(members[name])
    (node,) = program["graph_module"]["graph"]["nodes"]
    node["inputs"][0]["arg"]["as_tensor"]["name"] = node["outputs"][0]["as_tensor"]["name"]
    members[name] = json.dumps(program).encode()


def _script_operator(members: dict[str, bytes]) -> None:
    for name, text in members.items():
        if name.endswith(".py"):
            members[name] = text.replace(b"torch.linear", b"torch.fancy")


BOMB = bytes(64 << 20)

# Name: what writes it, and a word of what has to be said.
ONE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "onnx: 2 GB length": (lambda f: put(f, "net.onnx", b"\x08\x08\x3a" + _TWO_GB), "damaged"),
    "onnx: cycle": (lambda f: put(f, "net.onnx", onnx_network(_cycle)), "rules of ONNX"),
    "onnx: unknown operator": (lambda f: put(f, "net.onnx", _operator("")), "Fancy"),
    "onnx: unknown operator of a domain": (lambda f: put(f, "net.onnx", _operator("acme")), "Fancy"),
    "onnx: weights in ../../etc/passwd": (
        lambda f: put(f, "net.onnx", _outside("../../etc/passwd")),
        "passwd",
    ),
    "onnx: weights in /etc/passwd": (lambda f: put(f, "net.onnx", _outside("/etc/passwd")), "passwd"),
    "onnx: huge weight": (lambda f: put(f, "net.onnx", onnx_network(_huge_weight)), "w"),
    "onnx: huge input": (lambda f: put(f, "net.onnx", onnx_network(_huge_input)), ""),
    "tflite: 2 GB length": (
        lambda f: put(f, "net.tflite", b"\x08\0\0\0TFL3\x0c\0\x0c\0\0\0\0\0\x04\0\x08\0" + _TWO_GB[:4] * 30),
        "net.tflite",
    ),
    "tflite: cycle": (lambda f: put(f, "net.tflite", tflite_network(cyclic=True)), "nothing makes before"),
    "tflite: unknown operator": (lambda f: put(f, "net.tflite", tflite_network(kind="WHERE")), "WHERE"),
    "keras: cycle": (lambda f: put(f, "net.keras", keras_archive(_KERAS_CYCLE)), "cycle"),
    "keras: unknown layer": (
        lambda f: put(f, "net.keras", keras_archive(sequential((4,), layer("Fancy")))),
        "Fancy",
    ),
    "keras: bytecode": (
        lambda f: put(
            f, "net.keras", keras_archive(sequential((4,), layer("Lambda", function=["4wEA", None, None])))
        ),
        "lambda",
    ),
    "keras: zip bomb": (lambda f: put(f, "net.keras", keras_archive(**{"config.json": BOMB})), "unpacks to"),
    "keras: huge layer": (
        lambda f: put(f, "net.keras", keras_archive(sequential((4,), layer("Dense", units=1 << 40)))),
        "dense",
    ),
    "h5: cycle": (lambda f: _keras_weights_alone(f, _KERAS_CYCLE), "cycle"),
    "h5: unknown layer": (lambda f: _keras_weights_alone(f, sequential((4,), layer("Fancy"))), "Fancy"),
    "h5: link to a file": (lambda f: put(f, "net.h5", (KERAS / "external_link.h5").read_bytes()), "net.h5"),
    "h5: values in a file": (
        lambda f: put(f, "net.h5", (KERAS / "external_storage.h5").read_bytes()),
        "net.h5",
    ),
    "caffe: 2 GB length": (lambda f: _caffe(f, PROTOTXT, b"\xa2\x06" + _TWO_GB), "claims 2147483647 bytes"),
    "caffe: cycle": (lambda f: _caffe(f, _CAFFE_CYCLE), "cycle"),
    "caffe: unknown layer": (lambda f: _caffe(f, PROTOTXT.replace("Convolution", "Fancy")), "Fancy"),
    "caffe: other weights": (lambda f: _caffe(f, PROTOTXT, caffemodel("conv", 100)), "conv"),
    "caffe: another name": (lambda f: _caffe(f, PROTOTXT, caffemodel("conv1", 112)), "conv1"),
    "caffe: cut text": (lambda f: _caffe(f, PROTOTXT[:-20]), "prototxt"),
    "caffe: no text": (lambda f: _caffe(f, ""), "prototxt"),
    "caffe: huge input": (lambda f: _caffe(f, PROTOTXT.replace("dim: 8", "dim: 999999")), "net.prototxt"),
    "caffe: huge layer": (lambda f: _caffe(f, PROTOTXT.replace("output: 4", "output: 999999999")), "conv"),
    "savedmodel: 2 GB length": (lambda f: put(f, "net/saved_model.pb", b"\x08\x01\x12" + _TWO_GB), "claims"),
    "savedmodel: Python": (lambda f: put(f, "net/saved_model.pb", saved_model("PyFunc")), "PyFunc"),
    "savedmodel: a file": (lambda f: put(f, "net/saved_model.pb", saved_model("ReadFile")), "ReadFile"),
    "savedmodel: cycle": (
        lambda f: put(f, "net/saved_model.pb", saved_model("Conv2D", takes="second:0")),
        "first",
    ),
    "savedmodel: cycle in a function": (
        lambda f: put(f, "net/saved_model.pb", saved_model("Conv2D", takes="second:y:0", in_function=True)),
        "first",
    ),
    "torch: cycle": (lambda f: _torch_changed(f, ".pt2", _program_cycle), "cycle"),
    "torch: unknown operator": (lambda f: _torch_changed(f, ".torchscript", _script_operator), "fancy"),
    "torch: payload": (lambda f: _payload(f, as_zip=False), "system"),
    "torch: payload in a zip": (lambda f: _payload(f, as_zip=True), "system"),
    **{
        f"torch: zip bomb {suffix}": (
            lambda f, suffix=suffix: put(
                f,
                f"net{suffix}",
                _zip({"archive/data.pkl": b".", "archive/data/0": BOMB}, zipfile.ZIP_DEFLATED),
            ),
            "unpack to",
        )
        for suffix in (".pt", ".pt2", ".torchscript")
    },
}

# Sound, but of a size that nothing can run: these may be imported, and must not be tried.
LARGE: dict[str, Callable[[Path], Path]] = {
    "onnx: huge constant": lambda f: put(f, "net.onnx", onnx_network(_huge_constant)),
    "tflite: huge tensor": lambda f: put(f, "net.tflite", tflite_network((1 << 15, 1 << 15, 64))),
    "keras: huge input": lambda f: put(
        f, "net.keras", keras_archive(sequential((1 << 20, 1 << 20), layer("ReLU")))
    ),
}
