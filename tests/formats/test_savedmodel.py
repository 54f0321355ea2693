"""SavedModels: what is refused before TensorFlow sees it, and one that TensorFlow itself wrote."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproof.core.errors import EdgeproofError, MissingExtraError, ModelError
from edgeproof.formats import format_of, read_network, savedmodel
from edgeproof.verify.importing import import_network

_SIGNATURES = ("serving_default", "__saved_model_init_op")


def _field(number: int, data: bytes) -> bytes:
    assert len(data) < 1 << 14
    size = bytes([len(data)]) if len(data) < 128 else bytes([len(data) & 127 | 128, len(data) >> 7])
    return bytes([number << 3 | 2]) + size + data


def _node(kind: str) -> bytes:
    return _field(1, b"node") + _field(2, kind.encode())


def _written(kinds: list[str], inner: list[str], signatures: tuple[str, ...] = _SIGNATURES) -> bytes:
    """A saved_model.pb with nodes in its graph, nodes in a function, and signatures."""
    function = b"".join(_field(3, _node(kind)) for kind in inner)
    graph = b"".join(_field(1, _node(kind)) for kind in kinds) + _field(2, _field(1, function))
    outputs = _field(2, _field(1, b"out"))
    named = b"".join(_field(5, _field(1, name.encode()) + _field(2, outputs)) for name in signatures)
    return b"\x08\x01" + _field(2, _field(2, graph) + named)


_PLAIN = _written(["Placeholder", "StatefulPartitionedCall", "SaveV2", "RestoreV2"], ["Conv2D", "Relu"])


def _folder(place: Path, data: bytes) -> Path:
    folder = place / "net"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(data)
    return folder


@pytest.mark.parametrize(
    "kind",
    [
        "ReadFile",
        "WriteFile",
        "MatchingFiles",
        "ImmutableConst",
        "PyFunc",
        "EagerPyFunc",
        "WholeFileReaderV2",
        "TFRecordDataset",
        "InitializeTableFromTextFileV2",
        "PrintV2",
        "DebugIdentityV2",
        "WriteSummary",
        "LoadAndRemapMatrix",
        "DecodeProtoV2",
        "Restore",
        "SaveSlices",
        "RemoteCall",
    ],
)
def test_operator_that_reaches_beyond_the_network_is_refused(kind: str, tmp_path: Path) -> None:
    folder = _folder(tmp_path, _written(["Placeholder"], ["Conv2D", kind]))
    with pytest.raises(ModelError, match=f"to files, Python or other machines: {kind}") as raised:
        read_network(folder)
    assert str(folder) in raised.value.message


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "there is no network in it"),
        (_PLAIN[:-10], "is no SavedModel, or it is damaged"),
        (b"GIF89a" * 20, "is no SavedModel"),
        (b"\x12\xff\xff\xff\xff\x07", "is damaged"),
        (_written(["Relu"], [], ("other",)), "no signature 'serving_default'; it has: other"),
        (_written(["Relu"], [], ()), "it has: none"),
    ],
)
def test_damaged_folder_is_refused(data: bytes, said: str, tmp_path: Path) -> None:
    folder = _folder(tmp_path, data)
    with pytest.raises(ModelError, match=said) as raised:
        read_network(folder)
    assert raised.value.hint


def test_without_tensorflow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    folder = _folder(tmp_path, _PLAIN)
    assert format_of(folder) == "savedmodel"
    with pytest.raises(MissingExtraError, match="needs the Python package tensorflow") as raised:
        read_network(folder)
    assert "edgeproof[tensorflow]" in raised.value.hint


def test_mutations_are_looked_through_or_refused(tmp_path: Path) -> None:
    folder = _folder(tmp_path, _PLAIN)
    chance = random.Random(4)
    errors = []
    for _ in range(2000):
        data = bytearray(_PLAIN)
        for _ in range(chance.choice((1, 1, 2, 8))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        (folder / "saved_model.pb").write_bytes(data)
        try:
            savedmodel.check_operators(folder)
        except EdgeproofError as error:
            errors.append(error)
    assert 200 < len(errors) < 2000
    assert all(error.hint for error in errors)


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None,
    reason="needs tensorflow, which the core and CI do without",
)
@pytest.mark.filterwarnings("default")
def test_what_tensorflow_wrote_answers_as_it_does(tmp_path: Path) -> None:
    import onnxruntime
    import tensorflow as tf

    kernel = np.random.default_rng(0).standard_normal((3, 3, 3, 4)).astype(np.float32)
    x = np.random.default_rng(1).standard_normal((1, 9, 9, 3)).astype(np.float32)

    class Net(tf.Module):
        def __init__(self) -> None:
            self.kernel = tf.Variable(kernel)

        @tf.function(input_signature=[tf.TensorSpec((None, 9, 9, 3), "float32", "picture")])
        def run(self, picture: Any) -> Any:
            wide = tf.nn.relu(tf.nn.conv2d(picture, self.kernel, 2, "SAME"))
            return {"wide": wide, "mean": tf.reduce_mean(wide, (1, 2))}

        @tf.function(input_signature=[tf.TensorSpec((None, 9, 9), "float32", "picture")])
        def odd(self, picture: Any) -> Any:
            return {"q": tf.linalg.qr(picture)[0]}

    net = Net()
    tf.saved_model.save(net, str(tmp_path / "net"), signatures=net.run)
    network = read_network(tmp_path / "net")
    session = onnxruntime.InferenceSession(
        network.model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    wanted = net.run(x)
    names = [each.name for each in session.get_outputs()]
    assert sorted(names) == ["mean", "wide"]
    for name, found in zip(names, session.run(None, {"picture": x}), strict=True):
        np.testing.assert_allclose(found, wanted[name].numpy(), rtol=1e-4, atol=1e-5)

    check = import_network(tmp_path / "net", tmp_path / "net.onnx").check
    assert (check.verdict, check.inputs) == ("ok", 3)
    assert sorted(found.output for found in check.differences) == ["mean", "wide"]

    tf.saved_model.save(net, str(tmp_path / "odd"), signatures=net.odd)
    with pytest.raises(ModelError, match=r"TensorFlow can't convert it: .*Qr"):
        read_network(tmp_path / "odd")
