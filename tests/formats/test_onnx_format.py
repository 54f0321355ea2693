from __future__ import annotations

import numpy as np
import pytest

from edgeproof.core.errors import EdgeproofError, ModelError, NotFoundError, StorageError
from edgeproof.formats import onnx as load
from edgeproof.formats.onnx import load_model, save_model


@pytest.fixture
def small(graphs):
    conv = graphs.node("Conv", "x w", "y")
    return graphs.model([conv], {"w": graphs.weight(4, 3, 3, 3)})


def test_what_is_saved_is_what_is_loaded(small, tmp_path):
    save_model(small, tmp_path / "net.onnx")
    assert load_model(tmp_path / "net.onnx") == small
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: b"", "empty"),
        (lambda data: data[: len(data) // 2], "cut short"),
        (lambda data: data[:-1], "cut short"),
        (lambda data: b"\x89PNG\r\n\x1a\n" + bytes(100), "not an ONNX file"),
        (lambda data: b"not a network at all, just some text", "not an ONNX file"),
        (lambda data: bytes(64), "not an ONNX file"),
        (lambda data: b"\x08\x08", "no graph"),
        (lambda data: data.replace(b"Conv", b"Covn"), "breaks the rules"),
    ],
)
def test_a_file_that_is_no_network_is_a_typed_error(small, tmp_path, damage, says):
    path = tmp_path / "net.onnx"
    path.write_bytes(damage(small.SerializeToString()))
    with pytest.raises(ModelError, match=says) as caught:
        load_model(path)
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_every_cut_of_a_file_is_a_typed_error(small, tmp_path):
    data = small.SerializeToString()
    path = tmp_path / "net.onnx"
    for end in range(0, len(data), 7):
        path.write_bytes(data[:end])
        with pytest.raises(EdgeproofError):
            load_model(path)


def test_a_missing_file_and_a_folder_are_typed_errors(tmp_path):
    with pytest.raises(NotFoundError):
        load_model(tmp_path / "none.onnx")
    with pytest.raises(StorageError):
        load_model(tmp_path)


def test_a_file_over_the_limit_is_refused_before_it_is_read(small, tmp_path, monkeypatch):
    save_model(small, tmp_path / "net.onnx")
    monkeypatch.setattr(load, "_LARGEST", 100)
    with pytest.raises(ModelError, match="2 GB"):
        load_model(tmp_path / "net.onnx")
    with pytest.raises(ModelError, match="2 GB"):
        save_model(small, tmp_path / "other.onnx")
    assert not (tmp_path / "other.onnx").exists()


def test_nan_weights_are_refused(graphs, tmp_path):
    weight = graphs.weight(4, 3, 3, 3)
    weight[1, 1, 1, 1] = np.nan
    save_model(graphs.model([graphs.node("Conv", "x w", "y")], {"w": weight}), tmp_path / "net.onnx")
    with pytest.raises(ModelError, match="'w' holds NaN"):
        load_model(tmp_path / "net.onnx")
