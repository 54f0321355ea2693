"""What a request is answered when it can't be done: a status, a code, a message, and when to come again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgeproof.core.errors import EdgeproofError

# The codes of core.errors; what isn't here is our fault or the model's, and no request's: 500.
_STATUS = {
    "image_too_large": 413,
    "not_an_image": 415,
    "truncated_image": 422,
    "image": 422,
    "input": 400,
    "usage": 400,
    "unknown_name": 404,
    "not_found": 404,
    "worker": 503,
    # The store of a gallery: it can't be reached, or was given another key while it was open.
    "storage": 503,
    "gallery": 503,
    "gallery_key": 503,
    "disk_full": 507,
}


class HttpError(Exception):
    """A request that is not answered as it wished.

    Arguments:
        status: HTTP status, 400 to 599.
        code: a stable word for programs.
        message: what happened, why and what to do, for people.
        details: more for programs.
        retry_after: seconds after which it is worth to come again; always there with 429 and 503.
        headers: more headers of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.details = dict(details or {})
        self.headers = dict(headers or {})
        if status in (429, 503):
            self.headers["retry-after"] = str(retry_after or 1)

    def as_json(self) -> dict[str, Any]:
        """The `error` object."""
        return {"code": self.code, "message": self.message, "details": self.details}


def error_of(error: EdgeproofError) -> HttpError:
    """One of our errors as the answer to a request."""
    return error_of_row(error.as_json())


def error_of_row(row: Mapping[str, Any]) -> HttpError:
    """The same for an error that came out of a worker: code, message, hint."""
    details = {"hint": row["hint"]} if row.get("hint") else {}
    return HttpError(_STATUS.get(row["code"], 500), row["code"], row["message"], details=details)


def too_large(message: str, **details: Any) -> HttpError:
    """413."""
    return HttpError(413, "too_large", message, details=details)


def overloaded(message: str, retry_after: int = 1) -> HttpError:
    """503: more is asked than can be done now."""
    return HttpError(503, "overloaded", message, retry_after=retry_after)
