"""One picture of a source, decoded when somebody needs its pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeproof.core.protocols import Pixels
from edgeproof.imaging.decode import Picture


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a source.

    Attributes:
        name: what to call it: a photo's path, or `clip.mp4#12`. A stream's name has no password in it.
        index: its number within its source, from 0; of a live source, how many were taken before it.
        load: gives the picture; `cover` is that of `edgeproof.imaging.decode.decode`.
        source: the photo, the video or the stream that it is from.
        time_s: seconds from the beginning of its video or stream; None for a photo.
        path: the photo's or the video's file; None for a camera or a stream.
        live: whether its source goes on without waiting for us.
    """

    name: str
    index: int
    load: Callable[[int | None], Picture] = field(repr=False)
    source: str = ""
    time_s: float | None = None
    path: Path | None = None
    live: bool = False

    def picture(self, cover: int | None = None) -> Picture:
        """Decode it.

        Raises:
            ImageError, StorageError, NotFoundError: this one can't be used.
        """
        return self.load(cover)

    def pixels(self, cover: int | None = None) -> Pixels:
        """uint8 (H, W, 3), RGB, upright; decoded anew at each call."""
        return self.load(cover).pixels

    def as_json(self) -> dict[str, Any]:
        """The keys that say which picture a row is about."""
        if self.time_s is None:
            return {"path": str(self.path or self.name)}
        return {"path": self.source, "frame": self.index, "time_s": round(self.time_s, 3)}
