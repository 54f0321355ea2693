"""What the network that comes with the package scores on photos it never saw."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from edgeproof.imaging.decode import decode
from edgeproof.imaging.resize import crop_square
from edgeproof.streams.ordered import map_ordered
from edgeproof.tasks.orientation import (
    TEMPERATURE_4,
    THRESHOLD_4,
    Orientation,
    OrientationTask,
    combine_turns,
    turned_pixels,
)


class Scored(NamedTuple):
    """Logits (photos, 4 views, 4) with one pass and with four turns of every view."""

    photos: list[Path]
    single: np.ndarray
    four: np.ndarray


def _views(photos: list[Path], *, full: bool) -> np.ndarray:
    """The logits of each photo in all four turns: (photos, 4, 4)."""
    with Orientation(full_decode=full) as orientation:
        _, task = orientation.open()

        def one(path: Path) -> np.ndarray:
            views = turned_pixels(decode(path, cover=orientation.cover).pixels)
            return np.stack([orientation.logits(task.prepare(view).tensor) for view in views])

        return np.stack(list(map_ordered(one, photos, workers=2)))


def _accuracy(logits: np.ndarray) -> float:
    return float((logits.argmax(axis=-1) == np.arange(4)).mean())


@pytest.fixture(scope="module")
def scored(shared: Path) -> Scored:
    photos = sorted((shared / "data/photos/val").glob("*.jpg"))
    single = _views(photos, full=False)
    # Four turns of a view are the four views in another order; below this is checked on the real path.
    four = [[combine_turns(np.roll(views, -k, axis=0)) for k in range(4)] for views in single]
    return Scored(photos, single, np.array(four))


def _harm(task: OrientationTask, upright: np.ndarray) -> float:
    return float(np.mean([task.decide(logits).decision == "turn" for logits in upright]))


def test_a_single_pass(scored: Scored) -> None:
    assert _accuracy(scored.single) == pytest.approx(0.737, abs=0.01)


def test_four_turns(scored: Scored) -> None:
    assert _accuracy(scored.four) == pytest.approx(0.772, abs=0.01)


def test_upright_photos_are_left_alone_by_default(scored: Scored) -> None:
    assert _harm(OrientationTask(), scored.single[:, 0]) <= 0.005
    assert _harm(OrientationTask(TEMPERATURE_4, THRESHOLD_4), scored.four[:, 0]) <= 0.005


def test_photos_that_are_turned_are_found(scored: Scored) -> None:
    decided = [OrientationTask().decide(logits) for logits in scored.single[:, 1]]
    sure = [result for result in decided if result.decision == "turn"]
    assert len(sure) >= 0.2 * len(decided)
    assert np.mean([result.turn == 90 for result in sure]) >= 0.95


@pytest.mark.parametrize("turns", [1, 4])
def test_the_public_call_says_the_same(scored: Scored, turns: int) -> None:
    chosen = range(0, len(scored.photos), 60)
    with Orientation(turns=turns) as orientation:
        _, task = orientation.open()
        for index in chosen:
            pixels = decode(scored.photos[index], cover=orientation.cover).pixels
            for k in (0, 1):
                expected = task.decide((scored.single if turns == 1 else scored.four)[index, k])
                found = orientation(turned_pixels(pixels)[k])
                if (pixels.shape[0] - pixels.shape[1]) % 2 == 0 or (turns == 1 and k == 0):
                    # Where the margin is odd, a turned picture's square lies one pixel beside the turned square.
                    assert found.confidence == pytest.approx(expected.confidence, abs=0.01)
                    assert found.turn == expected.turn


def test_reduced_decoding_loses_nothing(shared: Path, tmp_path: Path) -> None:
    # The photos above are too small to be reduced; these, enlarged three times, are decoded at 1/4.
    photos = []
    for source in sorted((shared / "data/coco/images").glob("*.jpg")):
        photos.append(tmp_path / source.name)
        with Image.open(source) as picture:
            large = picture.convert("RGB").resize((picture.width * 3, picture.height * 3))
        large.save(photos[-1], quality=90)
    reduced, full = _views(photos, full=False), _views(photos, full=True)
    assert not np.array_equal(reduced, full)
    assert abs(_accuracy(reduced) - _accuracy(full)) <= 0.01
    assert (reduced.argmax(-1) == full.argmax(-1)).mean() >= 0.95


def test_the_eight_exif_orientations_show_one_picture(shared: Path) -> None:
    photos = sorted((shared / "data/exif").glob("Landscape_*.jpg"))
    pictures = [decode(photo) for photo in photos]
    assert [picture.exif_orientation for picture in pictures] == [1, 1, 2, 3, 4, 5, 6, 7, 8]
    assert len({picture.pixels.shape for picture in pictures}) == 1
    # Each file was encoded on its own; made small, they differ by less than what JPEG lost.
    small = [crop_square(picture.pixels, 96).astype(np.int16) for picture in pictures]
    assert [bool(np.abs(other - small[0]).mean() < 3) for other in small] == [True] * 9
    assert np.abs(np.rot90(small[0], 2) - small[0]).mean() > 20
    with Orientation() as orientation:
        assert {(orientation(photo).turn, orientation(photo).decision) for photo in photos} == {(0, "keep")}
