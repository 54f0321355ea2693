"""Each family's decoder gives back the boxes that its network was made to answer, and refuses what is none."""

from __future__ import annotations

import numpy as np
import pytest

from edgeproof.core.errors import InputError, ModelError, UnknownNameError
from edgeproof.core.tensor import TensorSpec
from edgeproof.tasks.detection.decoder import Known
from edgeproof.tasks.detection.recognise import DECODERS, recognise
from edgeproof.tasks.detection.yolov5 import YoloV7Heads
from tasks.detection.encode_objects import (
    BOXES,
    CLASSES,
    FAMILIES,
    KINDS,
    SCORES,
    SIZE,
    decoder_of,
    yolo,
    yolo_turned,
)


@pytest.mark.parametrize("name", FAMILIES)
def test_boxes_come_back(name: str) -> None:
    outputs = FAMILIES[name]()
    decoder = decoder_of(name, outputs)
    assert decoder.name == name
    assert decoder.classes in (CLASSES, None)
    found = decoder.decode(outputs, SIZE, 0.5)
    order = np.argsort(-found.scores)
    assert found.classes[order].tolist() == KINDS.tolist()
    assert np.allclose(found.scores[order], SCORES, atol=0.01)
    assert np.allclose(found.boxes[order], BOXES, atol=0.1)
    assert (found.boxes.dtype, found.scores.dtype, found.classes.dtype) == (np.float32, np.float32, np.int64)


@pytest.mark.parametrize("name", FAMILIES)
def test_nothing_found_is_nothing(name: str) -> None:
    outputs = FAMILIES[name]()
    found = decoder_of(name, outputs).decode(outputs, SIZE, 0.999)
    assert (len(found.boxes), found.boxes.shape[1], len(found.scores)) == (0, 4, 0)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(name: str, bad: float) -> None:
    outputs = FAMILIES[name]()
    decoder = decoder_of(name, outputs)
    broken = {key: np.full_like(value, bad) for key, value in outputs.items()}
    with pytest.raises(InputError, match="not finite"):
        decoder.decode(broken, SIZE, 0.5)


@pytest.mark.parametrize(
    "name", ["yolo", "yolox", "nanodet", "yolo-heads", "yolov5-heads", "fastestdet", "retinanet"]
)
def test_answers_for_another_size_are_refused(name: str) -> None:
    outputs = FAMILIES[name]()
    with pytest.raises(InputError, match="answers for 512 x 512 pixels"):
        decoder_of(name, outputs).decode(outputs, (512, 512), 0.5)


@pytest.mark.parametrize("name", ["yolo", "yolov5", "yolox", "nanodet", "end-to-end", "ssd"])
def test_half_precision_outputs(name: str) -> None:
    outputs = {key: value.astype(np.float16) for key, value in FAMILIES[name]().items()}
    found = decoder_of(name, outputs).decode(outputs, SIZE, 0.5)
    assert np.allclose(found.boxes[np.argsort(-found.scores)], BOXES, atol=1)


def test_yolo_turned_round_is_told_by_the_number_of_names() -> None:
    shape = (1, *yolo_turned()["output0"].shape)
    spec = TensorSpec("output0", shape, "float32")
    assert recognise(Known([spec], SIZE, CLASSES)).name == "yolo"
    assert recognise(Known([spec], SIZE)).name == "yolox"
    decoder = recognise(Known([spec], SIZE), "yolo")
    found = decoder.decode(yolo_turned(), SIZE, 0.5)
    assert np.allclose(np.sort(found.scores), np.sort(SCORES))


