"""What a network of each family would answer, so that its decoder has to give back known boxes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgeproof.core.tensor import TensorSpec
from edgeproof.tasks.detection.decoder import Decoder, Known, cells
from edgeproof.tasks.detection.recognise import recognise
from edgeproof.tasks.detection.retinanet import _anchors

SIZE = (256, 128)
CLASSES = 7
# xyxy in pixels of the input, class, score.
BOXES = np.array([[20, 30, 80, 90], [130, 10, 250, 120], [64, 64, 96, 100]], np.float32)
KINDS = np.array([3, 0, 6])
SCORES = np.array([0.9, 0.8, 0.7], np.float32)

Outputs = dict[str, np.ndarray]


def spec(name: str, array: np.ndarray, dtype: str = "float32") -> TensorSpec:
    """The spec of an output, with the batch in front."""
    return TensorSpec(name, (1, *array.shape), dtype)


def _cells(stride: int) -> tuple[int, int]:
    return cells(SIZE, stride)


def _place(box: np.ndarray, stride: int) -> tuple[int, int, int]:
    """The column and line of a box's middle, and the cell's number in the map."""
    column, line = ((box[:2] + box[2:]) / 2 // stride).astype(int)
    return int(column), int(line), int(line * _cells(stride)[0] + column)


def _starts(strides: tuple[int, ...]) -> dict[int, int]:
    counts = [int(np.prod(_cells(stride))) for stride in strides]
    return dict(zip(strides, np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(int), strict=True))


def _total(strides: tuple[int, ...]) -> int:
    return sum(int(np.prod(_cells(stride))) for stride in strides)


def _logit(value: float | np.ndarray) -> np.ndarray:
    return np.log(value) - np.log1p(-np.asarray(value))


def _centred(box: np.ndarray) -> np.ndarray:
    return np.concatenate([(box[:2] + box[2:]) / 2, box[2:] - box[:2]])


THREE = (8, 16, 32)


def yolo() -> Outputs:
    table = np.zeros((4 + CLASSES, _total(THREE)), np.float32)
    for row, (box, kind, score) in enumerate(zip(BOXES, KINDS, SCORES, strict=True)):
        table[:4, 5 + 9 * row], table[4 + kind, 5 + 9 * row] = _centred(box), score
    return {"output0": table}


def yolo_turned() -> Outputs:
    return {"output0": np.ascontiguousarray(yolo()["output0"].T)}


def yolov5() -> Outputs:
    table = np.zeros((3 * _total(THREE), 5 + CLASSES), np.float32)
    for row, (box, kind, score) in enumerate(zip(BOXES, KINDS, SCORES, strict=True)):
        table[50 * row, :4], table[50 * row, 4], table[50 * row, 5 + kind] = _centred(box), score, 1
    return {"output0": table}


def end_to_end() -> Outputs:
    table = np.zeros((300, 6), np.float32)
    table[:3] = np.concatenate([BOXES, SCORES[:, None], KINDS[:, None]], axis=1)
    return {"output0": table}


def yolox() -> Outputs:
    starts = _starts(THREE)
    table = np.zeros((_total(THREE), 5 + CLASSES), np.float32)
    for box, kind, score, stride in zip(BOXES, KINDS, SCORES, THREE, strict=True):
        column, line, number = _place(box, stride)
        x, y, w, h = _centred(box)
        at = starts[stride] + number
        table[at, :4] = x / stride - column, y / stride - line, np.log(w / stride), np.log(h / stride)
        table[at, 4], table[at, 5 + kind] = score, 1
    return {"output": table}


def yolox_decoded() -> Outputs:
    table = np.zeros((_total(THREE), 5 + CLASSES), np.float32)
    for row, (box, kind, score) in enumerate(zip(BOXES, KINDS, SCORES, strict=True)):
        table[7 * row, :4], table[7 * row, 4], table[7 * row, 5 + kind] = _centred(box), 1, score
    return {"output": table}


def _bins(value: float, count: int) -> np.ndarray:
    """Logits whose expected bin is the value: all weight on the two beside it."""
    low = min(int(value), count - 2)
    shares = np.full(count, 1e-9)
    shares[low], shares[low + 1] = 1 - (value - low) + 1e-9, value - low + 1e-9
    return np.log(shares)


def _distances(box: np.ndarray, point: np.ndarray, stride: int) -> np.ndarray:
    return np.concatenate([point - box[:2], box[2:] - point]) / stride


def nanodet() -> Outputs:
    strides = (8, 16, 32, 64)
    starts = _starts(strides)
    table = np.zeros((_total(strides), CLASSES + 32), np.float32)
    for box, kind, score, stride in zip(BOXES, KINDS, SCORES, (16, 32, 8), strict=True):
        column, line, number = _place(box, stride)
        away = _distances(box, np.array([column, line]) * stride, stride)
        at = starts[stride] + number
        table[at, kind] = score
        table[at, CLASSES:] = np.concatenate([_bins(value, 8) for value in away])
    return {"output": table}


def yolo_heads() -> Outputs:
    maps = {s: np.full((64 + CLASSES, _cells(s)[1], _cells(s)[0]), -9, np.float32) for s in THREE}
    for box, kind, score, stride in zip(BOXES, KINDS, SCORES, (8, 16, 32), strict=True):
        column, line, _ = _place(box, stride)
        away = _distances(box, (np.array([column, line]) + 0.5) * stride, stride)
        maps[stride][:64, line, column] = np.concatenate([_bins(value, 16) for value in away])
        maps[stride][64 + kind, line, column] = _logit(score)
    return {f"p{stride}": maps[stride] for stride in (32, 8, 16)}


def yolov5_heads() -> Outputs:
    anchors = {8: (33, 23, 2), 16: (59, 119, 2), 32: (116, 90, 0)}
    maps = {s: np.full((3, _cells(s)[1], _cells(s)[0], 5 + CLASSES), -9, np.float32) for s in THREE}
    for box, kind, score, stride in zip(BOXES, KINDS, SCORES, (16, 32, 8), strict=True):
        column, line, _ = _place(box, stride)
        x, y, w, h = _centred(box)
        wide, high, anchor = anchors[stride]
        cell = maps[stride][anchor, line, column]
        cell[:2] = _logit((np.array([x / stride - column, y / stride - line]) + 0.5) / 2)
        cell[2:4] = _logit(np.sqrt(np.array([w / wide, h / high])) / 2)
        cell[4], cell[5 + kind] = _logit(score), 20
    return {f"p{stride}": maps[stride] for stride in (8, 32, 16)}


def fastestdet() -> Outputs:
    columns, lines = _cells(16)
    values = np.zeros((5 + CLASSES, lines, columns), np.float32)
    for box, kind, score in zip(BOXES, KINDS, SCORES, strict=True):
        column, line, _ = _place(box, 16)
        x, y, w, h = _centred(box)
        values[0, line, column], values[5 + kind, line, column] = score, score
        values[1:3, line, column] = np.arctanh([x / 16 - column, y / 16 - line])
        values[3:5, line, column] = _logit(np.array([w / SIZE[0], h / SIZE[1]]))
    return {"758": values}


def ssd() -> Outputs:
    table = np.zeros((1, 5, 7), np.float32)
    table[0, :3] = np.concatenate(
        [np.zeros((3, 1)), KINDS[:, None] + 1, SCORES[:, None], BOXES / (SIZE * 2)], 1
    )
    table[0, 3] = 0, 0, 0.99, 0, 0, 1, 1  # the background is no object
    return {"detection_out": table}


def ssd_lists() -> Outputs:
    return {
        "boxes": (BOXES / (SIZE * 2))[:, [1, 0, 3, 2]],
        "classes": KINDS.astype(np.float32),
        "scores": SCORES,
        "count": np.array(3, np.float32),
    }


def retinanet() -> Outputs:
    placed = _anchors(SIZE)
    scores = np.full((len(placed), CLASSES), -8, np.float32)
    offsets = np.zeros((len(placed), 4), np.float32)
    for box, kind, score in zip(BOXES, KINDS, SCORES, strict=True):
        x, y, w, h = _centred(box)
        at = int(np.abs(placed - [x, y, w, h]).sum(axis=1).argmin())
        ax, ay, aw, ah = placed[at]
        offsets[at] = (x - ax) / aw, (y - ay) / ah, np.log(w / aw), np.log(h / ah)
        scores[at, kind] = _logit(score)
    return {"cls_logits": scores, "bbox_regression": offsets}


FAMILIES: dict[str, Callable[[], Outputs]] = {
    "yolo": yolo,
    "yolov5": yolov5,
    "end-to-end": end_to_end,
    "yolox": yolox,
    "yolox-decoded": yolox_decoded,
    "nanodet": nanodet,
    "yolo-heads": yolo_heads,
    "yolov5-heads": yolov5_heads,
    "fastestdet": fastestdet,
    "ssd": ssd,
    "ssd-lists": ssd_lists,
    "retinanet": retinanet,
}
NAMED = ("yolox-decoded",)


def decoder_of(name: str, outputs: Outputs) -> Decoder:
    """The decoder that is told by the shapes, or named where shapes can't tell."""
    known = Known([spec(key, value) for key, value in outputs.items()], SIZE)
    return recognise(known, name if name in NAMED else None)
