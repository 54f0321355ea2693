"""What is LiteRT's own: quantisation at the edges, XNNPACK."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeproof.core.errors import InputError
from edgeproof.engines import open_engine
from engines.networks import rows, skip_if_missing
from engines.tflite_files import Operation, Tensor, pack

CLASSIFIER = "mobilenet-v2-224-quant.tflite"


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path) -> None:
    skip_if_missing("litert", tmp_path)


def test_a_quantised_network_takes_and_gives_floats(shared: Path) -> None:
    file = shared / "models" / CLASSIFIER
    with (
        open_engine(file, engine="litert") as floats,
        open_engine(file, engine="litert", options={"raw": True}) as integers,
    ):
        assert [floats.inputs[0].dtype, floats.outputs[0].dtype] == ["float32", "float32"]
        assert [integers.inputs[0].dtype, integers.outputs[0].dtype] == ["uint8", "uint8"]
        name, answer = floats.inputs[0].name, floats.outputs[0].name
        pixels = rows(integers.inputs[0], 1)
        scores = floats.run({name: (pixels.astype(np.float32) - 128) / 128})[answer]
        np.testing.assert_array_equal(scores, integers.run({name: pixels})[answer] / np.float32(256))


@pytest.mark.parametrize(("dtype", "low", "high"), [("int8", -128, 127), ("uint8", 0, 255)])
def test_scale_and_zero_point_round_and_clip(tmp_path: Path, dtype: str, low: int, high: int) -> None:
    zero = (low + high) // 2
    edges = [
        Tensor("x", ("N", 4), dtype, scale=0.5, zero=zero),
        Tensor("y", ("N", 4), dtype, scale=0.5, zero=zero),
    ]
    shape = Tensor("s", (2,), "int32", np.array([-1, 4], np.int32))
    (tmp_path / "same.tflite").write_bytes(
        pack([*edges, shape], [Operation("RESHAPE", [0, 2], [1])], [0], [1])
    )
    with open_engine(tmp_path / "same.tflite", engine="litert") as opened:
        feed = np.array([[0.0, 1.2, -3.8, 1e9], [-1e9, np.inf, -np.inf, 0.5]], np.float32)
        top, bottom = (high - zero) / 2, (low - zero) / 2
        expected = [[0.0, 1.0, -4.0, top], [bottom, top, bottom, 0.5]]
        np.testing.assert_array_equal(opened.run({"x": feed})["y"], expected)
        with pytest.raises(InputError, match="NaN"):
            opened.run({"x": np.full((1, 4), np.nan, np.float32)})


def test_two_forms_of_one_network_find_the_same(shared: Path) -> None:
    models = shared / "models"
    photos = sorted((shared / "data" / "coco" / "images").glob("*.jpg"))[:4]
    with (
        open_engine(models / "yolox-nano.onnx") as reference,
        open_engine(models / "yolox-nano-fp16.tflite", engine="litert") as opened,
    ):
        # The tensor's own name is serving_default_images:0; the signature's is what users know.
        assert (opened.inputs, opened.outputs) == (reference.inputs, reference.outputs)
        for photo in photos:
            with Image.open(photo) as picture:
                pixels = np.asarray(picture.convert("RGB").resize((416, 416)), np.float32)
            feed = {"images": np.ascontiguousarray(pixels[None, :, :, ::-1].transpose(0, 3, 1, 2))}
            expected, found = (engine.run(feed)["output"][0] for engine in (reference, opened))
            scores, other = (rows[:, 4:5] * rows[:, 5:] for rows in (expected, found))
            assert scores.max() > 0.3
            np.testing.assert_allclose(other, scores, atol=0.05)


@pytest.mark.parametrize(("on", "provider"), [(True, "XNNPACK"), (False, "CPU")])
def test_it_tells_whether_xnnpack_took_the_network(shared: Path, on: bool, provider: str) -> None:
    with open_engine(shared / "models" / CLASSIFIER, engine="litert", options={"xnnpack": on}) as opened:
        assert opened.info.provider == provider


def test_a_fixed_batch_stays_fixed(shared: Path) -> None:
    with (
        open_engine(shared / "models" / CLASSIFIER, engine="litert") as opened,
        pytest.raises(InputError, match=r"\[1, 224, 224, 3\]"),
    ):
        opened.run({opened.inputs[0].name: np.zeros((2, 224, 224, 3), np.float32)})
