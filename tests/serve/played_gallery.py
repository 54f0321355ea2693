"""A service with real galleries and played networks: the first pixel of a picture says who is on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from edgeproof.core.errors import EdgeproofError
from edgeproof.imaging.decode import decode
from edgeproof.serve.access import Access
from edgeproof.serve.admission import Admission
from edgeproof.serve.answers.found import with_shares
from edgeproof.serve.app import App
from edgeproof.serve.channel import Message
from edgeproof.serve.gallery import Galleries, order_for, recognizer_in
from edgeproof.serve.gallery_worker import Collections
from edgeproof.serve.http_errors import error_of
from edgeproof.serve.metrics import Metrics
from edgeproof.serve.service import Service
from edgeproof.serve.settings import Settings
from gallery.fake_faces import FakeFaces, picture
from gallery.people import DIMENSIONS, MODEL

PLAYED = {
    "model": "played",
    "threshold": 0.3,
    "recognizer": {"sha256": MODEL, "dimensions": DIMENSIONS, "side": 112},
}


def png(folder: Path, who: int, **how: Any) -> bytes:
    """A picture with person `who`; more in `gallery.fake_faces.picture`."""
    return picture(folder / "picture.png", who, **how).read_bytes()


class _Pool:
    """One process that isn't one; what goes in and out goes through MessagePack, as it does between processes."""

    def __init__(self, models: list[dict[str, Any]]) -> None:
        self.models, self.pids = models, []
        self.ready, self.busy, self.waiting, self.slots = True, 0, 0, 1
        self.asked: list[Mapping[str, Any]] = []

    async def run(self, message: Message) -> Message:
        order = msgspec.msgpack.decode(msgspec.msgpack.encode(message.head))
        self.asked.append(order)
        try:
            head, body = self.answer(order, bytes(message.body))
        except EdgeproofError as error:
            raise error_of(error) from error
        head["timing_ms"]["worker"] = sum(head["timing_ms"].values())
        return Message(msgspec.msgpack.decode(msgspec.msgpack.encode(head)), body)

    def answer(self, order: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        raise NotImplementedError


class PlayedWorkers(_Pool):
    """Workers that embed, by what `FakeFaces` says."""

    def __init__(self) -> None:
        super().__init__(
            [{"name": "embeddings", "task": "embeddings", "engine": "played", "provider": "cpu"}]
        )
        self.told = PLAYED

    def answer(self, order: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        looked, faces = decode(body), FakeFaces()
        found = [face.as_json() for face in faces.faces(looked.pixels, faces.detect(looked.pixels))]
        result = {"faces": with_shares(found, looked), **self.told}
        document = {"width": looked.width, "height": looked.height, "result": result}
        return {"document": document, "timing_ms": {"decode": 1.0, "run": 1.0}}, b""


class OpenedHere(_Pool):
    """The galleries' process, in this one."""

    def __init__(self, settings: Settings) -> None:
        self.collections = Collections(order_for(settings, recognizer_in(PLAYED)))
        super().__init__(self.collections.open())

    def answer(self, order: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        return self.collections.answer(order, body)


@contextlib.contextmanager
def gallery_app(
    places: Mapping[str, str],
    key: Path,
    *,
    access: Access | None = None,
    work: int = 60_000_000,
    least: int = 0,
) -> Iterator[tuple[App, Service]]:
    """An application while the block runs; `least`: bytes of work that its galleries must leave."""
    settings = Settings(galleries=places, gallery_keys={"": str(key)})
    admission = Admission(places=14, bodies=40_000_000, work=work, wait_timeout_s=5.0)
    opened = OpenedHere(settings)
    galleries = Galleries(opened, recognizer_in(PLAYED))  # type: ignore[arg-type]
    galleries.started()
    galleries.count_in(admission, least)
    service = Service(
        settings,
        PlayedWorkers(),  # type: ignore[arg-type]
        admission,
        access or Access(None, loopback=True),
        Metrics(),
        galleries,
    )
    try:
        yield App(service), service
    finally:
        opened.collections.close()
