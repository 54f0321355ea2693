"""Boxes that move: a Kalman filter of constant velocity for each side of each box, all boxes at once.

The filter of SORT and its followers (Bewley et al. 2016; the noise is that of Wojke et al. 2017, section 2.1). As no
side has to do with another there, the covariance of each is three numbers, and no matrix has to be inverted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

# Shares of the box's own size: how far a detector's box is off, and how much a velocity changes in a frame.
_PLACE, _VELOCITY = 1 / 20, 1 / 160
# How little is known of a new box, in these.
_NEW_PLACE, _NEW_VELOCITY = 2.0, 10.0
_SMALLEST = 1.0


@dataclass
class Motion:
    """Where boxes are and where to; (N, 4) is x and y of the middle, width and height.

    Attributes:
        place: float64 (N, 4), in pixels.
        velocity: float64 (N, 4), in pixels a frame.
        spread: float64 (3, N, 4), the variance of the place, its covariance with the velocity, the velocity's variance.
    """

    place: Doubles
    velocity: Doubles
    spread: Doubles

    @classmethod
    def begin(cls, boxes: NDArray[np.float32]) -> Motion:
        """Boxes, float (N, 4), xyxy, that were seen for the first time."""
        place = _centred(boxes)
        size = _sizes(place)
        spread = np.stack(
            [(_NEW_PLACE * _PLACE * size) ** 2, np.zeros_like(size), (_NEW_VELOCITY * _VELOCITY * size) ** 2]
        )
        return cls(place, np.zeros_like(place), spread)

    def take(self, places: NDArray[np.bool_]) -> Motion:
        """Some of them."""
        return Motion(self.place[places], self.velocity[places], self.spread[:, places])

    def joined(self, other: Motion) -> Motion:
        """These, and others after them."""
        return Motion(
            np.concatenate([self.place, other.place]),
            np.concatenate([self.velocity, other.velocity]),
            np.concatenate([self.spread, other.spread], axis=1),
        )

    def advance(self, *, hidden: NDArray[np.bool_]) -> None:
        """One frame on; the size of what is hidden stays, as nobody sees it change."""
        self.velocity[hidden, 2:] = 0
        size = _sizes(self.place)
        self.place += self.velocity
        # What a box becomes that shrinks towards nothing would be no box.
        np.maximum(self.place[:, 2:], _SMALLEST, out=self.place[:, 2:])
        both, moving = self.spread[1].copy(), self.spread[2].copy()
        self.spread[0] += 2 * both + moving + (_PLACE * size) ** 2
        self.spread[1] += moving
        self.spread[2] += (_VELOCITY * size) ** 2

    def correct(self, rows: NDArray[np.intp], boxes: NDArray[np.float32]) -> None:
        """Rows that were seen, each once, and their boxes, float (M, 4), xyxy."""
        place, spread = self.place[rows], self.spread[:, rows]
        off = _centred(boxes) - place
        gain = spread[:2] / (spread[0] + (_PLACE * _sizes(place)) ** 2)
        self.place[rows] = place + gain[0] * off
        self.velocity[rows] += gain[1] * off
        self.spread[2][rows] = spread[2] - gain[1] * spread[1]
        self.spread[1][rows] = spread[1] * (1 - gain[0])
        self.spread[0][rows] = spread[0] * (1 - gain[0])

    def boxes(self) -> NDArray[np.float32]:
        """float32 (N, 4), xyxy."""
        half = self.place[:, 2:] / 2
        middle = self.place[:, :2]
        return np.concatenate([middle - half, middle + half], axis=1).astype(np.float32)


def _centred(boxes: NDArray[np.float32]) -> Doubles:
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    low, high = corners[:, :2], corners[:, 2:]
    return np.concatenate([(low + high) / 2, np.maximum(high - low, _SMALLEST)], axis=1)


def _sizes(place: Doubles) -> Doubles:
    """What the noise of x, y, width and height is a share of: width, height, width, height."""
    return place[:, [2, 3, 2, 3]]
