"""Whether two pictures show the same person: /v1/compare, which comes with the task `embeddings`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from edgeproof.serve.body import stated_length
from edgeproof.serve.endpoints import Endpoint, Json
from edgeproof.serve.http_errors import HttpError
from edgeproof.serve.routes.pictures import picture_body, read_pictures
from edgeproof.serve.service import Service

TASK = "embeddings"
_SIDES = ("a", "b")


def endpoints(tasks: Sequence[str]) -> list[Endpoint]:
    """The one route, where the task is served."""
    row = Endpoint(
        "POST",
        "/v1/compare",
        _compare,
        "infer",
        "Two pictures: do their largest faces belong to one person?",
        bounded=True,
        body=picture_body(least=2, most=2),
        answers=_ANSWERS,
    )
    return [row] if TASK in tasks else []


async def _compare(service: Service, request: Request) -> Response:
    size = stated_length(request, service.settings.max_upload)
    async with service.admission.holding_body(size):
        pictures = await read_pictures(service, request, size)
        if len(pictures) != 2:
            raise HttpError(
                400, "two_images", f"It compares two pictures, and got {len(pictures)}: send `image` twice."
            )
        documents = [
            await _look(service, side, picture) for side, picture in zip(_SIDES, pictures, strict=True)
        ]
    return Json({"request_id": request.scope["request_id"], **_compared(documents)})


async def _look(service: Service, side: str, picture: bytes) -> dict[str, Any]:
    try:
        return (await service.look(TASK, picture))[0]
    except HttpError as problem:
        problem.details["image"] = side
        raise


def _compared(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    faces = [
        _largest(side, document["result"]["faces"]) for side, document in zip(_SIDES, documents, strict=True)
    ]
    one, two = (face["embedding"] for face in faces)
    similarity = max(-1.0, min(1.0, sum(a * b for a, b in zip(one, two, strict=True))))
    result = documents[0]["result"]
    threshold = result["threshold"]
    sides = {
        side: {
            "width": document["width"],
            "height": document["height"],
            "faces": len(document["result"]["faces"]),
            **{name: value for name, value in face.items() if name != "embedding"},
        }
        for side, document, face in zip(_SIDES, documents, faces, strict=True)
    }
    return {
        "similarity": round(similarity, 6),
        "same": None if threshold is None else similarity >= threshold,
        "threshold": threshold,
        "model": result["model"],
        **sides,
    }


def _largest(side: str, faces: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The largest face, if it is one that can be compared."""
    if not faces:
        raise HttpError(422, "no_face", f"There is no face in picture {side}.", details={"image": side})
    face = max(faces, key=_area)
    if face["embedding"] is None:
        raise HttpError(
            422, "no_face", f"The largest face of picture {side} can't be aligned.", details={"image": side}
        )
    return face


def _area(face: Mapping[str, Any]) -> float:
    x1, y1, x2, y2 = face["bbox"]
    return float((x2 - x1) * (y2 - y1))


_SIDE = {
    "type": "object",
    "required": ["width", "height", "faces", "bbox", "bbox_normalised", "score", "quality"],
}
_PROPERTIES = {
    "request_id": {"type": "string"},
    "similarity": {"type": "number", "minimum": -1, "maximum": 1},
    "same": {"type": ["boolean", "null"]},
    "threshold": {"type": ["number", "null"]},
    "model": {"type": "string"},
    **dict.fromkeys(_SIDES, _SIDE),
}
_ANSWERS = {
    "200": {
        "description": "The cosine of the two, and what it means.",
        "content": {
            "application/json": {
                "schema": {"type": "object", "required": list(_PROPERTIES), "properties": _PROPERTIES}
            }
        },
    }
}
