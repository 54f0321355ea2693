"""Putting a person into a gallery from pictures: only faces that can be told from others get in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeproof.core.errors import DiskFullError, EdgeproofError, GalleryError
from edgeproof.core.faces import Face
from edgeproof.core.protocols import Pixels
from edgeproof.gallery.cipher import clean_name
from edgeproof.gallery.gallery import Entry, Gallery
from edgeproof.imaging.align import SIDE, align_faces
from edgeproof.imaging.decode import decode
from edgeproof.library.gallery.search import threshold_for

if TYPE_CHECKING:
    from edgeproof.library.faces.faces import Faces

# The same picture again, or one that differs by no more than its compression.
_SAME_PICTURE = 0.995


@dataclass(frozen=True)
class EnrolReport:
    """What became of one picture.

    Attributes:
        path: as given.
        decision: "enrolled", "refused" or "error".
        reasons: why it was refused, sentences; what was overridden where it was forced.
        template: its number in the gallery.
        face: which face was taken.
        error: why the picture couldn't be used.
    """

    path: Path
    decision: str
    reasons: tuple[str, ...] = ()
    template: int | None = None
    face: Face | None = field(default=None, repr=False)
    error: EdgeproofError | None = None

    def as_json(self) -> dict[str, Any]:
        """One row of `images`."""
        quality = self.face.quality if self.face else None
        return {
            "path": str(self.path),
            "decision": self.decision,
            "reasons": list(self.reasons),
            "template": self.template,
            "bbox": [round(float(value), 2) for value in self.face.bbox] if self.face else None,
            "quality": quality.as_json() if quality else None,
            "error": self.error.as_json() if self.error else None,
        }


@dataclass(frozen=True)
class Gate:
    """What may get in.

    Attributes:
        force: whatever its quality and whoever it looks like.
        largest: of several faces take the largest, instead of refusing.
        keep_crops: keep the aligned face too, sealed, so that another model can embed it again.
        retain_s: seconds to keep the person; None for the gallery's own.
        threshold: similarity from which on a face counts as that of somebody else; None for the gallery's own.
    """

    force: bool = False
    largest: bool = False
    keep_crops: bool = False
    retain_s: int | None = None
    threshold: float | None = None


def enroll(
    gallery: Gallery, faces: Faces, name: str, paths: Iterable[Path], gate: Gate
) -> Iterator[EnrolReport]:
    """Enrol each picture on its own: it is in, for good, when its report comes.

    Raises:
        UsageError: a name that can't be one.
        GalleryError, StorageError: the gallery can't be used; no later picture could be enrolled either.
    """
    clean_name(name)
    for path in paths:
        try:
            yield _one(gallery, faces, name, path, gate)
        except (GalleryError, DiskFullError):
            raise
        except EdgeproofError as error:
            yield EnrolReport(path, "error", error=error)


def _one(gallery: Gallery, faces: Faces, name: str, path: Path, gate: Gate) -> EnrolReport:
    pixels = decode(path).pixels
    found = faces.faces(pixels, faces.detect(pixels))
    limit = threshold_for(gallery, faces) if gate.threshold is None else gate.threshold
    return enroll_found(
        gallery, name, found, gate, limit, lambda face: encoded(crop_of(pixels, face, faces)), path
    )


def enroll_found(
    gallery: Gallery,
    name: str,
    found: list[Face],
    gate: Gate,
    limit: float,
    crop_png: Callable[[Face], bytes],
    path: Path,
) -> EnrolReport:
    """Enrol the face of a picture that was looked at already, if it may get in.

    Arguments:
        found: all faces of the picture, with embeddings and quality.
        limit: similarity from which on a face counts as that of somebody else.
        crop_png: makes the aligned face of one of them; called where crops are kept.
        path: for the report.
    """
    face, reasons = _choose(found, largest=gate.largest)
    if face is None or face.embedding is None:
        return EnrolReport(path, "refused", reasons or ("The face could not be aligned.",))
    reasons = (*_quality(face), *_likeness(gallery, name, face, limit))
    if reasons and not gate.force:
        return EnrolReport(path, "refused", reasons, face=face)
    crop = crop_png(face) if gate.keep_crops else None
    done = gallery.enroll(Entry(name, face.embedding, crop, gate.retain_s))
    return EnrolReport(path, "enrolled", reasons, done.template, face)


def _choose(found: list[Face], *, largest: bool) -> tuple[Face | None, tuple[str, ...]]:
    if not found:
        return None, ("There is no face in it.",)
    if len(found) > 1 and not largest:
        return None, (f"There are {len(found)} faces in it; the option `largest` takes the largest.",)
    return max(found, key=lambda face: float(np.prod(face.bbox[2:] - face.bbox[:2]))), ()


def _quality(face: Face) -> tuple[str, ...]:
    return face.quality.reasons if face.quality else ()


def _likeness(gallery: Gallery, name: str, face: Face, threshold: float) -> tuple[str, ...]:
    wanted = clean_name(name).casefold()
    for candidate in gallery.search(face.embedding, top=2):
        mine = candidate.name.casefold() == wanted
        if mine and candidate.similarity >= _SAME_PICTURE:
            return (f"This face of {candidate.name} is in the gallery already.",)
        if not mine and candidate.similarity >= threshold:
            return (
                f"It looks like {candidate.name}, who is in the gallery (similarity {candidate.similarity:.2f}).",
            )
    return ()


def crop_of(pixels: Pixels, face: Face, faces: Faces) -> Pixels:
    """The aligned face, uint8 (S, S, 3) RGB, as the recogniser sees it."""
    assert face.kps is not None
    side = getattr(getattr(faces.recognizer, "task", None), "side", SIDE)
    return np.asarray(align_faces(pixels, face.kps[None], side)[0])


def encoded(crop: Pixels) -> bytes:
    """A crop as PNG: lossless, so that another model sees what the first one saw."""
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(crop).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
