"""What a task has to bring to be served."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from edgeproof.core.protocols import Engine, Pixels
from edgeproof.imaging.decode import Picture
from edgeproof.serve.answers.shared import Shared


class Answer(Protocol):
    """One task in a worker; called from several threads at once."""

    def __init__(self, bundle: Path | None, shared: Shared) -> None:
        """`bundle`: made for this task, or None for the networks that it has by default; `shared`: with other tasks."""
        ...

    def engines(self) -> Mapping[str, Engine]:
        """Its open networks, by the names under which /v2 has them; opens them if need be."""
        ...

    def answer(self, picture: Picture) -> dict[str, Any]:
        """The `result` object of one picture, as the row's schema in `TASK_ROWS` says."""
        ...

    def draw(self, picture: Picture, result: Mapping[str, Any]) -> Pixels:
        """The picture with what was found in it, uint8 (H, W, 3) RGB."""
        ...

    def close(self) -> None:
        """Close the networks; they are opened again on the next use."""
        ...
