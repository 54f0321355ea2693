"""Who of a gallery is in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeproof.core.faces import Face
from edgeproof.gallery.gallery import Gallery
from edgeproof.gallery.matching import THRESHOLD, Match

if TYPE_CHECKING:
    from edgeproof.imaging.decode import Source
    from edgeproof.library.faces.faces import Faces


@dataclass(frozen=True)
class FoundFace:
    """A face of the picture and who it is; `match` is None where the face couldn't be aligned."""

    face: Face
    match: Match | None

    def as_json(self) -> dict[str, Any]:
        """One row of CONTRACT's `faces`."""
        box = [round(float(value), 2) for value in self.face.bbox]
        if self.match is None:
            nothing: dict[str, Any] = {
                "candidates": [],
                "decision": "unknown",
                "similarity": None,
                "margin": None,
            }
            return {"bbox": box, **nothing, "reason": "The face could not be aligned."}
        return {"bbox": box, **self.match.as_json()}


def search(
    gallery: Gallery,
    faces: Faces,
    image: Source,
    *,
    top: int = 5,
    threshold: float | None = None,
    margin: float | None = None,
) -> list[FoundFace]:
    """Look for everybody in a picture, best face first; the audit log keeps that it was done.

    Arguments:
        top: candidates for each face.
        threshold, margin: None for the gallery's own, else the recogniser's, and 0.05.
    """
    threshold = threshold_for(gallery, faces) if threshold is None else threshold
    looked = faces.get(image, quality=False)
    found = match_faces(gallery, looked, top=top, threshold=threshold, margin=margin)
    gallery.record("search", len(found))
    return found


def match_faces(
    gallery: Gallery, faces: Sequence[Face], *, top: int, threshold: float | None, margin: float | None
) -> list[FoundFace]:
    """Who each of these faces is, in order; arguments as `search`, and nothing is written into the audit log."""
    return [
        FoundFace(
            face,
            None
            if face.embedding is None
            else gallery.identify(face.embedding, threshold=threshold, margin=margin, top=top),
        )
        for face in faces
    ]


def threshold_for(gallery: Gallery, faces: Faces) -> float:
    """The gallery's own threshold; else the recogniser's, and not below 0.4.

    A recogniser's threshold is of pairs. Among many people some pair comes near it by chance.
    """
    return threshold_of(
        gallery.head.threshold, getattr(getattr(faces.recognizer, "task", None), "threshold", None)
    )


def threshold_of(own: float | None, of_model: float | None) -> float:
    """The same from a gallery's own threshold and the recogniser's, where there are any."""
    if own is not None:
        return own
    return max(THRESHOLD, float(of_model)) if of_model is not None else THRESHOLD
