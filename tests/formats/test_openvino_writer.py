"""A network written as OpenVINO IR: both files or none, weights as they are, the same answers."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from edgeproof.core.errors import MissingExtraError, ModelError, StorageError
from edgeproof.formats.to_openvino import write


@pytest.fixture
def model(graphs):
    nodes = [graphs.node("Conv", "x w", "c"), graphs.node("Relu", "c", "y")]
    return graphs.model(nodes, {"w": graphs.weight(4, 3, 3, 3)})


def test_it_answers_as_the_original(graphs, model, tmp_path):
    pytest.importorskip("openvino")
    from edgeproof.engines import open_engine

    path = tmp_path / "deep" / "net.xml"
    assert write(model, path) == ()
    assert sorted(file.name for file in path.parent.iterdir()) == ["net.bin", "net.xml"]
    assert path.with_suffix(".bin").stat().st_size >= 4 * 3 * 9 * 4, "float32 stays float32"
    x = graphs.pictures(2, 3, 8, 8)
    with open_engine(path, engine="openvino") as engine:
        assert [spec.name for spec in (*engine.inputs, *engine.outputs)] == ["x", "y"]
        np.testing.assert_allclose(engine.run({"x": x})["y"], graphs.run(model, x)[0], atol=1e-5)


def test_an_operator_that_it_lacks_leaves_nothing(graphs, tmp_path):
    pytest.importorskip("openvino")
    fancy = graphs.model([graphs.node("Fancy", "x", "y", domain="acme")], {})
    fancy.opset_import.add(domain="acme", version=1)
    with pytest.raises(ModelError, match="acme") as caught:
        write(fancy, tmp_path / "net.xml")
    assert ".cpp" not in caught.value.message
    assert not list(tmp_path.iterdir())


def test_without_openvino_it_says_what_to_install(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"edgeproof\[openvino\]"):
        write(model, tmp_path / "net.xml")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_not_ours(model, tmp_path):
    pytest.importorskip("openvino")
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError):
        write(model, tmp_path / "net.xml")


def test_nobody_is_told(model, tmp_path):
    pytest.importorskip("openvino_telemetry")  # what would tell, where it is installed
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    code = (
        "import onnx, pathlib, sys\n"
        "from edgeproof.formats.support import supported_by\n"
        "from edgeproof.formats.to_openvino import write\n"
        "model = onnx.load('net.onnx')\n"
        "assert supported_by(model, 'openvino').verdict == 'ok'\n"
        "write(model, pathlib.Path('net.xml'))\n"
        "assert not any(name.startswith('openvino_telemetry') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
