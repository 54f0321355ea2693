"""The ASGI application: finds the route, lets the request in, answers, counts."""

from __future__ import annotations

import re
import sys
import time
import traceback
import uuid
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from edgeproof.serve.body import DisconnectedError, throw_away
from edgeproof.serve.endpoints import Endpoint, Json
from edgeproof.serve.http_errors import HttpError
from edgeproof.serve.routes import endpoints
from edgeproof.serve.service import Service
from edgeproof.serve.tasks import TASK_ROWS

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

# Routes that come with a task of another name.
_PART_OF = {"compare": "embeddings"}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    # The page has everything in it; pictures that it shows come from where they were dropped.
    "content-security-policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
}


class App:
    """The application, for any ASGI server."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.endpoints = endpoints(service.settings)
        self._routes = [(_route(one), one) for one in self.endpoints]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        given = request.headers.get("x-request-id", "")
        scope["request_id"] = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope["endpoints"] = self.endpoints
        began = time.perf_counter()
        endpoint: Endpoint | None = None
        try:
            endpoint = self._find(scope)
            response = await self._let_in(endpoint, request)
        except DisconnectedError:
            response = Response(status_code=499)  # for the count: nobody is there to read it
        except HttpError as problem:
            self._service.metrics.rejections.add(problem.code)
            response = _refusal(await throw_away(request, problem), endpoint, scope)
        except Exception as error:  # a bug of ours: the one request fails, and says nothing of the inside
            _tell(error)
            internal = HttpError(
                500, "internal", "Something went wrong here; it is not your request's fault."
            )
            response = _refusal(internal, endpoint, scope)
        response.headers.update({**_HEADERS, "x-request-id": scope["request_id"]})
        route = endpoint.path if endpoint else "none"
        metrics = self._service.metrics
        metrics.requests.add(route, _method(scope), str(response.status_code))
        metrics.durations.observe(time.perf_counter() - began, route)
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> Endpoint:
        allowed, at = set(), {**scope, "path": _path_of(scope)}
        for route, endpoint in self._routes:
            match, more = route.matches(at)
            if match is Match.FULL:
                scope.update(more)
                return endpoint
            if match is Match.PARTIAL:
                allowed |= route.methods or set()
        if allowed:
            methods = ", ".join(sorted(allowed))
            raise HttpError(405, "method_not_allowed", f"It takes {methods}.", headers={"allow": methods})
        raise _nothing_at(scope["path"])

    async def _let_in(self, endpoint: Endpoint, request: Request) -> Response:
        service = self._service
        caller = service.access.check(request.headers, endpoint.scope)
        if not endpoint.bounded:
            return await endpoint.handler(service, request)
        if not service.ready and service.draining:
            raise HttpError(
                503, "ending", "The service ends.", retry_after=5, headers={"connection": "close"}
            )
        with service.admission.place(caller):
            return await endpoint.handler(service, request)


def _path_of(scope: Scope) -> str:
    """The path for finding a route: a slash that was sent as %2F belongs to a name and parts nothing."""
    raw = scope.get("raw_path") or b""
    if b"%2f" not in raw.lower():
        return str(scope["path"])
    return "/".join(
        unquote_to_bytes(part).decode(errors="replace").replace("/", "%2F") for part in raw.split(b"/")
    )


def _nothing_at(path: str) -> HttpError:
    if path.startswith("/v1/collections"):
        return HttpError(
            404,
            "no_such_route",
            "There is nothing here: no gallery is served, or a name has a slash that was not sent as %2F.",
            details={"hint": "edgeproof serve --gallery FILE"},
        )
    task = path.removeprefix("/v1/")
    task = _PART_OF.get(task, task)
    if path.startswith("/v1/") and task in TASK_ROWS:
        return HttpError(
            404,
            "task_not_served",
            f"The task {task!r} is not served: start the service with {TASK_ROWS[task].how_to_start(task)}.",
            details={"hint": f"edgeproof serve {TASK_ROWS[task].how_to_start(task)}"},
        )
    return HttpError(404, "no_such_route", "There is nothing here; /openapi.json lists what there is.")


def _route(endpoint: Endpoint) -> Route:
    async def never() -> None:
        """starlette wants a function; ours takes more than it would give."""

    return Route(endpoint.path, never, methods=[endpoint.method])


def _refusal(problem: HttpError, endpoint: Endpoint | None, scope: Scope) -> Response:
    error, request_id = problem.as_json(), scope["request_id"]
    protocol = endpoint.protocol if endpoint else scope["path"].startswith("/v2/")
    document = (
        {
            "error": error["message"],
            "code": error["code"],
            "details": error["details"],
            "request_id": request_id,
        }
        if protocol
        else {"error": error, "request_id": request_id}
    )
    return Json(document, problem.status, headers=problem.headers)


def _method(scope: Scope) -> str:
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return scope["method"] if scope["method"] in known else "other"


def _tell(error: Exception) -> None:
    """Where it happened, never with what: a value in a message may come from a picture."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"
    print(f"edgeproof serve: {type(error).__name__} at {place}", file=sys.stderr)  # noqa: T201
