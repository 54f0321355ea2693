"""Pairs of pictures with known answers."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from edgeproof.core.errors import DataError, NotFoundError
from edgeproof.core.faces import FaceDetections
from edgeproof.library.faces.faces import Faces
from edgeproof.library.faces.verify import verify_pairs
from edgeproof.verify.pairs import Pair, most_central, read_pairs

_SUBSET = 120  # of 1,200 pairs; benchmarks/faces_verification.py runs them all


def _lfw(shared: Path) -> list[Pair]:
    """Every tenth pair: both folds, as many of one person as of two."""
    pairs = read_pairs(shared / "data" / "lfw" / "pairs.csv")
    return pairs[:: len(pairs) // _SUBSET]


def test_people_of_lfw_are_told_apart(shared: Path) -> None:
    pairs = _lfw(shared)
    models = shared / "models"
    steps: list[tuple[int, int]] = []
    with Faces(models / "yunet-n-dynamic.onnx", models / "mobilefacenet-foamliu.onnx") as faces:
        found = verify_pairs(
            pairs,
            shared / "data" / "lfw" / "images",
            faces,
            workers=2,
            progress=lambda *step: steps.append(step),
        )
    document = found.as_json()
    assert (document["pairs"], document["failed"], document["failures"]) == (len(pairs), 0, [])
    # 99.2 % of all 1,200; here each pair is 0.8 points.
    assert document["accuracy"] >= 0.97
    assert document["tar_at_far"]["0.001"] is None
    assert steps[-1] == (document["images"], document["images"])


def test_a_picture_without_a_face_fails_its_pairs(shared: Path, tmp_path: Path) -> None:
    pairs = _lfw(shared)[::8]
    spoiled = {pairs[0].a, pairs[-1].b}
    for name in {name for pair in pairs for name in (pair.a, pair.b)}:
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        if name not in spoiled:
            target.symlink_to(shared / "data" / "lfw" / "images" / name)
    (tmp_path / pairs[0].a).write_bytes(b"no picture")
    models = shared / "models"
    with Faces(models / "yunet-n-dynamic.onnx", models / "mobilefacenet-foamliu.onnx") as faces:
        document = verify_pairs(pairs, tmp_path, faces).as_json()
    assert document["failed"] == 2
    assert {row["path"] for row in document["failures"]} == spoiled
    assert document["accuracy"] <= 1 - 2 / len(pairs) + 1e-9


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column fold, a, b, same"),
        ("fold,a,same\n0,x,1\n", "no column b"),
        ("fold,a,b,same\n", "holds no pair"),
        ("fold,a,b,same\n0,x,y,maybe\n", "Line 2"),
        ("fold,a,b,same\n0,x,y,1\n0,x\n", "Line 3"),
        ("fold,a,b,same\n0,,y,1\n", "a is ''"),
        (b"\xff\xfe\x00\x01", "UTF-8"),
    ],
)
def test_a_file_that_is_no_list_of_pairs_is_refused(tmp_path: Path, text: str | bytes, words: str) -> None:
    file = tmp_path / "pairs.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=words):
        read_pairs(file)


def test_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_pairs(tmp_path / "none.csv")
    with pytest.raises(DataError):
        read_pairs("a\0b")


def test_a_table_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    with file.open("w", newline="", encoding="utf-8-sig") as out:
        rows = csv.writer(out)
        rows.writerows([["note", "same", "b", "a", "fold"], ["x", "TRUE", "ü, 2.jpg", " one.jpg", ""]])
    assert read_pairs(file) == [Pair("", "one.jpg", "ü, 2.jpg", True)]


@pytest.mark.parametrize(
    ("boxes", "chosen"),
    [
        ([[0, 0, 60, 60], [110, 110, 160, 160]], 1),
        ([[90, 90, 110, 110], [60, 60, 200, 200]], 1),
        ([[0, 0, 10, 10]], 0),
    ],
    ids=["central before large", "large before central", "one"],
)
def test_a_picture_is_of_the_large_face_near_its_middle(boxes: list[list[float]], chosen: int) -> None:
    found = FaceDetections(np.array(boxes, np.float32), np.linspace(1, 0.9, len(boxes)).astype(np.float32))
    assert most_central(found, 250, 250) == chosen
