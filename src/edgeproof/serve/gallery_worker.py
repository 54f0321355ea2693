"""The process that has the galleries open: it compares, enrols and forgets; faces are embedded by others."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.core.errors import DiskFullError, EdgeproofError, StorageError, UnknownNameError, UsageError
from edgeproof.core.faces import Face, FaceQuality
from edgeproof.gallery.gallery import Gallery, Person
from edgeproof.gallery.master_key import KeySource
from edgeproof.gallery.opening import open_gallery
from edgeproof.gallery.retention import parse_retention, when
from edgeproof.library.gallery.enroll import Gate, encoded, enroll_found
from edgeproof.library.gallery.export import person_as_zip
from edgeproof.library.gallery.search import match_faces, threshold_of
from edgeproof.serve.worker import main

Answered = tuple[dict[str, Any], bytes]


@dataclass
class _Collection:
    """One open gallery.

    Attributes:
        threshold: its own, as it was when the store could be read last.
        owed: faces that were searched for while the store couldn't be reached, which its log has yet to learn of.
    """

    name: str
    gallery: Gallery
    threshold: float | None = None
    owed: int = 0


class Collections:
    """All galleries of the service, by name.

    Arguments:
        order: from `gallery.order_for`: where each lies, the keys, and the recogniser that is served.
    """

    def __init__(self, order: Mapping[str, Any]) -> None:
        self._order = order
        self._recognizer = order["recognizer"]
        self._open: dict[str, _Collection] = {}

    def open(self) -> list[dict[str, Any]]:
        """Open all; one that isn't there is made.

        Raises:
            EdgeproofError: one can't be used: its key, its model, its database.
        """
        try:
            for name, where in self._order["collections"].items():
                self._open[name] = _Collection(name, self._opened(name, where))
        except BaseException:
            self.close()
            raise
        # The first search would otherwise read all templates while somebody waits.
        return [self._facts(one) for one in self._open.values()]

    def close(self) -> None:
        """Let go of all databases."""
        for one in self._open.values():
            one.gallery.close()

    def _opened(self, name: str, where: str) -> Gallery:
        files, phrase = self._order["key_files"], self._order["passphrase"]
        file = files.get(name, files.get(""))
        source = KeySource(Path(file) if file else None, (lambda: str(phrase)) if phrase else None)
        model = self._recognizer
        return open_gallery(
            where, source, model_digest=model["sha256"], dimensions=model["dimensions"], create=True
        )

    def answer(self, order: dict[str, Any], body: bytes) -> Answered:
        """One order.

        Raises:
            EdgeproofError: in words that name the collection, and never where it lies.
        """
        one, began = self._open[order["collection"]], time.perf_counter()
        try:
            document, data = self._do(one, order, body)
        except EdgeproofError as error:
            raise _told(error, one) from error
        took = (time.perf_counter() - began) * 1e3
        return {"document": document, "bytes": one.gallery.nbytes, "timing_ms": {"gallery": took}}, data

    def _do(self, one: _Collection, order: dict[str, Any], body: bytes) -> Answered:
        match order["do"]:
            case "facts":
                return self._facts(one), b""
            case "search":
                return self._search(one, order), b""
            case "enroll":
                return self._enroll(one, order, body), b""
            case "people":
                found = one.gallery.some_people(after=order["after"], limit=order["limit"] + 1)
                return {"people": [_row(person) for person in found]}, b""
            case "person":
                return _row(self._find(one, order["name"])), b""
            case "forget":
                return {"scrubbed": one.gallery.forget_person(order["number"])}, b""
            case "export":
                self._find(one, order["name"])
                person, data = person_as_zip(one.gallery, order["name"])
                return _row(person), data
            case other:
                raise UnknownNameError(f"A gallery can't {other!r}.")

    def _facts(self, one: _Collection) -> dict[str, Any]:
        gallery, model = one.gallery, self._recognizer
        templates = len(gallery)
        one.threshold = gallery.head.threshold
        return {
            "name": one.name,
            "people": gallery.count_people(),
            "templates": templates,
            "model": model["name"],
            "model_sha256": model["sha256"],
            "dimensions": model["dimensions"],
            "threshold": round(threshold_of(one.threshold, model["threshold"]), 6),
            "retain_s": gallery.head.retain_s,
            "index_bytes": gallery.nbytes,
        }

    def _search(self, one: _Collection, order: Mapping[str, Any]) -> dict[str, Any]:
        gallery = one.gallery
        faces = [_face(row) for row in order["faces"]]
        # While a shared store can't be reached, the people in memory answer, by the threshold that was known last.
        if gallery.lost is None:
            with contextlib.suppress(StorageError):
                one.threshold = gallery.head.threshold
        threshold = order["threshold"]
        if threshold is None:
            threshold = threshold_of(one.threshold, self._recognizer["threshold"])
        found = match_faces(gallery, faces, top=order["top"], threshold=threshold, margin=order["margin"])
        one.owed += len(found)
        if gallery.lost is None:
            gallery.record("search", one.owed)
            one.owed = 0
        return {
            "faces": [row.as_json() for row in found],
            "threshold": round(threshold, 6),
            "stale": gallery.lost is not None,
        }

    def _enroll(self, one: _Collection, order: Mapping[str, Any], body: bytes) -> dict[str, Any]:
        retain = order["retain"]
        gate = Gate(
            force=order["force"],
            largest=order["largest"],
            keep_crops=order["keep_crops"],
            retain_s=parse_retention(retain) if retain else None,
        )
        limit = threshold_of(one.gallery.head.threshold, self._recognizer["threshold"])
        found = [_face(row) for row in order["faces"]]
        report = enroll_found(
            one.gallery, order["name"], found, gate, limit, lambda face: self._crop(body, face), Path()
        )
        return {key: value for key, value in report.as_json().items() if key != "path"}

    def _crop(self, picture: bytes, face: Face) -> bytes:
        # Only where crops are kept: these take memory that searching does without.
        from edgeproof.imaging.align import align_faces
        from edgeproof.imaging.decode import decode
        from edgeproof.serve.answers.found import enlargement
        from edgeproof.serve.tasks import TASK_ROWS

        assert face.kps is not None
        decoded = decode(picture, cover=TASK_ROWS["embeddings"].cover)
        marks = (face.kps / enlargement(decoded)).astype(np.float32)
        return encoded(align_faces(decoded.pixels, marks[None], self._recognizer["side"])[0])

    def _find(self, one: _Collection, name: str) -> Person:
        try:
            return one.gallery.find(name)
        except UnknownNameError:
            raise UnknownNameError(
                f"There is nobody of that name in the collection {one.name!r}.",
                hint=f"GET /v1/collections/{one.name}/people lists who is, with a key that has the scope admin.",
            ) from None


def _told(error: EdgeproofError, one: _Collection) -> EdgeproofError:
    """The same for whoever asks over HTTP: it names the collection, and not where that lies."""
    if isinstance(error, UsageError):
        return error
    # Whoever runs the service sees all of it.
    print(f"edgeproof serve: collection {one.name}: {error}", file=sys.stderr)  # noqa: T201
    if isinstance(error, StorageError):
        full = " Its disk is full; nothing was changed." if isinstance(error, DiskFullError) else ""
        return type(error)(
            f"The database of the collection {one.name!r} can't be used now.{full}",
            hint="The service's own log has the reason.",
        )
    return type(error)(error.message.replace(one.gallery.place, repr(one.name)), hint=error.hint)


def _row(person: Person) -> dict[str, Any]:
    return {
        "number": person.person,
        "name": person.name,
        "templates": person.templates,
        "crops": person.crops,
        "enrolled": when(person.created),
        "expires": when(person.expires),
    }


def _face(row: Mapping[str, Any]) -> Face:
    """A face as the task `embeddings` told it."""

    def floats(values: Sequence[Any] | None) -> Any:
        return None if values is None else np.array(values, np.float32)

    told = row["quality"]
    quality = told and FaceQuality(told["score"], told["parts"], told["measured"], tuple(told["reasons"]))
    box = np.array(row["bbox"], np.float32)
    return Face(box, row["score"], floats(row["kps"]), floats(row["embedding"]), quality)


if __name__ == "__main__":
    main(sys.argv[1:], Collections)
