"""The Open Inference Protocol, version 2: every open network, as KServe, Triton and their clients speak."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from edgeproof._version import __version__
from edgeproof.serve.body import BodyReader, stated_length
from edgeproof.serve.endpoints import Endpoint, Json
from edgeproof.serve.http_errors import HttpError
from edgeproof.serve.service import Service

_JSON_LENGTH = "inference-header-content-length"
_PUBLIC = ("name", "platform", "inputs", "outputs")


async def _server(_service: Service, _request: Request) -> Response:
    return Json({"name": "edgeproof", "version": __version__, "extensions": ["binary_tensor_data"]})


async def _live(_service: Service, _request: Request) -> Response:
    return Json({"live": True})


async def _ready(service: Service, _request: Request) -> Response:
    if not service.ready:
        raise HttpError(503, "not_ready", "No worker is ready.", retry_after=1)
    return Json({"ready": True})


def _model_of(service: Service, request: Request) -> dict[str, Any]:
    return service.model(request.path_params["model"], request.path_params.get("version"))


async def _model(service: Service, request: Request) -> Response:
    model = _model_of(service, request)
    return Json({**{name: model[name] for name in _PUBLIC}, "versions": ["1"]})


async def _model_ready(service: Service, request: Request) -> Response:
    name = _model_of(service, request)["name"]
    if not service.ready:
        raise HttpError(503, "not_ready", "No worker is ready.", retry_after=1)
    return Json({"name": name, "ready": True})


async def _infer(service: Service, request: Request) -> Response:
    name = _model_of(service, request)["name"]
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HttpError(415, "unsupported_encoding", "Compressed bodies are not taken.")
    json_bytes = _json_bytes(request)
    settings = service.settings
    size = stated_length(request, settings.max_upload)
    async with service.admission.holding_body(size):
        reader = BodyReader(request, settings.max_upload, settings.body_grace_s + size / settings.body_rate)
        data, length = await service.infer(name, await reader.whole(), json_bytes)
    if length == len(data):
        return Response(data, media_type="application/json")
    return Response(
        data, media_type="application/octet-stream", headers={"Inference-Header-Content-Length": str(length)}
    )


def _json_bytes(request: Request) -> int | None:
    text = request.headers.get(_JSON_LENGTH)
    if text is None:
        return None
    if not text.isdecimal() or not text.isascii() or len(text) > 12:
        raise HttpError(400, "bad_length", "Inference-Header-Content-Length is no number.")
    return int(text)


_TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {"type": "string"},
        "parameters": {"type": "object"},
        "data": {"type": "array", "items": {}},
    },
}
_REQUEST = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "inputs": {"type": "array", "items": _TENSOR},
        "outputs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "parameters": {"type": "object"}},
            },
        },
    },
}


def _object(*names: str) -> dict[str, Any]:
    schema = {"type": "object", "required": list(names), "properties": {name: {} for name in names}}
    return {"200": {"description": "Done.", "content": {"application/json": {"schema": schema}}}}


_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": _REQUEST},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    },
}
_ANSWERS = _object("model_name", "outputs")
_ANSWERS["200"]["content"]["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}


def _of_models(method: str, rest: str, handler: Any, scope: str, summary: str, **more: Any) -> list[Endpoint]:
    starts = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
    return [
        Endpoint(method, start + rest, handler, scope, summary, protocol=True, **more) for start in starts
    ]


ENDPOINTS = (
    Endpoint(
        "GET", "/v2", _server, "", "What this server is.", protocol=True, answers=_object("name", "version")
    ),
    Endpoint("GET", "/v2/health/live", _live, "", "Whether it runs.", protocol=True, answers=_object("live")),
    Endpoint(
        "GET",
        "/v2/health/ready",
        _ready,
        "",
        "Whether it takes work.",
        protocol=True,
        answers=_object("ready"),
    ),
    *_of_models(
        "GET", "", _model, "infer", "A network's tensors.", answers=_object("name", "inputs", "outputs")
    ),
    *_of_models(
        "GET", "/ready", _model_ready, "infer", "Whether it can run.", answers=_object("name", "ready")
    ),
    *_of_models("POST", "/infer", _infer, "infer", "Run it.", bounded=True, body=_BODY, answers=_ANSWERS),
)
