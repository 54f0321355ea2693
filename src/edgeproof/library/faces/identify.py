"""Who of a gallery is in the pictures of a source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeproof.core.errors import EdgeproofError
from edgeproof.gallery.gallery import Gallery
from edgeproof.gallery.matching import Match
from edgeproof.library import drawn
from edgeproof.library.faces.stream import FrameFaces
from edgeproof.library.gallery.search import FoundFace
from edgeproof.streams.frame import Frame


@dataclass(frozen=True, eq=False)
class FrameMatches:
    """Who is in one frame, or why nobody can tell.

    Attributes:
        frame: the frame.
        found: its faces, best first, each with who it is.
        error: why it couldn't be looked at.
    """

    frame: Frame
    found: list[FoundFace]
    error: EdgeproofError | None = None

    def as_json(self) -> dict[str, Any]:
        """One row of CONTRACT's `images`."""
        return {
            **self.frame.as_json(),
            "faces": [_face_row(one) for one in self.found],
            "error": self.error.as_json() if self.error else None,
        }


def _face_row(found: FoundFace) -> dict[str, Any]:
    match = found.match
    return {
        "bbox": [round(float(value), 2) for value in found.face.bbox],
        "score": round(found.face.det_score, 6),
        "name": match.name if match else "unknown",
        "similarity": round(match.similarity, 6) if match and match.similarity is not None else None,
        "margin": round(match.margin, 6) if match and match.margin is not None else None,
        "reason": match.reason if match else "The face could not be aligned.",
    }


def identify(
    looked: Iterable[FrameFaces],
    gallery: Gallery,
    *,
    threshold: float | None = None,
    margin: float | None = None,
) -> Iterator[FrameMatches]:
    """Look for each face in a gallery; the audit log keeps that it was done, once for the whole source.

    Arguments:
        looked: from `edgeproof.library.faces_stream.FacesStream`.
        threshold, margin: None for the gallery's own.

    Raises:
        UsageError: a threshold or margin that none can be.
        TamperedTemplateError: a template is not what was sealed.
    """
    faces = 0

    def match(embedding: Any) -> Match:
        return gallery.identify(embedding, threshold=threshold, margin=margin, top=1)

    try:
        for one in looked:
            faces += len(one.faces)
            found = [
                FoundFace(face, None if face.embedding is None else match(face.embedding))
                for face in one.faces
            ]
            yield FrameMatches(one.frame, found, one.error)
    finally:
        gallery.record("identify", faces)


def write_drawn(matches: FrameMatches, folder: Path, top: Path | None = None) -> Path | None:
    """Write the frame with its faces and names drawn in; None where it couldn't be decoded.

    Arguments:
        folder: where; photos below `top` keep their place below it.

    Raises:
        StorageError: it can't be written there.
    """
    import numpy as np

    from edgeproof.imaging.draw import draw

    if matches.error is not None:
        return None
    faces = [one.face for one in matches.found]
    boxes = np.array([face.bbox for face in faces], np.float32).reshape(-1, 4)
    labels = [_label(one.match) for one in matches.found]
    marks = [face.kps for face in faces if face.kps is not None]
    points = np.stack(marks) if marks and len(marks) == len(faces) else None
    pixels = draw(matches.frame.pixels(), boxes, labels, points)
    return drawn.write_drawn(pixels, folder / _drawn_name(matches.frame, top), matches.frame.path)


def _label(match: Match | None) -> str:
    if match is None or match.similarity is None or not match.known:
        return "unknown"
    return f"{match.name} {match.similarity:.2f}"


def _drawn_name(frame: Frame, top: Path | None) -> Path:
    if frame.time_s is not None:
        stem = frame.path.stem if frame.path else "frame"
        return Path(f"{stem}-{frame.index:06d}.jpg")
    path = frame.path or Path(frame.name)
    below = path.relative_to(top) if top and path != top and path.is_relative_to(top) else Path(path.name)
    return drawn.copy_name(below)
