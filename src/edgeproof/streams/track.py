"""Which object of one frame is which of the next: a number for each that stays with it.

After ByteTrack (Zhang et al. 2022, section 3): sure boxes are given to the tracks first, by how much they overlap with
where each track must be now; then the tracks that got none take from the unsure boxes, which are what is left of an
object that is half hidden. Only a sure box begins a track.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.detections import Detections
from edgeproof.core.errors import UsageError
from edgeproof.imaging.boxes import iou
from edgeproof.streams.motion import Motion

# From this score on a box may carry on a track that is there.
LEAST = 0.1
# Overlaps from which a box is the track's: a sure box; an unsure one; a sure one for a track that was seen once only.
_SURE, _UNSURE, _SECOND = 0.2, 0.5, 0.3
# Frames that an object may stay hidden: a second of most videos.
KEEP = 30
NONE = -1

Indices = NDArray[np.intp]


@dataclass
class _Tracks:
    """All tracks, a row each.

    Attributes:
        motion: where they are and where to.
        classes: int64 (N,).
        ids: int64 (N,), from 1; `NONE` until a track was seen twice.
        unseen: int64 (N,), frames since it was seen.
    """

    motion: Motion
    classes: NDArray[np.int64]
    ids: NDArray[np.int64]
    unseen: NDArray[np.int64]

    @classmethod
    def begin(cls, found: Detections, new: Indices, ids: NDArray[np.int64]) -> _Tracks:
        unseen = np.zeros(len(new), np.int64)
        return cls(Motion.begin(found.xyxy[new]), found.class_id[new].copy(), ids.copy(), unseen)

    def take(self, places: NDArray[np.bool_]) -> _Tracks:
        return _Tracks(self.motion.take(places), self.classes[places], self.ids[places], self.unseen[places])

    def joined(self, other: _Tracks) -> _Tracks:
        return _Tracks(
            self.motion.joined(other.motion),
            np.concatenate([self.classes, other.classes]),
            np.concatenate([self.ids, other.ids]),
            np.concatenate([self.unseen, other.unseen]),
        )


class Tracker:
    """Gives each object a number that it keeps from frame to frame: one tracker for each video or stream.

    Arguments:
        confidence: the score, 0 to 1, from which a box is sure.
        keep: frames that an object may be hidden before its number is given up.

    The same frames give the same numbers. Not for several threads at once.

    Raises:
        UsageError: a number out of range.
    """

    def __init__(self, confidence: float = 0.25, *, keep: int = KEEP) -> None:
        if not 0 < confidence <= 1 or keep < 0:
            raise UsageError(
                f"A tracker can't work with a confidence of {confidence}, keeping {keep} frames.",
                hint="Use a confidence above 0, up to 1, and 0 or more frames.",
            )
        self._confidence, self._keep = confidence, keep
        self._tracks = _Tracks.begin(Detections.none(), np.empty(0, np.intp), np.empty(0, np.int64))
        self._first, self._last = True, 0

    @property
    def least(self) -> float:
        """The score from which `update` wants boxes: lower than `confidence`, for objects half hidden."""
        return min(LEAST, self._confidence)

    def update(self, found: Detections) -> Detections:
        """The objects of the next frame, with their numbers.

        Arguments:
            found: all boxes with a score of at least `least`, best first.

        Returns:
            The sure boxes and those that carry on a track, with `track_id` in their data: int64, from 1; -1 for a
            box that was not seen before, until the next frame shows that it is no mistake. In the first frame all
            get a number.
        """
        sure = found.confidence >= np.float32(self._confidence)
        self._move_on()
        taken = self._matched(found, sure)
        self._carry_on(found, taken)
        ids, known = np.full(len(found), NONE, np.int64), taken != NONE
        ids[known] = self._tracks.ids[taken[known]]
        new = np.flatnonzero(sure & ~known)
        if self._first:
            ids[new], self._first = self._numbers(len(new)), False
        # One that was seen only once, and not again, was a mistake of the detector's.
        old = self._tracks
        stays = (old.unseen == 0) | ((old.ids != NONE) & (old.unseen <= self._keep))
        self._tracks = old.take(stays).joined(_Tracks.begin(found, new, ids[new]))
        reported = sure | (ids != NONE)
        shown = found.take(reported)
        return Detections(
            shown.xyxy, shown.confidence, shown.class_id, {**shown.data, "track_id": ids[reported]}
        )

    def miss(self) -> None:
        """Say that a frame could not be looked at: the objects move on unseen."""
        self._move_on()
        self._tracks = self._tracks.take(self._tracks.unseen <= self._keep)

    def _move_on(self) -> None:
        self._tracks.motion.advance(hidden=self._tracks.unseen > 0)
        self._tracks.unseen += 1

    def _matched(self, found: Detections, sure: NDArray[np.bool_]) -> Indices:
        """The track of each box; `NONE` where it has none."""
        tracks = self._tracks
        overlap = iou(found.xyxy, tracks.motion.boxes())
        overlap[found.class_id[:, None] != tracks.classes[None]] = 0
        known, seen = tracks.ids != NONE, tracks.unseen == 1  # in the frame before
        taken = np.full(len(found), NONE, np.intp)
        for boxes, which, least in (
            (sure, known, _SURE),
            (~sure, known & seen, _UNSURE),
            (sure, ~known, _SECOND),
        ):
            free = which.copy()
            free[taken[taken != NONE]] = False
            _assign(overlap, np.flatnonzero(boxes & (taken == NONE)), np.flatnonzero(free), least, taken)
        return taken

    def _carry_on(self, found: Detections, taken: Indices) -> None:
        tracks, boxes = self._tracks, np.flatnonzero(taken != NONE)
        rows = taken[boxes]
        tracks.motion.correct(rows, found.xyxy[boxes])
        tracks.unseen[rows] = 0
        second = rows[tracks.ids[rows] == NONE]
        tracks.ids[second] = self._numbers(len(second))

    def _numbers(self, count: int) -> NDArray[np.int64]:
        first, self._last = self._last + 1, self._last + count
        return np.arange(first, self._last + 1, dtype=np.int64)


def _assign(
    overlap: NDArray[np.float32], boxes: Indices, rows: Indices, least: float, taken: Indices
) -> None:
    """Pair boxes with tracks, most overlap first; of equal ones the better box and the older track."""
    part = overlap[np.ix_(boxes, rows)]
    box, row = np.nonzero(part >= least)
    order = np.argsort(-part[box, row], kind="stable")
    used: set[int] = set()
    for one, other in zip(boxes[box[order]].tolist(), rows[row[order]].tolist(), strict=True):
        if taken[one] == NONE and other not in used:
            taken[one] = other
            used.add(other)
