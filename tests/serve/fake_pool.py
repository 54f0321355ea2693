"""A service whose workers are no processes, for tests of everything in front of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from edgeproof.core.errors import EdgeproofError
from edgeproof.serve.access import Access
from edgeproof.serve.admission import Admission
from edgeproof.serve.app import App
from edgeproof.serve.channel import Message
from edgeproof.serve.http_errors import error_of
from edgeproof.serve.metrics import Metrics
from edgeproof.serve.networks import Networks
from edgeproof.serve.service import Service
from edgeproof.serve.settings import Settings

_ORIENTATION: list[Networks] = []


class FakePool:
    """Answers in this process, with real networks: those given, or the one about turned photos."""

    def __init__(self, hold: asyncio.Event | None = None, networks: Networks | None = None) -> None:
        if not _ORIENTATION:
            _ORIENTATION.append(Networks(["orientation"], {}))
        self.networks = networks or _ORIENTATION[0]
        self.models = self.networks.open()
        self.pids: list[int] = []
        self.ready, self.busy, self.waiting, self.slots = True, 0, 0, 2
        self.hold = hold
        self.asked: list[Mapping[str, Any]] = []
        self.before: Callable[[], None] = lambda: None

    async def run(self, message: Message) -> Message:
        self.asked.append(message.head)
        self.before()
        if self.hold:
            await self.hold.wait()
        try:
            head, body = self.networks.answer(dict(message.head), bytes(message.body))
        except EdgeproofError as error:
            raise error_of(error) from error
        head["timing_ms"]["worker"] = sum(head["timing_ms"].values())
        return Message(head, body)

    async def tell_all(self, message: Message) -> None:
        self.asked.append(message.head)


def make_app(
    pool: FakePool | None = None,
    *,
    access: Access | None = None,
    work: int = 60_000_000,
    places: int = 14,
    **changed: Any,
) -> App:
    settings = Settings(**{"tasks": ["orientation"], **changed})
    admission = Admission(places=places, bodies=40_000_000, work=work, wait_timeout_s=settings.wait_timeout_s)
    pool = pool or FakePool()
    return App(Service(settings, pool, admission, access or Access(None, loopback=True), Metrics()))  # type: ignore[arg-type]


def ask(app: App, method: str, path: str, **how: Any) -> Any:
    """One request to the application, without a network."""

    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, **how)

    return asyncio.run(go())
