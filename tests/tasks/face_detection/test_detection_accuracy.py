"""How well faces are found on real pictures, against each network as its publisher runs it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edgeproof.imaging.decode import decode
from edgeproof.library.faces.evaluate import LEAST, evaluate_detector
from edgeproof.tasks.face_detection import FaceDetector
from edgeproof.verify.average_precision import Found, curves
from edgeproof.verify.face_boxes import Boxes, read_boxes

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
# Every picture for every network takes minutes on a slow core: benchmarks/faces_detection.py does that. One face
# more or less is 0.1 points of all 150 pictures, and 1 of these.
SOME = 25


def _benchmark(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def every(shared: Path) -> dict[str, Boxes]:
    return read_boxes(shared / "data/facedet/boxes.json")


@pytest.fixture(scope="module")
def truth(every: dict[str, Boxes]) -> dict[str, Boxes]:
    return {name: every[name] for name in sorted(every)[:SOME]}


def _reference(kind: str, file: Path, truth: dict[str, Boxes], shared: Path) -> float:
    detect: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] = getattr(
        _benchmark("face_references"), kind
    )(file)
    found = [
        Found(*detect(decode(shared / "data/facedet/images" / name).pixels), boxes)
        for name, boxes in truth.items()
    ]
    return curves(found)[0].area()


def test_the_default_detector_finds_what_its_own_code_finds(shared: Path, every: dict[str, Boxes]) -> None:
    pytest.importorskip("cv2")
    wanted = _reference("yunet", shared / "models/yunet-n-640.onnx", every, shared)
    with FaceDetector(shared / "models/yunet-n-dynamic.onnx", confidence=LEAST) as detector:
        found = evaluate_detector(every, shared / "data/facedet/images", detector, workers=2)
    document = found.as_json()
    assert document["ap50"] == pytest.approx(wanted, abs=0.005)
    assert document["ap50"] >= 0.80
    assert (document["images"], document["faces"], document["failures"]) == (150, 708, [])
    assert document["at_confidence"]["precision"] >= 0.8
    assert document["at_confidence"]["recall"] >= 0.7


@pytest.mark.parametrize(
    ("kind", "file", "library"),
    [
        ("ultraface", "ultraface-rfb-320.onnx", "cv2"),
        ("retinaface", "retinaface-mobilenet025.pth", "torch"),
    ],
    ids=["ultraface", "retinaface"],
)
def test_as_many_faces_as_the_networks_own_code_finds(
    shared: Path, truth: dict[str, Boxes], kind: str, file: str, library: str
) -> None:
    pytest.importorskip("cv2")
    pytest.importorskip(library)
    wanted = _reference(kind, shared / "models" / file, truth, shared)
    with FaceDetector(shared / "models" / file, confidence=LEAST) as detector:
        ours = evaluate_detector(truth, shared / "data/facedet/images", detector, workers=2)
    # Better is no fault: on all pictures they agree to 0.1 points, on some of them ours finds more.
    assert ours.curve.area() >= wanted - 0.005
    assert not ours.failures


@pytest.mark.parametrize(
    ("anchors", "landmarks", "flat"), [(2, True, False), (1, False, True), (2, True, True)]
)
def test_the_form_of_scrfd_gives_yunets_faces(
    shared: Path, tmp_path: Path, truth: dict[str, Boxes], anchors: int, landmarks: bool, flat: bool
) -> None:
    source = shared / "models/yunet-n-dynamic.onnx"
    maker = _benchmark("scrfd_from_yunet")
    (tmp_path / "scrfd.onnx").write_bytes(
        maker.scrfd_from_yunet(source, anchors=anchors, landmarks=landmarks, flat=flat)
    )
    with (
        FaceDetector(tmp_path / "scrfd.onnx", confidence=0.5, iou=0.5) as scrfd,
        FaceDetector(source, confidence=0.5) as yunet,
    ):
        assert scrfd.open()[1].decoder.name == "scrfd"
        for name in list(truth)[:6]:
            pixels = decode(shared / "data/facedet/images" / name).pixels
            one, other = scrfd.detect(pixels), yunet.detect(pixels)
            assert np.allclose(one.boxes, other.boxes, atol=0.01)
            assert np.allclose(one.scores, other.scores, atol=1e-5)
            if one.landmarks is not None:
                assert np.allclose(one.landmarks, other.landmarks, atol=0.01)
            assert (one.landmarks is not None) == landmarks
