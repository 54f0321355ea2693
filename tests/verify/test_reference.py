"""Originals that no engine runs: their own library does, apart from us, and never what is code."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.bad_networks import keras_archive
from edgeproof.core.errors import EngineError, ModelError
from edgeproof.core.tensor import TensorSpec
from edgeproof.formats import read_network
from edgeproof.formats.keras.original import architecture_to_run
from edgeproof.formats.onnx import save_model
from edgeproof.verify import reference
from edgeproof.verify.conversion import TOLERANCE, check_conversion
from edgeproof.verify.importing import import_network
from edgeproof.verify.reference import Reference
from formats.keras.keras_models import functional, layer, sequential

FILES = Path(__file__).parent.parent / "formats" / "keras" / "files"
needs_keras = pytest.mark.skipif(
    not importlib.util.find_spec("keras") or not any(map(importlib.util.find_spec, ("tensorflow", "torch"))),
    reason="keras with TensorFlow or PyTorch isn't installed (extra `keras`)",
)


@needs_keras
@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("functional.keras", ["classes", "mask"]),
        ("sequential.weights.h5", ["dense_2"]),
        ("named.keras", ["difference", "plain"]),
        ("inside.keras", ["inner", "sum"]),
        ("keras2.h5", ["inner", "sum"]),
    ],
)
def test_a_copy_is_compared_with_what_keras_answers(tmp_path: Path, name: str, outputs: list[str]) -> None:
    source = FILES / name
    if name == "sequential.weights.h5":
        source = tmp_path / name
        for each in (name, "sequential.json"):
            (tmp_path / each).write_bytes((FILES / each).read_bytes())
    check = import_network(source, tmp_path / "net.onnx").check
    assert (check.verdict, check.reason, check.inputs) == ("ok", "", 3)
    assert [found.output for found in check.differences] == outputs
    assert all(found.max_rel < TOLERANCE and found.cosine > 0.9999 for found in check.differences)
    assert set(check.top1.values()) == {1.0}


@needs_keras
def test_a_file_that_keras_itself_trips_over_is_not_checked(tmp_path: Path) -> None:
    """It writes `2.0 - x` into an .h5 file in a way that it doesn't read."""
    check = import_network(FILES / "functional.h5", tmp_path / "net.onnx").check
    assert check.verdict == "not checked"
    assert "Keras can't run" in check.reason
    assert "2.0" in check.reason


@needs_keras
def test_a_copy_with_another_weight_differs(tmp_path: Path) -> None:
    from onnx import numpy_helper

    model = read_network(FILES / "functional.keras").model
    weight = next(each for each in model.graph.initializer if len(each.dims) == 4)
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.5), weight.name))
    save_model(model, tmp_path / "net.onnx")
    x = {"picture": np.random.default_rng(0).random((1, 12, 10, 3), dtype=np.float32)}
    check = check_conversion(FILES / "functional.keras", tmp_path / "net.onnx", [x])
    assert check.verdict == "differs"
    assert check.failing is x


@needs_keras
def test_a_library_that_dies_or_hangs_is_an_error_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inputs = [TensorSpec("picture", ("N", 12, 10, 3), "float32")]
    feeds = {"picture": np.zeros((1, 12, 10, 3), np.float32)}
    with Reference("keras", FILES / "functional.keras", inputs) as opened:
        assert sorted(opened.run(feeds)) == ["classes", "mask"]
        with pytest.raises(EngineError, match=r"Keras can't run .*functional\.keras"):
            opened.run({"picture": np.zeros((1, 5, 5, 5), np.float32)})
        monkeypatch.setattr(reference, "_SECONDS", 0)
        with pytest.raises(EngineError, match="no answer in 0 seconds"):
            opened.run(feeds)
        monkeypatch.undo()
        with pytest.raises(EngineError, match="it ended with -9"):
            opened.run(feeds)
    with pytest.raises(ProcessLookupError):
        os.kill(opened.process_id, 0)


def test_without_keras_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "find_spec", lambda name: None)
    check = import_network(FILES / "functional.keras", tmp_path / "net.onnx").check
    assert check.verdict == "not checked"
    assert 'pip install "edgeproof[keras]"' in check.reason


def _with(config: dict[str, Any]) -> dict[str, Any]:
    return sequential((4,), layer("Dense", units=2, **config))


@pytest.mark.parametrize(
    ("architecture", "says"),
    [
        (sequential((4,), layer("Lambda", function=["4wEA", None, None])), "has a Lambda layer, which is code"),
        (sequential((4,), layer("Mine>Lambda")), "has a Lambda layer"),
        (
            functional(
                [layer("InputLayer", "x", batch_input_shape=[None, 4]),
                 layer("TimeDistributed", "t", [["x"]], layer={"class_name": "Lambda", "config": {}})],
                ["x"], ["t"],
            ),
            "has a Lambda layer",
        ),
        (_with({"activation": {"class_name": "__lambda__", "config": {"value": "4wEA"}}}), "has a Lambda layer"),
        (_with({"activation": {"class_name": "function", "config": "f"}}), "names a Python function"),
    ],
)  # fmt: skip
def test_code_never_reaches_keras(tmp_path: Path, architecture: dict[str, Any], says: str) -> None:
    path = tmp_path / "net.keras"
    path.write_bytes(keras_archive(architecture))
    with pytest.raises(ModelError, match=says) as caught:
        architecture_to_run(path)
    assert str(path) in caught.value.message


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        ("os", "system"),
        ("keras.utils", "get_file"),
        ("keras", "Variable"),
        ("keras.src.utils.file_utils", "get_file"),
        ("keras.layers.os", "x y"),
        ("", "Dense"),
        (["os"], "Dense"),
    ],
)
def test_only_modules_of_networks_are_loaded(tmp_path: Path, module: Any, kind: str) -> None:
    path = tmp_path / "net.keras"
    architecture = _with({"kernel_initializer": {"class_name": kind, "module": module, "config": {}}})
    path.write_bytes(keras_archive(architecture))
    if module == "keras.layers.os":  # a part of a network by its name: Keras finds nothing there
        assert architecture_to_run(path)
        return
    with pytest.raises(ModelError, match="names the Python module"):
        architecture_to_run(path)


def test_layers_of_half_precision_are_computed_as_the_copy_does() -> None:
    text = json.dumps(architecture_to_run(FILES / "named.keras"))
    assert "float16" not in text
    assert "float32" in text


def test_an_age_network_with_its_lambda_is_not_checked(shared: Path, tmp_path: Path) -> None:
    check = import_network(shared / "models" / "ssrnet-age-morph2.h5", tmp_path / "net.onnx").check
    assert check.verdict == "not checked"
    if importlib.util.find_spec("keras"):
        assert "has a Lambda layer, which is code that is not run" in check.reason
