"""A detector runs networks of every kind of input, from several threads, and refuses answers that are none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproof.core.errors import InputError, NotFoundError, UsageError
from edgeproof.tasks.detection import ObjectDetector
from edgeproof.tasks.detection.open import Wish

onnx: Any = pytest.importorskip("onnx", reason="needs onnx, to make networks")
_CHANNELS = 5 + 2


def _network(
    path: Path, shape: tuple[int | str, ...], *, kind: str = "FLOAT", last: bool = False, bias: float = 0.95
) -> Path:
    """A map of stride 16 that answers an object in every cell, of class 1 where the picture is bright there."""
    from onnx import TensorProto, helper, numpy_helper

    weight = np.zeros((_CHANNELS, 3, 16, 16), np.float32)
    weight[6] = 1 / (3 * 256) / (255 if kind == "UINT8" else 1)
    offset = np.array([bias, 0, 0, -4, -4, 0.5, 0], np.float32)
    dtype = np.float16 if kind == "FLOAT16" else np.float32
    nodes, name = [], "x"
    if last:
        nodes.append(helper.make_node("Transpose", [name], ["t"], perm=[0, 3, 1, 2]))
        name = "t"
    if kind == "UINT8":
        nodes.append(helper.make_node("Cast", [name], ["c"], to=TensorProto.FLOAT))
        name = "c"
    nodes.append(helper.make_node("Conv", [name, "w", "b"], ["y"], kernel_shape=[16, 16], strides=[16, 16]))
    stored = [
        numpy_helper.from_array(weight.astype(dtype), "w"),
        numpy_helper.from_array(offset.astype(dtype), "b"),
    ]
    sizes = [
        size // 16 if isinstance(size, int) else f"{size}16" for size in (shape[1:3] if last else shape[2:])
    ]
    out = TensorProto.FLOAT16 if kind == "FLOAT16" else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", getattr(TensorProto, kind), shape)],
        [helper.make_tensor_value_info("y", out, [shape[0], _CHANNELS, *sizes])],
        stored,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def _bright_right(width: int = 128, height: int = 64) -> np.ndarray:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, width // 2 :] = 255
    return pixels


@pytest.mark.parametrize(
    ("shape", "kind", "last"),
    [
        ((1, 3, 64, 128), "FLOAT", False),
        (("N", 3, 64, 128), "FLOAT", False),
        ((4, 3, 64, 128), "FLOAT", False),
        ((1, 3, "h", "w"), "FLOAT", False),
        ((1, 3, 64, 128), "FLOAT16", False),
        ((1, 64, 128, 3), "FLOAT", True),
        ((1, 64, 128, 3), "UINT8", True),
    ],
)
def test_every_kind_of_input(tmp_path: Path, shape: tuple[int | str, ...], kind: str, last: bool) -> None:
    model = _network(tmp_path / "n.onnx", shape, kind=kind, last=last)
    wish = Wish(model, confidence=0.4, iou=0.99, long_side=128)
    with ObjectDetector(wish) as detector:
        _, task = detector.open()
        assert (task.decoder.name, task.decoder.classes) == ("fastestdet", 2)
        found = detector.detect(_bright_right())
        # Pictures of another shape need another frame of a network of free size, and another buffer.
        detector.detect(_bright_right(50, 300))
        again = detector.detect(_bright_right())
    middle = found.xyxy[:, [0, 2]].mean(axis=1)
    assert len(found) == 4 * 8
    assert set(found.class_id[middle > 60].tolist()) == {1}
    assert set(found.class_id[middle < 60].tolist()) == {0}
    assert np.array_equal(found.xyxy, again.xyxy)
    assert np.array_equal(found.class_id, again.class_id)


def test_threads_share_one_detector(tmp_path: Path) -> None:
    model = _network(tmp_path / "n.onnx", (1, 3, 64, 128))
    random = np.random.default_rng(0)
    pictures = [
        random.integers(0, 256, (int(h), int(w), 3), dtype=np.uint8)
        for h, w in random.integers(8, 200, (24, 2))
    ]
    with ObjectDetector(Wish(model, confidence=0.4)) as detector, ThreadPoolExecutor(4) as pool:
        alone = [detector.detect(picture) for picture in pictures]
        together = list(pool.map(detector.detect, pictures))
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.xyxy, other.xyxy)
        assert np.array_equal(one.confidence, other.confidence)


def test_a_network_that_answers_nan_says_so(tmp_path: Path) -> None:
    model = _network(tmp_path / "n.onnx", (1, 3, 64, 128), bias=float("nan"))
    with ObjectDetector(Wish(model)) as detector, pytest.raises(InputError, match="not finite"):
        detector.detect(_bright_right())


@pytest.mark.parametrize(
    "pixels", [np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3))]
)
def test_what_is_no_picture(tmp_path: Path, pixels: np.ndarray) -> None:
    with ObjectDetector(Wish(_network(tmp_path / "n.onnx", (1, 3, 64, 128)))) as detector:
        with pytest.raises(InputError):
            detector.detect(pixels)
        assert len(detector.detect(_bright_right(1, 1))) >= 0


def test_a_model_that_is_not_there_and_a_wish_that_makes_no_sense(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        ObjectDetector(Wish(tmp_path / "none.onnx")).open()
    with pytest.raises(UsageError, match="confidence is 2"):
        ObjectDetector(Wish(tmp_path / "none.onnx", confidence=2))
