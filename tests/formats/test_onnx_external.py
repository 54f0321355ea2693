"""Weights beside an ONNX file: read from its own folder, and from nowhere else."""

from __future__ import annotations

import os

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeproof.core.errors import EdgeproofError, ModelError
from edgeproof.formats import onnx as load
from edgeproof.formats import read_network
from edgeproof.formats.onnx import load_model, one_onnx_file, save_model


@pytest.fixture
def small(graphs):
    conv = graphs.node("Conv", "x w", "y")
    return graphs.model([conv], {"w": graphs.weight(4, 3, 3, 3)})


@pytest.fixture
def split(small, tmp_path):
    """A network in two files; gives a function that changes where the weight is said to lie."""
    folder = tmp_path / "net"
    (folder / "parts").mkdir(parents=True)
    path = folder / "net.onnx"
    onnx.save(small, path, save_as_external_data=True, location="parts/data", size_threshold=0)

    def change(**entries):
        model = onnx.load(path, load_external_data=False)
        (tensor,) = model.graph.initializer
        for entry in list(tensor.external_data):
            if entry.key in entries:
                tensor.external_data.remove(entry)
        for key, value in entries.items():
            if value is not None:
                tensor.external_data.add(key=key, value=str(value))
        path.write_bytes(model.SerializeToString())
        return path

    change.path = path
    return change


def test_the_weights_become_part_of_the_network(split, graphs, tmp_path):
    assert one_onnx_file(split.path, tmp_path) == tmp_path / "net.onnx"
    model = load_model(split.path)
    assert model.graph.initializer[0].raw_data == graphs.weight(4, 3, 3, 3).tobytes()
    save_model(model, tmp_path / "one.onnx")
    assert one_onnx_file(tmp_path / "one.onnx", tmp_path / "none") == tmp_path / "one.onnx"
    assert load_model(tmp_path / "one.onnx") == model
    assert read_network(split.path).model.graph.initializer[0].raw_data == model.graph.initializer[0].raw_data


@pytest.mark.parametrize("location", ["./parts/data", "parts/data"])
def test_a_place_may_start_at_the_folder_itself(split, location):
    assert load_model(split(location=location)).graph.initializer[0].raw_data


def test_a_range_without_length_goes_to_the_end(split):
    assert load_model(split(offset=0, length=None)).graph.initializer[0].raw_data


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"location": "../../etc/passwd"}, "no file inside"),
        ({"location": "parts/../../secret"}, "no file inside"),
        ({"location": "/etc/passwd"}, "no file inside"),
        ({"location": "C:\\secret"}, "no file inside"),
        ({"location": "..\\secret"}, "no file inside"),
        ({"location": ""}, "no file inside"),
        ({"location": "a\0b"}, "no file inside"),
        ({"location": "parts//data"}, "no file inside"),
        ({"location": None}, "no file inside"),
        ({"location": "nothing"}, "isn't there"),
        ({"location": "."}, "isn't there"),
        ({"location": "parts"}, "no regular file"),
        ({"location": "net.onnx/data"}, "no folder"),
        ({"offset": 1}, "which has 432"),
        ({"length": 10**12}, "which has 432"),
        ({"offset": 10**18}, "which has 432"),
        ({"length": 4}, "is damaged|breaks the rules"),
        ({"offset": -4}, "offset of the weight 'w' is '-4'"),
        ({"length": "9" * 5000}, "length of the weight"),
        ({"length": "٣"}, "length of the weight"),
        ({"offset": "zero"}, "is 'zero'"),
    ],
)
def test_any_other_place_is_a_typed_error(split, entries, says):
    with pytest.raises(ModelError, match=says) as caught:
        load_model(split(**entries))
    assert caught.value.hint


@pytest.mark.parametrize("kind", ["link", "hard link", "linked folder", "pipe"])
def test_what_is_no_real_file_is_refused(split, tmp_path, kind):
    parts, secret = split.path.parent / "parts", tmp_path / "secret"
    secret.mkdir()
    (parts / "data").replace(secret / "data")
    if kind == "link":
        (parts / "data").symlink_to(secret / "data")
    elif kind == "hard link":
        (parts / "data").hardlink_to(secret / "data")
    elif kind == "linked folder":
        parts.rmdir()
        parts.symlink_to(secret)
    else:
        os.mkfifo(parts / "data")
    with pytest.raises(ModelError, match=r"link|no regular file"):
        load_model(split.path)


def test_many_weights_from_few_bytes_are_refused(graphs, tmp_path):
    weights = {f"w{number}": np.ones((64, 64), np.float32) for number in range(4)}
    nodes = [graphs.node("Conv", "x w", "y")]
    model = graphs.model(nodes, {"w": graphs.weight(4, 3, 3, 3), **weights})
    path = tmp_path / "net.onnx"
    onnx.save(model, path, save_as_external_data=True, location="data", size_threshold=1000)
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "offset":
                entry.value = "0"
    path.write_bytes(model.SerializeToString())
    assert load_model(path)  # four weights of one: half of what is there is never asked for
    (tmp_path / "data").write_bytes((tmp_path / "data").read_bytes()[: 64 * 64 * 4])
    with pytest.raises(ModelError, match="ask for 65536 bytes of data files that have 16384"):
        load_model(path)


def test_the_limit_holds_for_all_files_together(split, monkeypatch):
    monkeypatch.setattr(load, "_LARGEST", split.path.stat().st_size + 431)
    with pytest.raises(ModelError, match=r"limit"):
        load_model(split.path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    location=st.one_of(
        st.text(st.sampled_from("./adprst\\~%:"), max_size=12), st.just("parts/data"), st.text(max_size=8)
    ),
    offset=st.integers(-5, 500),
    length=st.one_of(st.none(), st.integers(-5, 500)),
)
def test_no_place_gives_anything_but_the_file_or_a_typed_error(split, location, offset, length):
    try:
        path = split(location=location, offset=offset, length=length)
    except (UnicodeEncodeError, ValueError):
        return  # protobuf can't hold it
    try:
        model = load_model(path)
    except EdgeproofError:
        return
    assert len(model.graph.initializer[0].raw_data) == 432
    split(location="parts/data", offset=0, length=432)


@pytest.mark.parametrize("opset", [9, 11, 13, 17])
def test_an_import_has_opset_13_or_later_and_shapes(graphs, tmp_path, opset):
    nodes = [graphs.node("Conv", "x w", "c"), graphs.node("Relu", "c", "y")]
    model = graphs.model(nodes, {"w": graphs.weight(4, 3, 3, 3)}, opset=opset)
    save_model(model, tmp_path / "net.onnx")
    imported = read_network(tmp_path / "net.onnx")
    assert imported.model.opset_import[0].version == max(13, opset)
    assert [value.name for value in imported.model.graph.value_info] == ["c"]
    assert bool(imported.notes) == (opset < 13)
    x = graphs.pictures(2, 3, 8, 8)
    assert np.array_equal(graphs.run(imported.model, x)[0], graphs.run(model, x)[0])
