"""Objects in a picture: where they are, what they are, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import InputError
from edgeproof.core.extras import require

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Detections:
    """All objects of one picture, best first; the names are those of the supervision library.

    Attributes:
        xyxy: float32 (N, 4), in pixels of the upright picture.
        confidence: float32 (N,), 0 to 1.
        class_id: int64 (N,), from 0.
        data: more about each, by name: arrays of length N. `class_name` is there where the names are known, and
            `track_id` (int64; -1 for none yet) where objects are followed from frame to frame.
    """

    xyxy: Floats
    confidence: Floats
    class_id: NDArray[np.int64]
    data: dict[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.confidence)
        wanted: dict[str, tuple[NDArray[Any], type, tuple[int, ...]]] = {
            "xyxy": (self.xyxy, np.float32, (count, 4)),
            "confidence": (self.confidence, np.float32, (count,)),
            "class_id": (self.class_id, np.int64, (count,)),
        }
        for name, (value, kind, shape) in wanted.items():
            if value.shape != shape or value.dtype != kind:
                raise InputError(
                    f"{name} is {value.dtype} {list(value.shape)}.",
                    hint=f"Expected {np.dtype(kind)} {list(shape)}.",
                )
            if not np.isfinite(value).all():
                raise InputError(
                    f"{name} has numbers that are not finite.",
                    hint="The network gave NaN or infinity: check its file.",
                )
        for name, value in self.data.items():
            if len(value) != count:
                raise InputError(f"data[{name!r}] has {len(value)} rows.", hint=f"Expected {count}.")

    def __len__(self) -> int:
        return len(self.confidence)

    @staticmethod
    def none() -> Detections:
        """No object."""
        return Detections(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int64))

    def take(self, places: NDArray[np.intp] | NDArray[np.bool_]) -> Detections:
        """Some of them, by index or mask."""
        return Detections(
            self.xyxy[places],
            self.confidence[places],
            self.class_id[places],
            {name: value[places] for name, value in self.data.items()},
        )

    def named(self, names: Sequence[str]) -> Detections:
        """With `class_name` in their data; a class beyond the names is called by its number."""
        said = [names[place] if 0 <= place < len(names) else str(place) for place in self.class_id.tolist()]
        return Detections(
            self.xyxy, self.confidence, self.class_id, {**self.data, "class_name": np.array(said, dtype=str)}
        )

    def to_supervision(self) -> Any:
        """As `supervision.Detections`: for its tracking, zones and line counting.

        Raises:
            MissingExtraError: that library is not installed.
        """
        library = require("supervision", extra="supervision", purpose="Handing detections to supervision")
        more = dict(self.data)
        tracks = more.pop("track_id", None)
        return library.Detections(
            xyxy=self.xyxy,
            confidence=self.confidence,
            class_id=self.class_id,
            tracker_id=tracks,
            data=more,
        )

    def as_json(self) -> list[dict[str, Any]]:
        """CONTRACT's `detections`; with `track_id` where objects are followed, null for one without a number yet."""
        names, tracks = self.data.get("class_name"), self.data.get("track_id")
        return [
            {
                "bbox": [round(float(value), 2) for value in self.xyxy[row]],
                "score": round(float(self.confidence[row]), 6),
                "class_id": int(self.class_id[row]),
                "label": None if names is None else str(names[row]),
                **({} if tracks is None else {"track_id": int(tracks[row]) if tracks[row] >= 0 else None}),
            }
            for row in range(len(self))
        ]
