"""The service about itself: the page, its health, its figures, its description."""

from __future__ import annotations

import asyncio
import os
import time
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from edgeproof._version import __version__
from edgeproof.serve.endpoints import Endpoint, Json
from edgeproof.serve.http_errors import HttpError
from edgeproof.serve.memory import pss_bytes
from edgeproof.serve.metrics import CONTENT_TYPE, gauge
from edgeproof.serve.openapi import describe
from edgeproof.serve.service import Service, group_of
from edgeproof.serve.tasks import TASK_ROWS


async def _health(service: Service, _request: Request) -> Response:
    if not service.ready:
        raise HttpError(503, "not_ready", "It ends, or no worker is ready.", retry_after=1)
    return Json({"status": "ok", "version": __version__})


async def _status(service: Service, _request: Request) -> Response:
    memory = _memory(service)
    return Json(
        {
            "version": __version__,
            "tasks": [{"name": name, "title": TASK_ROWS[name].title} for name in service.settings.served],
            "collections": list(service.galleries.facts) if service.galleries else [],
            "models": [
                {
                    "name": model["name"],
                    "engine": model["engine"],
                    "provider": model["provider"],
                    "loaded": group_of(model) in service.used,
                }
                for model in service.models
            ],
            "memory_bytes": sum(memory.values()),
            "memory_budget_bytes": service.settings.memory,
            "running": service.pool.busy,
            "waiting": service.pool.waiting + service.admission.waiting,
            "places": service.admission.places,
            "workers": len(service.pool.pids),
            "max_upload_bytes": service.settings.max_upload,
            "seconds_up": round(time.time() - service.started, 1),
        }
    )


async def _metrics(service: Service, _request: Request) -> Response:
    memory = {(name,): float(size) for name, size in _memory(service).items()}
    loaded = {
        (model["name"], model["engine"], model["provider"]): float(group_of(model) in service.used)
        for model in service.models
    }
    machine = await asyncio.to_thread(service.machine.lines)  # some meters are asked by running a program
    now: dict[tuple[str, str], float] = {
        ("edgeproof_queue_depth", "Runs that wait for memory or for a worker."): (
            service.pool.waiting + service.admission.waiting
        ),
        ("edgeproof_running", "Runs under way."): service.pool.busy,
        ("edgeproof_workers", "Workers that are ready."): len(service.pool.pids),
        ("edgeproof_memory_budget_bytes", "What all processes may take."): service.settings.memory,
        ("edgeproof_start_time_seconds", "When it started, since 1970."): service.started,
    }
    lines = [
        *service.metrics.lines(),
        *(service.galleries.lines() if service.galleries else ()),
        *gauge(
            "edgeproof_memory_resident_bytes",
            "Proportional set size, so that the sum is what is really taken.",
            ("process",),
            memory,
        ),
        *gauge(
            "edgeproof_model_loaded",
            "Whether a network is in memory.",
            ("model", "engine", "provider"),
            loaded,
        ),
        *machine,
    ]
    for (name, about), value in now.items():
        lines += gauge(name, about, (), {(): float(value)})
    return Response("\n".join(lines) + "\n", media_type=None, headers={"content-type": CONTENT_TYPE})


def _memory(service: Service) -> dict[str, int]:
    pids = {"front": os.getpid(), **{f"worker-{n}": pid for n, pid in enumerate(service.pool.pids)}}
    if service.galleries:
        pids.update(("gallery", pid) for pid in service.galleries.pool.pids)
    sizes = {name: pss_bytes(pid) for name, pid in pids.items()}
    return {name: size for name, size in sizes.items() if size is not None}


async def _openapi(service: Service, request: Request) -> Response:
    return Json(describe(request.scope["endpoints"], open_to_all=service.access.open))


async def _page(_service: Service, _request: Request) -> Response:
    return Response((files("edgeproof.serve") / "page.html").read_bytes(), media_type="text/html")


def _document(description: str, kind: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"200": {"description": description, "content": {kind: {"schema": schema or {"type": "string"}}}}}


_OBJECT = {"type": "object"}
ENDPOINTS = (
    Endpoint("GET", "/", _page, "", "A page to try it with.", answers=_document("The page.", "text/html")),
    Endpoint(
        "GET", "/healthz", _health, "", "Whether it takes requests.",
        answers=_document("It does.", "application/json", _OBJECT),
    ),
    Endpoint(
        "GET", "/status", _status, "infer", "What it serves, its load and its memory.",
        answers=_document("The figures.", "application/json", _OBJECT),
    ),
    Endpoint(
        "GET", "/metrics", _metrics, "admin", "The same and more, for Prometheus.",
        answers=_document("Text format 0.0.4.", "text/plain"),
    ),
    Endpoint(
        "GET", "/openapi.json", _openapi, "", "This description.",
        answers=_document("OpenAPI 3.1.", "application/json", _OBJECT),
    ),
)  # fmt: skip
