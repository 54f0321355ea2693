"""How alike two networks answer the same pictures, where nobody knows the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.imaging.boxes import iou

Boxes = NDArray[np.floating[Any]]

SAME_PLACE = 0.5  # the overlap from which two boxes are one thing


def matched_boxes(
    one: Boxes,
    other: Boxes,
    one_classes: NDArray[np.int64] | None = None,
    other_classes: NDArray[np.int64] | None = None,
) -> int:
    """How many boxes of one network the other has too: of the same class, at an overlap of at least 0.5.

    Each is matched once, the pairs of the largest overlap first.

    Arguments:
        one, other: (N, 4) and (M, 4), xyxy.
        one_classes, other_classes: (N,) and (M,); None where there is one class only.
    """
    if not len(one) or not len(other):
        return 0
    overlaps = np.array(iou(np.asarray(one, np.float32), np.asarray(other, np.float32)), np.float64)
    if one_classes is not None and other_classes is not None:
        overlaps[one_classes[:, None] != other_classes[None]] = 0.0
    count = 0
    while overlaps.size and overlaps.max() >= SAME_PLACE:
        row, column = np.unravel_index(int(overlaps.argmax()), overlaps.shape)
        overlaps[row], overlaps[:, column] = -1.0, -1.0
        count += 1
    return count
