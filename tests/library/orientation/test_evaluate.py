"""The figures of `rotate evaluate`, reckoned by hand on two photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeproof.core.errors import DataError
from edgeproof.core.results import TURNS, OrientationResult
from edgeproof.library.orientation.evaluate import evaluate
from edgeproof.tasks.orientation import Orientation
from imaging.picture_files import encode

# (turn, decision) of each photo when turned 0, 90, 180, 270 degrees counter-clockwise.
_ANSWERS = {
    10: [(0, "keep"), (90, "turn"), (180, "unsure"), (90, "turn")],
    200: [(90, "turn"), (90, "unsure"), (0, "keep"), (270, "turn")],
}


class Scripted(Orientation):
    """Answers from `_ANSWERS`: the photo is known by its red, its turn by where the green corner is."""

    def look(self, pixels: np.ndarray) -> OrientationResult:
        corners = [np.rot90(pixels, -k)[0, 0, 1] for k in range(4)]
        turn, decision = _ANSWERS[int(pixels[5, 5, 0])][int(np.argmax(corners))]
        return OrientationResult(turn, 0.7, decision, np.array([0.7, 0.1, 0.1, 0.1]))


def _photo(red: int) -> bytes:
    pixels = np.zeros((12, 16, 3), np.uint8)
    pixels[..., 0] = red
    pixels[0, 0, 1] = 255
    return encode(pixels, "PNG")


@pytest.mark.parametrize("workers", [1, 3])
def test_two_photos_reckoned_by_hand(tmp_path: Path, workers: int) -> None:
    (tmp_path / "a.png").write_bytes(_photo(10))
    (tmp_path / "b.png").write_bytes(_photo(200))
    (tmp_path / "c.png").write_bytes(b"no photo")
    steps: list[None] = []
    with Scripted(threshold=0.6) as orientation:
        document = evaluate(
            [tmp_path / name for name in ("a.png", "c.png", "b.png")],
            orientation,
            workers=workers,
            progress=lambda: steps.append(None),
        ).as_json()
    skipped = document.pop("skipped")
    assert [(row["path"], row["error"]["code"]) for row in skipped] == [
        (str(tmp_path / "c.png"), "not_an_image")
    ]
    assert document == {
        "accuracy": 5 / 8,
        "photos": 2,
        "views": 8,
        "per_turn": {"0": 0.5, "90": 1.0, "180": 0.5, "270": 0.5},
        "harm": 0.5,
        "coverage": 6 / 8,
        "put_right": 2 / 6,
        "threshold": 0.6,
    }
    assert list(document["per_turn"]) == [str(turn) for turn in TURNS]
    assert len(steps) == 3


@pytest.mark.parametrize("broken", [0, 2])
def test_without_a_photo_there_are_no_figures(tmp_path: Path, broken: int) -> None:
    photos = [tmp_path / f"{number}.jpg" for number in range(broken)]
    for photo in photos:
        photo.write_bytes(b"no photo")
    with Orientation() as orientation, pytest.raises(DataError):
        evaluate(photos, orientation)
