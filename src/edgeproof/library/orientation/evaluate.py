"""How right the orientation network is on photos that stand upright."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeproof.core.errors import DataError, ImageError
from edgeproof.core.results import TURNS, OrientationResult
from edgeproof.imaging.decode import decode
from edgeproof.streams.ordered import map_ordered
from edgeproof.tasks.orientation import Orientation, turned_pixels


@dataclass(frozen=True)
class Evaluation:
    """What `rotate evaluate` found.

    Attributes:
        results: one row a photo, its results when turned 0, 90, 180, 270 degrees counter-clockwise.
        skipped: photos that couldn't be decoded.
        threshold: the confidence below which an answer counted as unsure.
    """

    results: Sequence[Sequence[OrientationResult]]
    skipped: Sequence[tuple[Path, ImageError]]
    threshold: float

    def as_json(self) -> dict[str, Any]:
        """CONTRACT's document: shares of all views, `harm` of the upright ones."""
        rows = self.results
        right = {turn: sum(row[k].turn == turn for row in rows) for k, turn in enumerate(TURNS)}
        views = [(view, turn) for row in rows for view, turn in zip(row, TURNS, strict=True)]
        turned = [view.decision == "turn" and view.turn == turn for view, turn in views if turn]
        return {
            "accuracy": sum(right.values()) / len(views),
            "photos": len(rows),
            "views": len(views),
            "per_turn": {str(turn): count / len(rows) for turn, count in right.items()},
            "harm": sum(row[0].decision == "turn" for row in rows) / len(rows),
            "coverage": sum(view.decision != "unsure" for view, _ in views) / len(views),
            "put_right": sum(turned) / len(turned),
            "threshold": self.threshold,
            "skipped": [{"path": str(path), "error": error.as_json()} for path, error in self.skipped],
        }


def evaluate(
    photos: Sequence[Path],
    orientation: Orientation,
    *,
    workers: int = 1,
    progress: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Look at each upright photo in all four turns.

    Raises:
        DataError: no photo could be used.
    """
    _, task = orientation.open()

    def one(path: Path) -> list[OrientationResult] | ImageError:
        try:
            pixels = decode(path, cover=orientation.cover).pixels
            return [orientation.look(view) for view in turned_pixels(pixels)]
        except ImageError as error:
            return error

    answers = []
    for answer in map_ordered(one, photos, workers=workers):
        answers.append(answer)
        progress()
    results = [answer for answer in answers if not isinstance(answer, ImageError)]
    skipped = [
        (path, answer) for path, answer in zip(photos, answers, strict=True) if isinstance(answer, ImageError)
    ]
    if not results:
        raise DataError(
            "There is no photo that can be used."
            + (f" The first: {skipped[0][1].message}" if skipped else ""),
            hint="Give a folder of JPEG, PNG, WebP, TIFF, BMP or GIF pictures that stand upright.",
        )
    return Evaluation(results, skipped, task.threshold)
