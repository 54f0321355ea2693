"""What networks of each family would answer for faces at known places."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgeproof.core.tensor import Array, TensorSpec

Answer = tuple[dict[str, Array], list[TensorSpec]]
SIZE = (160, 128)  # width, height

# xyxy, then the five points, in pixels of the network's input: one face for each stride.
BOXES = np.float32([[20, 24, 41, 48], [70, 30, 130, 100], [5, 90, 25, 120]])
MARKS = np.float32(
    [
        [[26, 32], [34, 32], [30, 37], [27, 42], [33, 42]],
        [[85, 55], [112, 56], [99, 70], [88, 84], [110, 85]],
        [[9, 100], [20, 101], [15, 106], [10, 113], [19, 112]],
    ]
)
SCORES = np.float32([0.9, 0.8, 0.7])
STRIDES = (8, 16, 32)


def cell(box: np.ndarray, stride: int) -> tuple[int, int]:
    """Column and row of the place that a box's centre lies in."""
    x, y = (box[:2] + box[2:]) / 2 // stride
    return int(x), int(y)


def grid(stride: int) -> tuple[int, int]:
    """Columns and rows."""
    return math.ceil(SIZE[0] / stride), math.ceil(SIZE[1] / stride)


def _specs(answer: dict[str, Array]) -> list[TensorSpec]:
    return [TensorSpec(name, (1, "rows", array.shape[-1]), "float32") for name, array in answer.items()]


def yunet() -> Answer:
    """Each face at its own stride."""
    answer: dict[str, Any] = {}
    for part, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
        for stride in STRIDES:
            answer[f"{part}_{stride}"] = np.zeros((math.prod(grid(stride)), width), np.float32)
    for box, marks, score, stride in zip(BOXES, MARKS, SCORES, STRIDES, strict=True):
        x, y = cell(box, stride)
        row = y * grid(stride)[0] + x
        answer[f"cls_{stride}"][row], answer[f"obj_{stride}"][row] = 0.95, score**2 / 0.95
        middle = (box[:2] + box[2:]) / 2 / stride - (x, y)
        answer[f"bbox_{stride}"][row] = [*middle, *np.log((box[2:] - box[:2]) / stride)]
        answer[f"kps_{stride}"][row] = (marks / stride - (x, y)).ravel()
    return answer, _specs(answer)


def scrfd(anchors: int, landmarks: bool, strides: tuple[int, ...] = STRIDES) -> Answer:
    """Outputs named by numbers, as the published files have them."""
    levels: dict[str, list[Any]] = {"score": [], "bbox": [], "kps": []}
    for number, stride in enumerate(strides):
        rows = math.prod(grid(stride)) * anchors
        score, bbox, kps = (np.zeros((rows, width), np.float32) for width in (1, 4, 10))
        if number < len(BOXES):
            box, marks = BOXES[number], MARKS[number]
            x, y = cell(box, stride)
            row = (y * grid(stride)[0] + x) * anchors + (anchors - 1)
            centre = np.array([x, y]) * stride
            score[row] = SCORES[number]
            bbox[row] = [*(centre - box[:2]) / stride, *(box[2:] - centre) / stride]
            kps[row] = ((marks - centre) / stride).ravel()
        for part, array in (("score", score), ("bbox", bbox), ("kps", kps)):
            levels[part].append(array)
    arrays = levels["score"] + levels["bbox"] + (levels["kps"] if landmarks else [])
    answer = {str(440 + number): array for number, array in enumerate(arrays)}
    return answer, _specs(answer)


def retinaface(sides: Any, names: tuple[str, str, str] = ("bbox", "confidence", "landmark")) -> Answer:
    """Offsets from the second anchor of a place, written with loops."""
    anchors = [
        ((x + 0.5) * stride, (y + 0.5) * stride, side)
        for stride, lengths in sides
        for y in range(grid(stride)[1])
        for x in range(grid(stride)[0])
        for side in lengths
    ]
    bbox, kps = (np.zeros((len(anchors), width), np.float32) for width in (4, 10))
    faces = np.tile(np.float32([1, 0]), (len(anchors), 1))
    for number, (box, marks) in enumerate(zip(BOXES, MARKS, strict=True)):
        row = 100 + 37 * number
        x, y, side = anchors[row]
        middle = (box[:2] + box[2:]) / 2
        bbox[row] = [*(middle - (x, y)) / side / 0.1, *np.log((box[2:] - box[:2]) / side) / 0.2]
        kps[row] = ((marks - (x, y)) / side / 0.1).ravel()
        faces[row] = 1 - SCORES[number], SCORES[number]
    answer = dict(zip(names, (bbox, faces, kps), strict=True))
    return answer, _specs(answer)


def shares() -> np.ndarray:
    """The boxes as shares of the picture."""
    return BOXES / np.float32(SIZE * 2)


def ultraface() -> Answer:
    """Boxes that are corners already."""
    scores = np.tile(np.float32([1, 0]), (50, 1))
    boxes = np.zeros((50, 4), np.float32)
    for number in range(len(BOXES)):
        scores[7 * number] = 1 - SCORES[number], SCORES[number]
        boxes[7 * number] = shares()[number]
    answer: dict[str, Array] = {"scores": scores, "boxes": boxes}
    return answer, _specs(answer)


def ssd() -> Answer:
    """DetectionOutput's rows, with one of the background."""
    rows = [[0, 1, score, *box] for score, box in zip(SCORES, shares(), strict=True)]
    table = np.float32([*rows, [0, 0, 1, 0, 0, 1, 1]])[None]
    return {"detection_out": table}, [TensorSpec("detection_out", (1, 1, "rows", 7), "float32")]
