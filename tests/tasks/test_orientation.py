"""How a photo stands: conventions, every kind of source, and what is refused."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from bundles.sample_bundles import packed, put
from edgeproof.bundles.manifest import EngineNeed
from edgeproof.core.errors import (
    EdgeproofError,
    InputError,
    ModelError,
    NotFoundError,
    UnknownNameError,
    UsageError,
)
from edgeproof.core.tensor import TensorSpec
from edgeproof.tasks.orientation import (
    SIDE,
    Orientation,
    OrientationTask,
    builtin_model,
    combine_turns,
    turned_pixels,
    turned_views,
)
from imaging.picture_files import bomb, encode, scene

LOGITS = arrays(np.float32, (4, 4), elements=st.floats(-50, 50, width=32))
PHOTO = scene(400, 300)


@pytest.fixture(scope="module")
def orientation() -> Iterator[Orientation]:
    with Orientation() as opened:
        yield opened


def test_class_k_is_the_picture_turned_k_times_counter_clockwise() -> None:
    tensor = OrientationTask().prepare(PHOTO).tensor
    for k, (view, pixels) in enumerate(zip(turned_views(tensor), turned_pixels(PHOTO), strict=True)):
        assert np.array_equal(pixels, np.rot90(PHOTO, k))
        assert np.array_equal(view, OrientationTask().prepare(pixels).tensor)
        # The turn of class k, clockwise, puts it upright again.
        assert np.array_equal(np.rot90(pixels, -k), PHOTO)


@given(LOGITS, st.integers(0, 3))
def test_four_turns_agree_whichever_turn_the_picture_came_in(logits: np.ndarray, k: int) -> None:
    # A picture turned k times more shows the same four views, beginning with the k-th.
    turned = combine_turns(np.roll(logits, -k, axis=0))
    assert turned == pytest.approx(np.roll(combine_turns(logits), k), abs=1e-9)


@pytest.mark.parametrize("k", range(4))
def test_four_views_that_say_the_same_say_it_together(k: int) -> None:
    # The picture stands as class k, so its view turned j times more stands as class k + j.
    logits = np.stack([10.0 * np.eye(4)[(k + j) % 4] for j in range(4)])
    task = OrientationTask(threshold=0.5)
    assert task.decide(combine_turns(logits)).turn == 90 * k
    logits[1] = 8.0 * np.eye(4)[k]  # one that disagrees doesn't win
    assert task.decide(combine_turns(logits)).turn == 90 * k


@pytest.mark.parametrize(
    ("logits", "turn", "decision"),
    [
        ([9, 0, 0, 0], 0, "keep"),
        ([0, 9, 0, 0], 90, "turn"),
        ([0, 0, 9, 0], 180, "turn"),
        ([0, 0, 0, 9], 270, "turn"),
        ([1, 0, 0, 0], 0, "unsure"),
        ([0, 1, 0, 0], 90, "unsure"),
        ([0, 0, 0, 0], 0, "unsure"),
    ],
)
def test_decisions(logits: list[float], turn: int, decision: str) -> None:
    result = OrientationTask(temperature=1.0, threshold=0.9).decide(np.array(logits, np.float32))
    assert (result.turn, result.decision) == (turn, decision)
    assert result.confidence == result.probabilities.max()


def test_the_threshold_itself_is_sure() -> None:
    task = OrientationTask(temperature=1.0, threshold=0.25)
    assert task.decide(np.zeros(4)).decision == "keep"


@pytest.mark.parametrize("logits", [[np.nan, 0, 0, 0], [np.inf, 0, 0, 0], [0, 0, 0], [[0, 0, 0, 0]]], ids=str)
def test_logits_that_mean_nothing_are_refused(logits: Any) -> None:
    with pytest.raises(InputError, match="The network answered"):
        OrientationTask().decide(np.array(logits, np.float32))


def test_a_score_is_1_where_the_answer_is_right() -> None:
    outputs = {"logits": np.eye(4, dtype=np.float32)}
    assert OrientationTask().score(outputs, np.array([0, 1, 3, 2])).tolist() == [1.0, 1.0, 0.0, 0.0]
    assert [example.truth for example in OrientationTask().examples(PHOTO)] == [0, 1, 2, 3]


def _same(one: Any, other: Any) -> bool:
    return bool(one == other and np.allclose(one.probabilities, other.probabilities))


@pytest.mark.parametrize("turns", [1, 4])
def test_every_kind_of_source_gives_the_same(tmp_path: Path, turns: int) -> None:
    png = encode(PHOTO, "PNG")
    (tmp_path / "a.png").write_bytes(png)
    image = Image.open(io.BytesIO(png))
    sources: list[Any] = [
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        png,
        image,
        Image.fromarray(PHOTO),
        PHOTO,
    ]
    with Orientation(turns=turns, full_decode=True) as orientation:
        alone = [orientation(source) for source in sources]
        assert all(_same(alone[0], result) for result in alone)
        for batch in (sources, tuple(sources)):
            together = orientation(batch)
            assert len(together) == len(sources)
            assert all(_same(alone[0], result) for result in together)
        assert orientation([]) == []
        strided = np.asfortranarray(PHOTO)
        assert _same(alone[0], orientation(strided))


def test_it_can_be_used_again_after_closing(orientation: Orientation) -> None:
    first = orientation(PHOTO)
    orientation.close()
    orientation.close()
    assert _same(orientation(PHOTO), first)


@pytest.mark.parametrize(
    "source",
    [b"", b"text", bomb("PNG"), encode(PHOTO, "JPEG")[:500], np.zeros((4, 4)), np.zeros((0, 4, 3), np.uint8)],
    ids=["empty", "text", "bomb", "cut", "grey", "no pixels"],
)
def test_what_is_no_picture_is_refused(orientation: Orientation, source: Any) -> None:
    with pytest.raises(EdgeproofError):
        orientation(source)


@pytest.mark.parametrize("source", [None, 3, 1.5, {}, "nowhere.jpg", "nul\0.jpg", Path()], ids=repr)
def test_what_is_no_source_is_refused(orientation: Orientation, source: Any) -> None:
    with pytest.raises(EdgeproofError):
        orientation(source)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (2, 3)])
def test_the_smallest_pictures_have_an_answer(orientation: Orientation, size: tuple[int, int]) -> None:
    assert orientation(np.full((*size, 3), 128, np.uint8)).turn in (0, 90, 180, 270)


@pytest.mark.parametrize(
    "options",
    [
        {"turns": 2},
        {"turns": 0},
        {"threshold": 0.0},
        {"threshold": -1.0},
        {"threshold": 1.5},
        {"threshold": float("nan")},
        {"threads": 0},
        {"threads": -2},
    ],
    ids=str,
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Orientation(**options)(PHOTO)


def test_the_users_threshold_holds(orientation: Orientation) -> None:
    result = orientation(PHOTO)
    with Orientation(threshold=1.0) as strict, Orientation(threshold=0.01) as loose:
        assert strict(PHOTO).decision == "unsure"
        assert loose(PHOTO).decision == ("turn" if result.turn else "keep")
        assert loose(PHOTO).confidence == pytest.approx(result.confidence)


_IN = TensorSpec("x", ("N", 3, SIDE, SIDE), "float32")
_OUT = TensorSpec("y", ("N", 4), "float32")


@pytest.mark.parametrize(
    ("inputs", "outputs", "fits"),
    [
        ([_IN], [_OUT], True),
        ([_IN, _IN], [_OUT], False),
        ([_IN], [_OUT, _OUT], False),
        ([_IN], [], False),
        ([TensorSpec("x", ("N", 3, 224, 224), "float32")], [_OUT], False),
        ([TensorSpec("x", ("N", 3, SIDE, SIDE), "uint8")], [_OUT], False),
        ([TensorSpec("x", ("N", SIDE, SIDE, 3), "float32")], [_OUT], False),
        ([_IN], [TensorSpec("y", ("N", 1000), "float32")], False),
    ],
)
def test_only_an_orientation_network_fits(
    inputs: list[TensorSpec], outputs: list[TensorSpec], fits: bool
) -> None:
    if fits:
        OrientationTask().check(inputs, outputs)
        return
    with pytest.raises(ModelError) as caught:
        OrientationTask().check(inputs, outputs)
    assert "192, 192" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"no network", None])
def test_a_file_that_is_no_network_is_refused(tmp_path: Path, content: bytes | None) -> None:
    whole = builtin_model().read_bytes()
    (tmp_path / "m.onnx").write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(ModelError):
        Orientation(tmp_path / "m.onnx")(PHOTO)


@pytest.mark.parametrize("model", ["nowhere.onnx", "nowhere.edge", "nul\0.onnx"])
def test_a_model_that_is_not_there_is_refused(tmp_path: Path, model: str) -> None:
    with pytest.raises(NotFoundError):
        Orientation(tmp_path / model)(PHOTO)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"task": "faces"}, "a bundle for the task 'faces'"),
        ({"settings": {"thresholds": 0.9}}, "thresholds"),
    ],
)
def test_a_bundle_for_something_else_is_refused(tmp_path: Path, changed: dict[str, Any], says: str) -> None:
    put(packed(tmp_path / "o.edge", **changed).path, "model.onnx", builtin_model().read_bytes())
    with pytest.raises(ModelError, match=says):
        Orientation(tmp_path / "o.edge")(PHOTO)


def test_a_bundle_opens_its_engine_with_the_options_it_was_measured_with(tmp_path: Path) -> None:
    need = EngineNeed("onnxruntime", "1.19", threads=2, options={"arena": False, "graph_level": "basic"})
    packed(tmp_path / "o.edge", engine=need)
    put(tmp_path / "o.edge", "model.onnx", builtin_model().read_bytes())
    with Orientation(tmp_path / "o.edge") as orientation:
        assert orientation.open()[0].info.threads == 2
    packed(tmp_path / "wrong.edge", engine=EngineNeed("onnxruntime", "1.19", options={"arenas": False}))
    put(tmp_path / "wrong.edge", "model.onnx", builtin_model().read_bytes())
    with pytest.raises(UnknownNameError, match="arenas"):
        Orientation(tmp_path / "wrong.edge").open()


def test_a_file_of_another_format_is_read_into_onnx(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx reads it and isn't installed (extra `fit`)")
    pytest.importorskip("flatbuffers", reason="flatbuffers writes it and isn't installed (extra `litert`)")
    from edgeproof.formats import to_litert

    model = onnx.load(builtin_model())
    to_litert.write(model, tmp_path / "m.tflite")
    onnx.save(model, tmp_path / "pieces.onnx", save_as_external_data=True, location="weights")
    here = Orientation()(PHOTO)
    for name in ("m.tflite", "pieces.onnx"):
        there = Orientation(tmp_path / name)(PHOTO)
        assert (there.turn, there.decision) == (here.turn, here.decision)
        assert there.probabilities == pytest.approx(here.probabilities, abs=1e-4)


def test_a_bundle_keeps_its_own_engine(tmp_path: Path) -> None:
    put(packed(tmp_path / "o.edge").path, "model.onnx", builtin_model().read_bytes())
    for asked in ({"engine": "null"}, {"options": {"arena": False}}):
        with pytest.raises(UsageError, match="names its engine"):
            Orientation(tmp_path / "o.edge", **asked).open()
