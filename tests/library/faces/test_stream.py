"""The faces pipeline: the serial answers, bit for bit; errors in their place; the budget; failing engines."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeproof.core.allocator import return_large_blocks
from edgeproof.core.errors import BudgetError, EngineError, TruncatedImageError
from edgeproof.core.faces import Face
from edgeproof.imaging.decode import decode
from edgeproof.library.faces import stream as stream_module
from edgeproof.library.faces.faces import Faces
from edgeproof.library.faces.stream import FacesStream
from edgeproof.streams.events import StreamEvent
from edgeproof.streams.sources import frames


@pytest.fixture(scope="module")
def faces(shared: Path) -> Faces:
    models = shared / "models"
    return Faces(models / "yunet-n-dynamic.onnx", models / "mobilefacenet-foamliu.onnx", long_side=256).open()


@pytest.fixture
def folder(shared: Path, tmp_path: Path) -> Path:
    """Portraits, a group, a picture without a face, a damaged one, and one of 20x20."""
    portraits = sorted((shared / "data" / "lfw" / "images").rglob("*.jpg"))[:8]
    for number, path in enumerate(portraits):
        shutil.copyfile(path, tmp_path / f"{number}.jpg")
    group = Image.new("RGB", (500, 250))
    for number in range(2):
        group.paste(Image.open(portraits[number]), (250 * number, 0))
    group.save(tmp_path / "group.png")
    Image.new("RGB", (200, 100), "grey").save(tmp_path / "nobody.png")
    Image.new("RGB", (20, 20), "white").save(tmp_path / "tiny.png")
    whole = portraits[0].read_bytes()
    (tmp_path / "5b.jpg").write_bytes(whole[: len(whole) // 2])
    return tmp_path


def same(mine: list[Face], theirs: list[Face]) -> bool:
    def numbers(face: Face) -> list[Any]:
        return [face.bbox, face.kps, face.embedding, np.float64(face.det_score)]

    return len(mine) == len(theirs) and all(
        a is not None and b is not None and np.array_equal(a, b)
        for one, other in zip(mine, theirs, strict=True)
        for a, b in zip(numbers(one), numbers(other), strict=True)
    )


@pytest.mark.parametrize(("threads", "depth"), [(1, 1), (2, 2), (4, 3)])
def test_the_results_are_those_of_the_serial_way_bit_for_bit(
    faces: Faces, folder: Path, threads: int, depth: int
) -> None:
    found = list(FacesStream(faces, threads=threads, depth=depth).run(frames(str(folder))))
    assert [one.frame.path for one in found] == sorted(folder.iterdir())
    for one in found:
        if one.frame.name.endswith("5b.jpg"):
            assert isinstance(one.error, TruncatedImageError)
            assert one.faces == []
            continue
        assert one.error is None
        pixels = decode(one.frame.name).pixels
        assert (one.height, one.width) == pixels.shape[:2]
        assert same(one.faces, faces.get(pixels, quality=False))
    assert sum(len(one.faces) for one in found) >= 10


def test_without_embeddings_only_faces_are_found(faces: Faces, folder: Path) -> None:
    found = list(FacesStream(faces, embed=False, quality=True).run(frames(str(folder / "group.png"))))
    assert len(found[0].faces) == 2
    assert found[0].faces[0].embedding is None
    assert found[0].faces[0].quality is not None


def test_a_budget_that_the_models_alone_pass_says_what_is_needed(faces: Faces, folder: Path) -> None:
    stream = FacesStream(faces, memory_budget=1e6)
    with pytest.raises(BudgetError, match="before the first picture") as met:
        list(stream.run(frames(str(folder))))
    assert "Give at least" in met.value.hint


def test_what_a_first_run_leaves_behind_is_no_reason_against_a_second(
    faces: Faces, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resident = iter((50_000_000, 95_000_000))
    monkeypatch.setattr(stream_module, "resident_bytes", lambda: next(resident))
    stream = FacesStream(faces, memory_budget=100e6)
    first, second = (list(stream.run(frames(str(folder)))) for _ in range(2))
    assert len(first) == len(second) > 0


def test_within_a_budget_all_pictures_come(faces: Faces, folder: Path) -> None:
    return_large_blocks()
    found = list(FacesStream(faces, memory_budget=100e9, depth=1).run(frames(str(folder))))
    assert len(found) == len(list(folder.iterdir()))


def test_stop_gives_out_what_was_begun(faces: Faces, folder: Path) -> None:
    stop = threading.Event()
    found = []
    for one in FacesStream(faces, threads=2).run(frames(str(folder), stop=stop), stop=stop):
        found.append(one)
        stop.set()
    assert 1 <= len(found) < 12
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("edgeproof")]


def test_a_recogniser_that_fails_is_opened_again_and_no_face_is_lost(
    shared: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = shared / "models"
    mine = Faces(models / "yunet-n-dynamic.onnx", models / "mobilefacenet-foamliu.onnx", long_side=256)
    events: list[StreamEvent] = []
    stream = FacesStream(mine, threads=2, notify=events.append)
    real, calls = mine.recognizer.embed, 0

    def failing(crops: Any) -> Any:
        nonlocal calls
        calls += 1
        if 2 <= calls <= 4:
            raise EngineError("The accelerator has gone.")
        return real(crops)

    monkeypatch.setattr(mine.recognizer, "embed", failing)
    found = list(stream.run(frames(str(folder / "[0-3].jpg"))))
    assert [one.error for one in found] == [None] * 4
    assert all(face.embedding is not None for one in found for face in one.faces)
    assert {event.kind for event in events} <= {"reopening"}
    mine.close()
