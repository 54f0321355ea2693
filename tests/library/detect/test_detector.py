"""Objects in pictures, folders and videos, their files, and labels in two formats."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import edgeproof as ep
from edgeproof.core.detections import Detections
from edgeproof.core.errors import DataError, ModelError
from edgeproof.imaging.decode import decode
from edgeproof.library.detect.detector import Detector, ImageDetections, decode_for
from edgeproof.library.detect.evaluate import evaluate_objects
from edgeproof.library.detect.results import Names, coco_document, yolo_text
from edgeproof.streams.pipeline import run_pipeline
from edgeproof.verify.object_labels import read_coco, read_yolo

_BEARS = "data/coco/images/000000000776.jpg"


@pytest.fixture
def detector(shared: Path) -> Iterator[Detector]:
    with Detector(shared / "models/yolox-nano.onnx") as made:
        yield made


def test_the_objects_of_a_photo(detector: Detector, shared: Path) -> None:
    found = detector(shared / _BEARS)
    assert isinstance(found, ep.Detections)
    assert found.data["class_name"].tolist() == ["teddy bear"] * 3
    assert (found.xyxy >= 0).all()
    pixels = decode(shared / _BEARS).pixels
    again = detector([pixels, Image.fromarray(pixels), (shared / _BEARS).read_bytes()])
    assert all(np.array_equal(one.xyxy, found.xyxy) for one in again)


def test_a_large_jpeg_is_decoded_smaller_and_its_boxes_are_those_of_the_whole(
    detector: Detector, shared: Path, tmp_path: Path
) -> None:
    whole = detector(shared / _BEARS)
    with Image.open(shared / _BEARS) as image:
        large = image.resize((image.width * 4, image.height * 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # its viewer turns it by 90 degrees clockwise
    large.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "large.jpg", quality=95, exif=exif)
    picture = decode_for(tmp_path / "large.jpg", detector.task)
    assert picture.pixels.shape[1] * 4 in range(picture.width, 2 * picture.width + 8)
    found = detector.look(tmp_path / "large.jpg")
    assert (found.width, found.height) == large.size
    assert len(found.detections) == len(whole)
    assert np.abs(found.detections.xyxy / 4 - whole.xyxy).max() < 12


def test_timing_adds_up(detector: Detector, shared: Path) -> None:
    timing = detector.look(shared / _BEARS).timing_ms
    assert list(timing) == ["decode", "prepare", "run", "decode_result", "total"]
    assert all(value > 0 for value in timing.values())
    assert sum(list(timing.values())[:-1]) == pytest.approx(timing["total"])


@pytest.mark.parametrize(("workers", "threads", "runs"), [(4, 1, 4), (4, 2, 2), (2, 2, 1), (1, 4, 1)])
def test_workers_and_threads_share_the_processor(
    shared: Path, tmp_path: Path, workers: int, threads: int, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int | None] = []

    def pipeline(items: Any, stages: Any, **options: Any) -> Any:
        given.append(next(stage for stage in stages if stage.name == "run").at_once(None))
        return run_pipeline(items, stages, **options)

    monkeypatch.setattr("edgeproof.library.detect.detector.run_pipeline", pipeline)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with Detector(shared / "models/fastestdet.onnx", threads=threads) as detector:
        (report,) = detector.stream(tmp_path, workers=workers)
    assert report.error is None
    assert given == [runs]


def test_a_folder_with_a_bad_picture(detector: Detector, shared: Path, tmp_path: Path) -> None:
    for name in ("a", "c"):
        (tmp_path / f"{name}.jpg").write_bytes((shared / _BEARS).read_bytes())
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    reports = list(detector.stream(tmp_path, workers=2))
    assert [Path(report.name).name for report in reports] == ["a.jpg", "b.jpg", "c.jpg"]
    assert [len(report.detections) for report in reports] == [3, 0, 3]
    assert reports[1].error is not None
    assert reports[1].error.code == "not_an_image"
    assert reports[1].as_json()["timing_ms"] is None
    assert [report.pixels is None for report in reports] == [True] * 3


def test_every_frame_of_a_video_in_order(detector: Detector, shared: Path, tmp_path: Path) -> None:
    cv2: Any = pytest.importorskip("cv2", reason="needs OpenCV (the extra `video`)")
    bears = np.ascontiguousarray(decode(shared / _BEARS).pixels[..., ::-1])
    writer = cv2.VideoWriter(str(tmp_path / "f.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, bears.shape[1::-1])
    for number in range(6):
        writer.write(bears if number % 2 else np.zeros_like(bears))
    writer.release()
    reports = list(detector.stream(tmp_path / "f.avi", workers=2, keep_pixels=True))
    assert [len(report.detections) > 0 for report in reports] == [False, True] * 3
    assert [report.as_json()["frame"] for report in reports] == list(range(6))
    assert all(report.pixels is not None for report in reports)
    names = [str(Names().name(report, str(tmp_path / "f.avi"))) for report in reports[:2]]
    assert names == ["f-000000.jpg", "f-000001.jpg"]


def test_no_pictures_is_an_error_at_once(detector: Detector, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no photo"):
        list(detector.stream(tmp_path))


@pytest.mark.parametrize("model", ["yolov8n-topology.onnx", "yolo11n-topology.onnx", "yolo26n-topology.onnx"])
def test_what_the_exporter_of_yolo_writes_is_read(shared: Path, model: str) -> None:
    with Detector(shared / "models" / model) as detector:
        assert (detector.task.decoder.name, detector.task.decoder.classes) == ("yolo", 80)
        assert detector.task.names == tuple(map(str, range(80)))  # these files number their classes
        assert len(detector(np.zeros((50, 80, 3), np.uint8))) <= 300


def test_a_network_that_is_no_detector(shared: Path) -> None:
    with pytest.raises(ModelError, match="No decoder of detectors fits"):
        Detector(shared / "weights/orientation.onnx").open()


def test_labels_of_another_length_are_refused(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "three.txt").write_text("a\nb\nc\n")
    with pytest.raises(DataError, match="3 names for 80 classes"):
        Detector(shared / "models/yolox-nano.onnx", labels=tmp_path / "three.txt").open()


def test_only_some_classes(shared: Path) -> None:
    with Detector(shared / "models/yolox-nano.onnx", classes=["person", 0]) as detector:
        assert len(detector(shared / _BEARS)) == 0


def _found() -> Detections:
    boxes = np.array([[10, 20, 30, 60], [0, 0, 5, 5]], np.float32)
    return Detections(boxes, np.array([0.5, 0.25], np.float32), np.array([3, 0], np.int64))


def test_yolo_text_is_what_the_labels_reader_reads(tmp_path: Path) -> None:
    text = yolo_text(_found(), 100, 200)
    assert text.splitlines()[0] == "3 0.200000 0.200000 0.200000 0.200000 0.500000"
    (tmp_path / "a.txt").write_text("\n".join(line.rpartition(" ")[0] for line in text.splitlines()))
    truth = read_yolo(tmp_path / "a.txt", 100, 200)
    assert truth.classes.tolist() == [3, 0]
    assert np.allclose(truth.boxes, _found().xyxy)


def test_cocos_document_is_what_its_reader_reads(tmp_path: Path) -> None:
    reports = [
        ImageDetections("a.jpg", 100, 200, _found(), {}),
        ImageDetections("b.jpg", None, None, Detections.none(), {}, DataError("broken")),
    ]
    document = coco_document(reports, ("zero", "one"))
    (tmp_path / "c.json").write_text(json.dumps(document))
    labels = read_coco(tmp_path / "c.json")
    assert labels.names == ("zero", "one", "2", "3")
    assert labels.pictures["a.jpg"].classes.tolist() == [3, 0]
    assert np.allclose(labels.pictures["a.jpg"].boxes, _found().xyxy)
    assert len(labels.pictures["b.jpg"].classes) == 0
    assert document["annotations"][0]["score"] == 0.5


def test_two_pictures_of_one_name_get_two_files(tmp_path: Path) -> None:
    names = Names()
    reports = [ImageDetections(f"{tmp_path}/{one}/x.tif", 1, 1, Detections.none(), {}) for one in "ab"]
    assert [
        str(names.name(report, f"{tmp_path}/{one}/x.tif")) for report, one in zip(reports, "ab", strict=True)
    ] == [
        "x.tif.png",
        "x.tif-2.png",
    ]
    assert str(Names().name(reports[0], str(tmp_path), ".txt")) == "a/x.txt"


@pytest.mark.parametrize(
    "line",
    ["0 0.5 0.5 0.1", "0 0.5 0.5 0.1 nan", "x 0 0 1 1", "-1 0 0 1 1", "1.5 0 0 1 1", "0 0 0 -1 1"],
)
def test_a_line_that_is_no_box(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.txt").write_text(f"0 0.5 0.5 0.1 0.1\n{line}\n")
    with pytest.raises(DataError, match="Line 2"):
        read_yolo(tmp_path / "a.txt", 10, 10)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"images":[],"annotations":[{"image_id":1}],"categories":[]}',
        '{"images":[{"id":1,"file_name":"a"}],"annotations":[{"image_id":1,"category_id":9,"bbox":[0,0,1,1]}],"categories":[]}',
        '{"images":[{"id":1,"file_name":"a"}],"annotations":[{"image_id":1,"category_id":1,"bbox":[0,0,1]}],"categories":[{"id":1,"name":"x"}]}',
    ],
)
def test_a_file_that_is_none_of_cocos(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(DataError, match="COCO"):
        read_coco(tmp_path / "c.json")


def test_both_kinds_of_labels_give_the_same_figures(shared: Path, tmp_path: Path) -> None:
    pictures = sorted((shared / "data/coco/images").glob("*.jpg"))[:6]
    (tmp_path / "images").mkdir()
    images, annotations = [], []
    for number, picture in enumerate(pictures):
        (tmp_path / "images" / picture.name).write_bytes(picture.read_bytes())
        with Image.open(picture) as image:
            truth = read_yolo(shared / "data/coco/labels" / f"{picture.stem}.txt", *image.size)
        images.append({"id": number, "file_name": picture.name})
        for box, kind in zip(truth.boxes.tolist(), truth.classes.tolist(), strict=True):
            place = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            annotations.append({"image_id": number, "category_id": 200 - kind, "bbox": place})
    from edgeproof.tasks.detection.names import coco_names

    categories = [{"id": 200 - place, "name": name} for place, name in enumerate(coco_names())]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "c.json").write_text(json.dumps(document))
    with Detector(shared / "models/yolox-nano.onnx", confidence=0.01) as detector:
        one = evaluate_objects(tmp_path / "images", tmp_path / "c.json", detector)
        other = evaluate_objects(tmp_path / "images", shared / "data/coco/labels", detector)
        assert one.as_json()["per_class"] == pytest.approx(other.as_json()["per_class"])
        with pytest.raises(DataError, match="no folder"):
            evaluate_objects(tmp_path / "none", tmp_path / "c.json", detector)
        with pytest.raises(DataError, match="no labels"):
            evaluate_objects(tmp_path / "images", tmp_path / "none", detector)
        with pytest.raises(DataError, match="no box"):
            evaluate_objects(tmp_path / "images", tmp_path / "images", detector)
        (tmp_path / "texts").mkdir()
        (tmp_path / "texts" / f"{pictures[0].stem}.txt").write_text("80 0.5 0.5 0.1 0.1")
        with pytest.raises(DataError, match="class 80"):
            evaluate_objects(tmp_path / "images", tmp_path / "texts", detector)
