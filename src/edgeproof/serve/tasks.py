"""The tasks that can be served: one row each. The front knows them by this; only workers import what answers.

To serve another task: one file in `answers/`, one row here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# A drawn picture is for people to look at: its short side is no smaller than this, where it has as much.
DRAWN_SIDE = 720
_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}


@dataclass(frozen=True)
class TaskRow:
    """One task.

    Attributes:
        title: a few words, for people.
        cover: pixels that the short side of a picture keeps when it is decoded: what a request costs.
        answer: "module:class" of what answers, imported in workers only; see `answers.protocol`.
        result: JSON schema of what stands under `result` for one picture.
    """

    title: str
    cover: int
    answer: str
    result: Mapping[str, Any] = field(default_factory=dict)


TASK_ROWS: Mapping[str, TaskRow] = {
    "orientation": TaskRow(
        title="Is the photo turned?",
        cover=288,
        answer="edgeproof.serve.answers.orientation:OrientationAnswer",
        result={
            "type": "object",
            "required": ["turn", "confidence", "decision", "probabilities", "exif_orientation"],
            "properties": {
                "turn": {"type": "integer", "enum": [0, 90, 180, 270]},
                "confidence": _PROBABILITY,
                "decision": {"type": "string", "enum": ["keep", "turn", "unsure"]},
                "probabilities": {"type": "object", "additionalProperties": _PROBABILITY},
                "exif_orientation": {"type": "integer", "minimum": 1, "maximum": 8},
            },
        },
    ),
}
