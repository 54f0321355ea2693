"""The one error tree.

    EdgeproofError                 anything we raise on purpose; exit code 1
    ├── UsageError                 asked for in a way we can't take; exit code 2
    │   ├── BudgetError            a budget that can't be read
    │   ├── UnknownNameError       no engine, task or model of that name
    │   └── NotFoundError          a path that isn't there
    ├── ImageError                 one picture can't be used; the rest go on
    │   ├── NotAnImageError        no format we know
    │   ├── TruncatedImageError    the file ends too early, or its data are damaged
    │   ├── ImageTooLargeError     its header asks for more than the limit
    │   └── NoFaceError            no face in it, where one is needed
    ├── ModelError                 a network that can't be used
    │   ├── InputError             the tensors given don't fit the network
    │   └── ModelMissingError      a model of the catalogue is not installed
    ├── EngineError                a runtime can't do what was asked
    ├── BundleError                a bundle that can't be opened
    │   ├── TamperedBundleError    a file is not what the manifest says
    │   └── NewerBundleError       made by a newer edgeproof
    ├── GalleryError               a gallery of people that can't be used
    │   ├── GalleryKeyError        the key does not open it
    │   ├── TamperedTemplateError  a row was changed from outside
    │   └── NewerGalleryError      made by a newer edgeproof
    ├── DownloadError              a model's file can't be fetched
    │   └── WrongDigestError       a file is not the one that the catalogue names
    ├── DataError                  not enough, or not the right, photos
    ├── SourceError                a video, a camera or a stream gives no pictures
    ├── StorageError               a place that is not ours to read or write
    │   └── DiskFullError              no space left
    ├── MissingExtraError          an optional library is not installed
    └── WorkerError                a measuring or building process died or overran

A message says what happened and why; the hint says what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class EdgeproofError(Exception):
    """Base of everything we raise on purpose.

    Arguments:
        message: what happened and why, one line.
        hint: what to do next, one line.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.hint))

    def as_json(self) -> dict[str, str]:
        """The `error` object of CONTRACT: code, message, hint."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


def _rebuild(kind: type[EdgeproofError], message: str, hint: str) -> EdgeproofError:
    return kind(message, hint=hint)


class UsageError(EdgeproofError):
    """Asked for in a way we can't take."""

    code = "usage"
    exit_code = 2


class BudgetError(UsageError):
    """A budget that can't be read."""

    code = "budget"


class UnknownNameError(UsageError):
    """No engine, task or model of that name."""

    code = "unknown_name"


class NotFoundError(UsageError):
    """A path that isn't there."""

    code = "not_found"


class ImageError(EdgeproofError):
    """One picture can't be used; the rest of a folder goes on."""

    code = "image"


class NotAnImageError(ImageError):
    """The bytes are of no format we know."""

    code = "not_an_image"


class TruncatedImageError(ImageError):
    """The file ends too early, or its data are damaged."""

    code = "truncated_image"


class ImageTooLargeError(ImageError):
    """The header asks for more pixels than the limit."""

    code = "image_too_large"


class NoFaceError(ImageError):
    """There is no face in the picture, where one is needed."""

    code = "no_face"


class ModelError(EdgeproofError):
    """A network that can't be used."""

    code = "model"


class InputError(ModelError):
    """The tensors given don't fit the network."""

    code = "input"


class ModelMissingError(ModelError):
    """A model of the catalogue is not installed on this machine."""

    code = "model_missing"


class EngineError(EdgeproofError):
    """A runtime can't do what was asked."""

    code = "engine"


class BundleError(EdgeproofError):
    """A bundle that can't be opened."""

    code = "bundle"


class TamperedBundleError(BundleError):
    """A file in the bundle is not what its manifest says."""

    code = "tampered_bundle"


class NewerBundleError(BundleError):
    """The bundle was made by a newer edgeproof."""

    code = "newer_bundle"


class GalleryError(EdgeproofError):
    """A gallery of people that can't be used."""

    code = "gallery"


class GalleryKeyError(GalleryError):
    """The key does not open this gallery."""

    code = "gallery_key"


class TamperedTemplateError(GalleryError):
    """A row of the gallery was changed from outside: its authentication fails."""

    code = "tampered_template"


class NewerGalleryError(GalleryError):
    """The gallery was made by a newer edgeproof."""

    code = "newer_gallery"


class DownloadError(EdgeproofError):
    """A model's file can't be fetched: no network, no such file, or the server fails."""

    code = "download"


class WrongDigestError(DownloadError):
    """A file is not the one that the catalogue names."""

    code = "wrong_digest"


class DataError(EdgeproofError):
    """Not enough photos, or not the right ones."""

    code = "data"


class SourceError(EdgeproofError):
    """A video, a camera or a stream gives no pictures, or fewer than it says."""

    code = "source"


class StorageError(EdgeproofError):
    """A place that is not ours to read or write."""

    code = "storage"


class DiskFullError(StorageError):
    """No space left; whatever else would be written there would fail in the same way."""

    code = "disk_full"


class MissingExtraError(EdgeproofError):
    """An optional library is not installed."""

    code = "missing_extra"


class WorkerError(EdgeproofError):
    """A measuring or building process died or overran its limits."""

    code = "worker"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`Did you mean X?` for a near miss, else the list of what is known."""
    names = sorted(known)
    near = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.5)
    return f"Did you mean {near[0]}?" if near else f"Known: {', '.join(names)}."