@pytest.mark.parametrize(
    ("shapes", "size", "classes", "name"),
    [
        ([(1, 84, 8400)], (640, 640), None, "yolo"),
        ([(1, 8400, 84)], (640, 640), None, "yolo"),
        ([(1, 84, "anchors")], None, 80, "yolo"),
        ([(1, 5, 8400)], (640, 640), 1, "yolo"),
        ([(1, 8400, 85)], (640, 640), None, "yolox"),
        ([(1, 3549, 85)], (416, 416), None, "yolox"),
        ([(1, 8400, 6)], (640, 640), None, "yolox"),
        ([(1, 300, 6)], (640, 640), None, "end-to-end"),
        ([("N", "rows", 6)], None, None, "end-to-end"),
        ([(1, 25200, 85)], (640, 640), None, "yolov5"),
        ([(1, "rows", 85)], None, 80, "yolov5"),
        ([(1, "rows", 85)], None, None, "yolox"),
        (
            [(1, 25200, 85), (1, 3, 80, 80, 85), (1, 3, 40, 40, 85), (1, 3, 20, 20, 85)],
            (640, 640),
            None,
            "yolov5",
        ),
        ([(1, 3, 80, 80, 85), (1, 3, 40, 40, 85), (1, 3, 20, 20, 85)], (640, 640), None, "yolov5-heads"),
        ([(1, 144, 80, 80), (1, 144, 40, 40), (1, 144, 20, 20)], (640, 640), None, "yolo-heads"),
        ([(1, 3598, 112)], (416, 416), None, "nanodet"),
        ([(1, 85, 22, 22)], (352, 352), None, "fastestdet"),
        ([(1, 1, "N", 7)], (300, 300), None, "ssd"),
        ([(1, 10, 4), (1, 10), (1, 10), (1,)], (300, 300), None, "ssd-lists"),
    ],
)
def test_a_family_is_told_by_the_shapes(
    shapes: list[tuple[int | str, ...]], size: tuple[int, int] | None, classes: int | None, name: str
) -> None:
    specs = [TensorSpec(f"o{number}", shape, "float32") for number, shape in enumerate(shapes)]
    assert recognise(Known(specs, size, classes)).name == name


def test_torchvisions_lists_are_told_by_shapes_and_types() -> None:
    specs = [
        TensorSpec("boxes", ("n", 4), "float32"),
        TensorSpec("scores", ("n",), "float32"),
        TensorSpec("labels", ("n",), "int64"),
    ]
    decoder = recognise(Known(specs, (640, 640)))
    assert decoder.name == "lists"
    outputs = {"boxes": BOXES, "scores": SCORES, "labels": KINDS}
    found = decoder.decode(outputs, SIZE, 0.75)
    assert found.classes.tolist() == [3, 0]
    with pytest.raises(InputError, match="differ in length"):
        decoder.decode({**outputs, "scores": SCORES[:2]}, SIZE, 0.5)


def test_a_family_that_nothing_in_the_file_tells_can_be_named() -> None:
    outputs = FAMILIES["yolov5-heads"]()
    known = Known([TensorSpec(key, (1, *value.shape), "float32") for key, value in outputs.items()], SIZE)
    decoder = recognise(known, "yolov7-heads")
    assert isinstance(decoder, YoloV7Heads)
    assert decoder.anchors[0][0] == (12, 16)


def test_an_outsider_is_refused_with_what_it_has_and_what_each_expects() -> None:
    with pytest.raises(ModelError) as caught:
        recognise(Known([TensorSpec("logits", (1, 1000), "float32")], (224, 224)))
    assert "logits float32[1, 1000]" in caught.value.message
    assert all(kind.expects in caught.value.hint for kind in DECODERS.values())
    with pytest.raises(ModelError) as caught:
        recognise(Known([TensorSpec("logits", (1, 1000), "float32")], (224, 224)), "yolox")
    assert "nanodet" not in caught.value.hint
    with pytest.raises(UnknownNameError, match="Did you mean yolox"):
        recognise(Known([], None), "yolo_x")


def test_scores_below_the_least_cost_nothing() -> None:
    found = decoder_of("yolo", yolo()).decode(yolo(), SIZE, 0.85)
    assert found.scores.tolist() == pytest.approx([0.9])
