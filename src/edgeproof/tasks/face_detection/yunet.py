"""YuNet (Wu et al. 2023, "YuNet: A Tiny Millisecond-level Face Detector"): no anchors, one answer a place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeproof.core.tensor import Array, TensorSpec
from edgeproof.tasks.face_detection.decoder import (
    Candidates,
    Decoder,
    Form,
    cells,
    check_count,
    chosen,
    rows,
    taken,
)

_STRIDES = (8, 16, 32)
_PARTS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}


@dataclass(frozen=True)
class YuNet(Decoder):
    """Outputs cls, obj, bbox and kps for each of the strides 8, 16 and 32; the score is sqrt(cls * obj)."""

    name = "yunet"
    expects = "cls_8, cls_16, cls_32, and obj, bbox and kps alike"
    form = Form(bgr=True)
    confidence = 0.7
    doubt = 0.3
    iou = 0.5  # 0.6 points of AP50 more than 0.45, where suppression at 0.7 leaves the same faces

    @classmethod
    def match(cls, outputs: Sequence[TensorSpec]) -> YuNet | None:
        """By the outputs' names."""
        names = {spec.name for spec in outputs}
        wanted = {f"{part}_{stride}" for part in _PARTS for stride in _STRIDES}
        return cls() if wanted <= names else None

    def decode(self, outputs: Mapping[str, Array], size: tuple[int, int], least: float) -> Candidates:
        """See `Decoder.decode`."""
        levels = [self._level(outputs, stride, size, least) for stride in _STRIDES]
        boxes, scores, marks = (np.concatenate(part) for part in zip(*levels, strict=True))
        return Candidates(boxes, scores, marks)

    def _level(
        self, outputs: Mapping[str, Array], stride: int, size: tuple[int, int], least: float
    ) -> tuple[Any, Any, Any]:
        kind, there, bbox, kps = (rows(outputs[f"{part}_{stride}"], width) for part, width in _PARTS.items())
        columns, lines = cells(size, stride)
        for part in (kind, there, bbox, kps):
            check_count(len(part), columns * lines, size)
        product = np.clip(kind[:, 0], 0, 1) * np.clip(there[:, 0], 0, 1)
        places, scores = chosen(np.sqrt(product), least)
        cell = np.stack([places % columns, places // columns], axis=1).astype(np.float32)
        box = taken(bbox, places)
        middle = (box[:, :2] + cell) * stride
        half = np.exp(box[:, 2:]) * (stride / 2)
        marks = (taken(kps, places).reshape(-1, 5, 2) + cell[:, None]) * stride
        return np.concatenate([middle - half, middle + half], axis=1), scores, marks
