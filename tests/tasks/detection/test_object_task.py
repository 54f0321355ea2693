"""What a detector is shown of a picture, and which of its candidates are objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproof.core.errors import DataError, InputError, ModelError, UnknownNameError, UsageError
from edgeproof.core.protocols import Prepared
from edgeproof.core.tensor import TensorSpec
from edgeproof.tasks.detection import DetectionTask
from edgeproof.tasks.detection.decoder import Candidates, Form
from edgeproof.tasks.detection.frame import place, tensor_of
from edgeproof.tasks.detection.names import chosen_names, coco_names, names_of, read_labels
from edgeproof.tasks.detection.open import Wish, class_numbers, task_of
from edgeproof.tasks.detection.task import Layout, layout_of
from edgeproof.tasks.network import Network


@dataclass(frozen=True)
class Fixed:
    """A decoder that answers what it was told."""

    candidates: Candidates
    name: ClassVar[str] = "fixed"
    expects: ClassVar[str] = "anything"
    form: ClassVar[Form] = Form()
    confidence: ClassVar[float] = 0.25
    iou: ClassVar[float] = 0.5
    classes: int | None = field(default=None)

    def decode(self, outputs: Any, size: tuple[int, int], least: float) -> Candidates:
        return self.candidates


def _task(boxes: Any, scores: Any, kinds: Any, /, **settings: Any) -> DetectionTask:
    found = Candidates(
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.asarray(scores, np.float32),
        np.asarray(kinds, np.int64),
    )
    return DetectionTask(Fixed(found), layout=Layout((64, 64)), **settings)  # type: ignore[arg-type]


def _decoded(task: DetectionTask, width: int = 64, height: int = 64) -> Any:
    return task.decode({}, task.prepare(np.zeros((height, width, 3), np.uint8)))


def test_of_boxes_of_one_class_that_overlap_the_best_stays() -> None:
    boxes = [[0, 0, 20, 20], [1, 1, 21, 21], [40, 40, 60, 60]]
    found = _decoded(_task(boxes, [0.5, 0.9, 0.7], [1, 1, 1]))
    assert found.confidence.tolist() == pytest.approx([0.9, 0.7])
    assert len(_decoded(_task(boxes, [0.5, 0.9, 0.7], [1, 2, 1]))) == 3
    assert len(_decoded(_task(boxes, [0.5, 0.9, 0.7], [1, 2, 1], agnostic=True))) == 2
    assert len(_decoded(_task(boxes, [0.5, 0.9, 0.7], [1, 1, 1], iou=0.95))) == 3


def test_only_the_wanted_classes_and_no_more_than_asked() -> None:
    boxes = [[0, 0, 9, 9], [20, 20, 29, 29], [40, 40, 60, 60]]
    assert _decoded(_task(boxes, [0.5, 0.9, 0.7], [0, 1, 2], classes=(0, 2))).class_id.tolist() == [2, 0]
    assert _decoded(_task(boxes, [0.5, 0.9, 0.7], [0, 1, 2], most=1)).class_id.tolist() == [1]


def test_boxes_come_in_the_pictures_pixels_and_inside_it() -> None:
    # A picture of 128 x 64 is shown at half its size in the upper half of the frame.
    found = _decoded(_task([[-5, 10, 32, 20], [0, 40, 64, 60]], [0.9, 0.8], [0, 0]), 128, 64)
    assert found.xyxy.tolist() == [[0, 20, 64, 40]]


def test_a_hundred_thousand_candidates() -> None:
    random = np.random.default_rng(0)
    corner = random.uniform(0, 54, (100_000, 2))
    boxes = np.concatenate([corner, corner + random.uniform(1, 10, (100_000, 2))], axis=1)
    found = _decoded(_task(boxes, random.uniform(0.3, 1, 100_000), random.integers(0, 80, 100_000)))
    assert len(found) == 300
    assert (np.diff(found.confidence) <= 0).all()


@pytest.mark.parametrize(
    ("boxes", "classes", "says"),
    [
        ([[0, 0, np.nan, 9]], [0], "not finite"),
        ([[0, 0, np.inf, 9]], [0], "not finite"),
        ([[0, 0, 9, 9]], [-1], "-1"),
    ],
)
def test_what_no_network_should_answer_is_refused(boxes: Any, classes: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        _decoded(_task(boxes, [0.9], classes))


def test_a_class_beyond_the_names_is_called_by_its_number() -> None:
    found = _decoded(_task([[0, 0, 9, 9]], [0.9], [5], names=("a", "b")))
    assert found.data["class_name"].tolist() == ["5"]


@pytest.mark.parametrize(
    "settings", [{"confidence": 0}, {"iou": 1.5}, {"confidence": float("nan")}, {"long_side": 8}]
)
def test_settings_that_make_no_sense(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        DetectionTask(**settings)


@given(
    width=st.integers(1, 3000),
    height=st.integers(1, 3000),
    frame=st.tuples(st.integers(32, 640), st.integers(32, 640)),
    centred=st.booleans(),
    stretch=st.booleans(),
    enlarge=st.booleans(),
)
def test_a_point_goes_into_the_frame_and_back(
    width: int, height: int, frame: tuple[int, int], centred: bool, stretch: bool, enlarge: bool
) -> None:
    where, inner = place((width, height), frame, Form(centred=centred, stretch=stretch, enlarge=enlarge))
    x, y = where.offset
    assert 0 <= x <= frame[0] - inner[0]
    assert 0 <= y <= frame[1] - inner[1]
    assert stretch or inner[0] == frame[0] or inner[1] == frame[1] or not enlarge
    whole = where.to_picture(np.array([[x, y, x + inner[0], y + inner[1]]], np.float32))
    assert np.allclose(whole, [[0, 0, width, height]], atol=0.02 * max(width, height) / 30)


def test_a_used_buffer_gives_the_same_as_a_new_one() -> None:
    random = np.random.default_rng(0)
    form = Form(mean=(10, 20, 30), std=(2, 3, 4), centred=True)
    buffer: np.ndarray | None = None
    for height, width in ((30, 50), (50, 30), (64, 64), (5, 99)):
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        buffer, _ = tensor_of(pixels, (64, 64), form, out=buffer)
        fresh, where = tensor_of(pixels, (64, 64), form)
        assert np.array_equal(buffer, fresh)
        if where.offset[1]:
            assert fresh[:, 0, 0].tolist() == pytest.approx([(114 - 10) / 2, (114 - 20) / 3, (114 - 30) / 4])


@pytest.mark.parametrize(
    ("form", "pixel"),
    [
        (Form(), [200, 100, 50]),
        (Form(bgr=True), [50, 100, 200]),
        (Form(std=(255.0,) * 3), [200 / 255, 100 / 255, 50 / 255]),
        (Form(mean=(1, 2, 3), std=(10, 20, 40), bgr=True), [4.9, 4.9, 4.925]),
    ],
)
@pytest.mark.parametrize("last", [False, True])
def test_colours_and_their_order(form: Form, pixel: list[float], last: bool) -> None:
    pixels = np.full((8, 8, 3), (200, 100, 50), np.uint8)
    tensor, _ = tensor_of(pixels, (8, 8), form, channels_last=last)
    assert tensor.shape == ((8, 8, 3) if last else (3, 8, 8))
    assert (tensor[4, 4] if last else tensor[:, 4, 4]).tolist() == pytest.approx(pixel)


@pytest.mark.parametrize(
    ("shape", "dtype", "layout"),
    [
        ((1, 3, 416, 640), "float32", Layout((640, 416))),
        (("N", 3, "h", "w"), "float16", Layout(None, False, "float16")),
        ((1, 416, 640, 3), "uint8", Layout((640, 416), True, "uint8")),
    ],
)
def test_how_a_network_takes_pictures(shape: tuple[int | str, ...], dtype: str, layout: Layout) -> None:
    assert layout_of([TensorSpec("x", shape, dtype)]) == layout


@pytest.mark.parametrize("shape", [(1, 3), (1, 1, 64, 64), (1, 64, 64, 4)])
def test_what_takes_no_pictures_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="no detector"):
        layout_of([TensorSpec("x", shape, "float32")])


def test_integer_networks_get_the_pixels_as_they_are() -> None:
    task = DetectionTask(layout=Layout((32, 32), True, "uint8"))
    prepared: Prepared = task.prepare(np.full((32, 32, 3), 200, np.uint8))
    assert (prepared.tensor.dtype, int(prepared.tensor[5, 5, 0])) == (np.uint8, 200)


def test_a_free_size_has_few_frames_of_whole_strides() -> None:
    task = DetectionTask()
    assert task.frame(1920, 1080) == (640, 384)
    assert task.frame(1080, 1920) == (384, 640)
    assert task.frame(10, 10) == (640, 640)
    assert {task.frame(1000, height)[1] % 32 for height in range(1, 1000, 7)} == {0}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{0: 'person', 1: 'it''s'}", ("person", "its")),
        ("['a', 'b']", ("a", "b")),
        ("{'0': 'a'}", None),
        ("{0: 'a', 2: 'b'}", None),
        ("__import__('os').system('true')", None),
        ("{", None),
        ("", None),
    ],
)
def test_names_in_a_files_metadata(text: str, names: tuple[str, ...] | None) -> None:
    assert names_of({"names": text}) == names


def test_which_names_win(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text("\ufeffcat\n\ndog\n\n")
    assert read_labels(tmp_path / "l.txt") == ("cat", "", "dog")
    assert chosen_names(("x", "y"), ("a",), None) == ("x", "y")
    assert chosen_names(None, ("a",), 80) == ("a",)
    assert chosen_names(None, None, 80) == coco_names()
    assert chosen_names(None, None, 20) is None
    with pytest.raises(DataError, match="3 names for 80 classes"):
        chosen_names(("x", "y", "z"), None, 80)
    for data in (b"", b"\xff\xfe"):
        (tmp_path / "l.txt").write_bytes(data)
        with pytest.raises(DataError):
            read_labels(tmp_path / "l.txt")


def test_classes_by_name_or_number() -> None:
    assert class_numbers(("dog", 0, " 1 "), ("cat", "dog")) == (1, 0, 1)
    assert class_numbers((7,), None) == (7,)
    for wanted, names in ((("dgo",), ("cat", "dog")), (("2",), ("cat", "dog")), (("cat",), None)):
        with pytest.raises(UnknownNameError):
            class_numbers(wanted, names)


def test_a_bundle_sees_pictures_as_its_network_did() -> None:
    """Its manifest holds numbers only: the family, the colours and the normalisation come back from them."""
    specs = (
        (TensorSpec("images", ("N", 3, 416, 416), "float32"),),
        (TensorSpec("output", ("N", 3549, 85), "float32"),),
    )
    engine: Any = SimpleNamespace(inputs=specs[0], outputs=specs[1])
    said = {
        "family": "yolox",
        "colour": "RGB",
        "mean": [1.0, 2.0, 3.0],
        "std": [4.0, 5.0, 6.0],
        "confidence": 0.4,
    }
    original = task_of(Network(engine, Path("a.bin"), "a", said), Wish("a"))
    assert original.form == Form((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), bgr=False)
    again = task_of(Network(engine, Path("a.bin"), "a", original.settings()), Wish("a"))
    assert (again.decoder, again.form, again.least, again.names) == (
        original.decoder,
        original.form,
        0.4,
        original.names,
    )
