"""What a stream says of itself while it runs: it reconnects, it is degraded, it is well again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from edgeproof.core.errors import EdgeproofError

Kind = Literal[
    "cut short", "reconnecting", "reconnected", "smaller batches", "reopening", "degraded", "recovered"
]


@dataclass(frozen=True)
class StreamEvent:
    """One thing that happened to a stream, and that somebody may want to see.

    Attributes:
        kind: what happened.
        part: the source or the stage that it happened to.
        message: one line for people.
        error: what was met; None where all is well again.
        retry_s: seconds until it is tried again; None where it isn't.
    """

    kind: Kind
    part: str
    message: str
    error: EdgeproofError | None = None
    retry_s: float | None = None

    def as_json(self) -> dict[str, Any]:
        """One row of a document's `events`."""
        return {
            "kind": self.kind,
            "part": self.part,
            "message": self.message,
            "error": self.error.as_json() if self.error else None,
        }


Notify = Callable[[StreamEvent], None]


def ignore(event: StreamEvent) -> None:
    """Nobody listens."""
