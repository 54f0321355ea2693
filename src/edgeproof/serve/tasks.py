"""The tasks that can be served: one row each. The front knows them by this; only workers import what answers.

To serve another task: one file in `answers/`, one row here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# A drawn picture is for people to look at: its short side is no smaller than this, where it has as much.
DRAWN_SIDE = 720
# Names of `--model` for what a task has beside its own network: another detector of faces, which all tasks with faces
# then share, and the second of a pair (Levi and Hassner's).
PARTS = ("attributes-detector", "attributes-gender")
_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}
# What looking for faces at 640 pixels takes, measured with two pictures at once; what is said of four of them is less.
_FACE_RUN = 20_000_000
# A nano detector of objects (YOLOX, YOLO11) at 640 pixels.
_DETECT_RUN = 40_000_000


@dataclass(frozen=True)
class TaskRow:
    """One task.

    Attributes:
        title: a few words, for people.
        cover: pixels that the short side of a picture keeps when it is decoded: what a request costs.
        answer: "module:class" of what answers, imported in workers only; see `answers.protocol`.
        result: JSON schema of what stands under `result` for one picture.
        run_bytes: what a run takes at the most beside the picture: activations, the interpreter's own.
        by_default: served where no task was asked for.
        needs_model: it has no network of its own: one comes with `--model TASK=FILE`.
    """

    title: str
    cover: int
    answer: str
    result: Mapping[str, Any] = field(default_factory=dict)
    run_bytes: int = 6_000_000
    by_default: bool = True
    needs_model: bool = False

    def how_to_start(self, name: str) -> str:
        """The options that serve it."""
        return f"--model {name}=FILE" if self.needs_model else f"--task {name}"


_OBJECT: dict[str, Any] = {"type": "object"}
_BOX = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4}
# xyxy in pixels of the upright picture, and the same as shares of its width and height.
_FOUND: dict[str, Any] = {"bbox": _BOX, "bbox_normalised": _BOX, "score": _PROBABILITY}
_POINTS = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}


def _maybe(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _record(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _list_of(name: str, rows: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return _record(**{name: {"type": "array", "items": rows}}, **more)


_AGE = _record(
    bucket={"type": "string"},
    years={"type": "number"},
    low=_maybe({"type": "number"}),
    high=_maybe({"type": "number"}),
    probability=_maybe(_PROBABILITY),
)
_GENDER = _record(label={"type": "string", "enum": ["Female", "Male"]}, probability=_PROBABILITY)

TASK_ROWS: Mapping[str, TaskRow] = {
    "attributes": TaskRow(
        title="How old, and which gender?",
        # The detector looks at 640 pixels of the long side; the faces are cut from what is decoded.
        cover=720,
        answer="edgeproof.serve.answers.attributes:AttributesAnswer",
        result=_list_of(
            "faces",
            _record(**_FOUND, age=_maybe(_AGE), gender=_maybe(_GENDER), unsure={"type": "boolean"}),
        ),
        run_bytes=_FACE_RUN,
    ),
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
    "faces": TaskRow(
        title="Where are faces?",
        cover=720,
        answer="edgeproof.serve.answers.faces:FacesAnswer",
        result=_list_of("faces", _record(**_FOUND, kps=_maybe(_POINTS))),
        run_bytes=_FACE_RUN,
        by_default=False,
    ),
    "embeddings": TaskRow(
        title="Which vector has each face?",
        cover=720,
        answer="edgeproof.serve.answers.embeddings:EmbeddingsAnswer",
        result=_list_of(
            "faces",
            _record(
                **_FOUND,
                kps=_maybe(_POINTS),
                embedding=_maybe({"type": "array", "items": {"type": "number"}}),
                quality=_maybe(_OBJECT),
            ),
            model={"type": "string"},
            threshold=_maybe({"type": "number"}),
            recognizer=_record(
                sha256={"type": "string"}, dimensions={"type": "integer"}, side={"type": "integer"}
            ),
        ),
        run_bytes=_FACE_RUN,
        by_default=False,
    ),
    "detect": TaskRow(
        title="Which things are there?",
        cover=640,
        answer="edgeproof.serve.answers.detect:DetectAnswer",
        result=_list_of(
            "detections",
            _record(**_FOUND, class_id={"type": "integer"}, label=_maybe({"type": "string"})),
        ),
        run_bytes=_DETECT_RUN,
        by_default=False,
        needs_model=True,
    ),
}
