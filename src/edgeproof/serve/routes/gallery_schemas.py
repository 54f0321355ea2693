"""What the routes of collections take and answer, as /openapi.json says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgeproof.serve.http_errors import HttpError

# Somebody who may search learns names by it: a short list for each face is enough to see what was close.
_MOST_CANDIDATES = 10
_MOST_PEOPLE = 1000

NAME: Mapping[str, Any] = {"name": {"type": "string", "minLength": 1, "maxLength": 200}}
PAGE: Mapping[str, Any] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": _MOST_PEOPLE, "default": 100},
    "after": {"type": "integer", "minimum": 0, "maximum": 2**53, "default": 0},
}
SEARCH: Mapping[str, Any] = {
    "top": {"type": "integer", "minimum": 1, "maximum": _MOST_CANDIDATES, "default": 5},
    "threshold": {"type": "number", "minimum": -1, "maximum": 1},
    "margin": {"type": "number", "minimum": 0, "maximum": 2},
}
ENROL: Mapping[str, Any] = {
    "largest": {"type": "boolean", "default": False},
    "force": {"type": "boolean", "default": False},
    "keep_crops": {"type": "boolean", "default": False},
    "retain": {"type": "string", "maxLength": 20},
}


def failed(problem: HttpError) -> dict[str, Any]:
    """The row of a picture that couldn't be used for enrolling."""
    return {
        "decision": "error",
        "reasons": [],
        "template": None,
        "bbox": None,
        "quality": None,
        "error": problem.as_json(),
    }


def _maybe(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _record(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _rows(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


def _answer(description: str, schema: Mapping[str, Any], kind: str = "application/json") -> dict[str, Any]:
    return {"200": {"description": description, "content": {kind: {"schema": schema}}}}


_TEXT, _WHOLE, _NUMBER = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "number"}
_SIMILARITY = {"type": "number", "minimum": -1, "maximum": 1}
_BOX = {"type": "array", "items": _NUMBER, "minItems": 4, "maxItems": 4}
_ERROR = _maybe({"$ref": "#/components/schemas/Error"})
_ID = {"request_id": _TEXT}

_COLLECTION = {
    "name": _TEXT,
    "people": _WHOLE,
    "templates": _WHOLE,
    "model": _TEXT,
    "model_sha256": _TEXT,
    "dimensions": _WHOLE,
    "threshold": _SIMILARITY,
    "retain_s": _maybe(_WHOLE),
    "index_bytes": _WHOLE,
}
COLLECTIONS = _answer("All of them.", _record(**_ID, collections=_rows(_record(**_COLLECTION))))
COLLECTION = _answer("It.", _record(**_ID, **_COLLECTION))

_PERSON = {
    "number": _WHOLE,
    "name": _TEXT,
    "templates": _WHOLE,
    "crops": _WHOLE,
    "enrolled": _TEXT,
    "expires": _maybe(_TEXT),
}
PERSON = _answer("The person.", _record(**_ID, **_PERSON))
PEOPLE = _answer(
    "By number; `next` is the `after` of the next page.",
    _record(**_ID, people=_rows(_record(**_PERSON)), next=_maybe(_WHOLE)),
)
EXPORTED = _answer(
    "person.json and the kept crops.", {"type": "string", "format": "binary"}, "application/zip"
)
FORGOTTEN = _answer(
    "Gone. `scrubbed`: the database's files were cleaned at once.",
    _record(**_ID, forgotten=_TEXT, number=_WHOLE, templates=_WHOLE, scrubbed={"type": "boolean"}),
)
ENROLLED = _answer(
    "What became of each picture; at least one was enrolled.",
    _record(
        **_ID,
        collection=_TEXT,
        name=_TEXT,
        images=_rows(
            _record(
                decision={"type": "string", "enum": ["enrolled", "refused", "error"]},
                reasons=_rows(_TEXT),
                template=_maybe(_WHOLE),
                bbox=_maybe(_BOX),
                quality=_maybe({"type": "object"}),
                error=_ERROR,
            )
        ),
        summary=_record(enrolled=_WHOLE, refused=_WHOLE, errors=_WHOLE),
    ),
)
_FACE = _record(
    bbox=_BOX,
    bbox_normalised=_BOX,
    score=_NUMBER,
    candidates=_rows(_record(name=_TEXT, similarity=_SIMILARITY)),
    decision=_TEXT,
    similarity=_maybe(_SIMILARITY),
    margin=_maybe(_NUMBER),
    reason=_TEXT,
)
_RESULT = _record(faces=_rows(_FACE), threshold=_SIMILARITY, stale={"type": "boolean"}, model=_TEXT)
FOUND = _answer(
    "Who each face is: a name, or `unknown`.",
    _record(
        **_ID,
        collection=_TEXT,
        images=_rows(
            _record(
                width=_maybe(_WHOLE),
                height=_maybe(_WHOLE),
                result=_maybe(_RESULT),
                timing_ms=_maybe({"type": "object", "additionalProperties": _NUMBER}),
                error=_ERROR,
            )
        ),
    ),
)
