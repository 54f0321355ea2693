"""Pictures in, what a task says of them out: /predict and /v1/TASK."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from edgeproof.serve import multipart
from edgeproof.serve.body import BodyReader, stated_length
from edgeproof.serve.endpoints import Endpoint, Handler, Json
from edgeproof.serve.http_errors import HttpError
from edgeproof.serve.service import Service
from edgeproof.serve.tasks import TASK_ROWS

FIELDS = ("image", "images")
_BINARY = {"type": "string", "format": "binary"}


def endpoints(tasks: Sequence[str]) -> list[Endpoint]:
    """/predict is the first task's."""
    rows = [
        Endpoint(
            "POST",
            "/predict",
            _predict(tasks[0]),
            "infer",
            f"One picture: {TASK_ROWS[tasks[0]].title}",
            bounded=True,
            body=picture_body(most=1),
            answers=_answers(tasks[0], several=False),
        )
    ]
    return rows + [
        Endpoint(
            "POST",
            f"/v1/{task}",
            _several(task),
            "infer",
            f"One or several pictures: {TASK_ROWS[task].title}",
            bounded=True,
            body=picture_body(),
            answers=_answers(task, several=True),
        )
        for task in tasks
    ]


def _predict(task: str) -> Handler:
    async def predict(service: Service, request: Request) -> Response:
        return await _answer(service, request, task, one=True)

    return predict


def _several(task: str) -> Handler:
    async def several(service: Service, request: Request) -> Response:
        return await _answer(service, request, task, one=False)

    return several


async def _answer(service: Service, request: Request, task: str, *, one: bool) -> Response:
    draw = _wants_jpeg(request)
    limit = service.settings.max_upload
    size = stated_length(request, limit)
    async with service.admission.holding_body(size):
        pictures = await read_pictures(service, request, size)
        if (one or draw) and len(pictures) != 1:
            raise HttpError(400, "one_image", f"It takes one picture here, and got {len(pictures)}.")
        if one or draw:
            document, drawn = await service.look(task, pictures[0], draw=draw)
            if draw:
                return Response(drawn, media_type="image/jpeg")
            return Json({"request_id": request.scope["request_id"], "task": task, **document})
        rows = [await _row(service, task, picture) for picture in pictures]
    if all(isinstance(row, HttpError) for row in rows):
        raise next(row for row in rows if isinstance(row, HttpError))
    images = [_failed(row) if isinstance(row, HttpError) else {**row, "error": None} for row in rows]
    return Json({"request_id": request.scope["request_id"], "task": task, "images": images})


async def _row(service: Service, task: str, picture: bytes) -> dict[str, Any] | HttpError:
    try:
        return (await service.look(task, picture))[0]
    except HttpError as problem:
        return problem


def _failed(problem: HttpError) -> dict[str, Any]:
    return {"width": None, "height": None, "result": None, "timing_ms": None, "error": problem.as_json()}


async def read_pictures(service: Service, request: Request, size: int) -> list[bytes]:
    """The pictures of a request whose body has at most `size` bytes, at least one.

    Raises:
        HttpError: there is none, there are too many, or they came too slowly.
    """
    settings = service.settings
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    seconds = settings.body_grace_s + size / settings.body_rate
    reader = BodyReader(request, settings.max_upload, seconds)
    if kind == "multipart/form-data":
        boundary = multipart.boundary_of(content_type)
        pictures = await multipart.read_files(reader.pieces(), boundary, FIELDS, settings.max_images)
    elif kind.startswith("image/") or kind == "application/octet-stream":
        pictures = [data] if (data := await reader.whole()) else []
    else:
        raise HttpError(
            415,
            "unsupported_type",
            "Send a form (multipart/form-data) with the field `image`, or a picture itself (image/jpeg ...).",
        )
    if not pictures:
        raise HttpError(400, "no_image", "There is no picture in the request: the field is called `image`.")
    await asyncio.sleep(0)
    return pictures


def _wants_jpeg(request: Request) -> bool:
    kinds = [kind.partition(";")[0].strip() for kind in request.headers.get("accept", "").split(",")]
    return "image/jpeg" in kinds and "application/json" not in kinds


def picture_body(*, least: int = 1, most: int | None = None) -> dict[str, Any]:
    """What /openapi.json says of a body with so many pictures; one alone may be the body itself."""
    several: dict[str, Any] = {"type": "array", "items": _BINARY, "minItems": least}
    field = _BINARY if most == 1 else several if most is None else {**several, "maxItems": most}
    form = {"type": "object", "required": ["image"], "properties": {"image": field}}
    kinds = ("image/jpeg", "image/png", "image/webp", "application/octet-stream") if least == 1 else ()
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": form},
            **{kind: {"schema": _BINARY} for kind in kinds},
        },
    }


def _answers(task: str, *, several: bool) -> dict[str, Any]:
    result = dict(TASK_ROWS[task].result)
    timing = {"type": "object", "additionalProperties": {"type": "number", "minimum": 0}}
    size = {"type": "integer", "minimum": 1}
    fields = {"width": size, "height": size, "result": result, "timing_ms": timing}
    named = {"request_id": {"type": "string"}, "task": {"const": task}}
    if several:
        failed = {name: {"anyOf": [schema, {"type": "null"}]} for name, schema in fields.items()}
        row = {
            "type": "object",
            "required": [*fields, "error"],
            "properties": {
                **failed,
                "error": {"anyOf": [{"$ref": "#/components/schemas/Error"}, {"type": "null"}]},
            },
        }
        properties: dict[str, Any] = {**named, "images": {"type": "array", "items": row}}
    else:
        properties = {**named, **fields}
    schema = {"type": "object", "required": list(properties), "properties": properties}
    return {
        "200": {
            "description": "What was found.",
            "content": {"application/json": {"schema": schema}, "image/jpeg": {"schema": _BINARY}},
        }
    }
