"""What every route uses: the bounds, the workers, the counters, and the two things that workers do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from edgeproof.core.errors import EdgeproofError
from edgeproof.imaging.header import MAX_PIXELS, read_header
from edgeproof.serve.access import Access
from edgeproof.serve.admission import Admission, picture_cost, tensors_cost
from edgeproof.serve.channel import Message
from edgeproof.serve.gallery import Galleries
from edgeproof.serve.http_errors import HttpError, error_of
from edgeproof.serve.machine import Machine
from edgeproof.serve.metrics import Metrics
from edgeproof.serve.pool import Pool
from edgeproof.serve.settings import Settings
from edgeproof.serve.tasks import DRAWN_SIDE, TASK_ROWS


def group_of(model: Mapping[str, Any]) -> str:
    """What is opened and closed together: a task's networks, or one that belongs to none."""
    return str(model["task"] or model["name"])


class Service:
    """The running service.

    Attributes:
        draining: it ends; nothing new is begun.
        used: when the networks of each task, and each other one, ran last, on the clock of `time.monotonic`; absent
            where they are closed.
    """

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        admission: Admission,
        access: Access,
        metrics: Metrics,
        galleries: Galleries | None = None,
    ) -> None:
        self.settings, self.pool, self.admission = settings, pool, admission
        self.galleries = galleries
        self.machine = Machine()
        self.access, self.metrics = access, metrics
        self.draining = False
        self.started = time.time()
        now = time.monotonic()
        self.used: dict[str, float] = {group_of(model): now for model in pool.models}
        self._closing: set[str] = set()
        self._door = asyncio.Lock()
        self._under_way: dict[str, int] = {}

    @property
    def pools(self) -> list[Pool]:
        """That of the workers, and that of the galleries' process where there is one."""
        return [self.pool, *([self.galleries.pool] if self.galleries else ())]

    @property
    def pids(self) -> list[int]:
        """Of all processes but this one."""
        return [pid for pool in self.pools for pid in pool.pids]

    @property
    def models(self) -> Sequence[dict[str, Any]]:
        """What /v2 tells of each network."""
        return self.pool.models

    @property
    def ready(self) -> bool:
        """Whether it takes requests."""
        return self.pool.ready and not self.draining

    def model(self, name: str, version: str | None = None) -> dict[str, Any]:
        """One network.

        Raises:
            HttpError: 404.
        """
        for model in self.models:
            if model["name"] == name and version in (None, "", "1"):
                return model
        known = ", ".join(model["name"] for model in self.models)
        raise HttpError(404, "unknown_model", f"There is no such model. Known: {known} (version 1).")

    async def look(self, task: str, data: bytes, *, draw: bool = False) -> tuple[dict[str, Any], bytes]:
        """One picture through one task: width, height, result and timing; the drawn JPEG where asked for.

        Raises:
            HttpError: it is no picture, too large, or nobody had time for it.
        """
        try:
            header = read_header(data, max_pixels=MAX_PIXELS)
        except EdgeproofError as error:
            raise error_of(error) from error
        row = TASK_ROWS[task]
        cost = picture_cost(header, len(data), max(row.cover, DRAWN_SIDE if draw else 0), row.run_bytes)
        order = {"do": "task", "task": task, "draw": draw}
        answer = await self._run(order, data, cost, task)
        document = {**answer.head["document"], "timing_ms": answer.head["timing_ms"]}
        self.metrics.decoding.observe(answer.head["timing_ms"]["decode"] / 1e3)
        return document, bytes(answer.body)

    async def infer(self, model: str, body: bytes, json_bytes: int | None) -> tuple[bytes, int]:
        """One request of /v2: the answer's bytes, and how many of them are JSON.

        Raises:
            HttpError: it doesn't fit the network, or nobody had time for it.
        """
        text = len(body) if json_bytes is None else min(json_bytes, len(body))
        order = {"do": "infer", "model": model, "json_bytes": json_bytes}
        answer = await self._run(order, body, tensors_cost(text, len(body) - text), model)
        return bytes(answer.body), answer.head["json_bytes"]

    async def close_unused(self) -> None:
        """Close the networks that nobody has used for longer than the settings allow."""
        ttl = self.settings.model_ttl_s
        if ttl is None:
            return
        for group, last in list(self.used.items()):
            if time.monotonic() - last > ttl and not self._under_way.get(group):
                del self.used[group]
                name = next(model["name"] for model in self.models if group_of(model) == group)
                self._closing.add(group)
                async with self._door:
                    await self.pool.tell_all(Message({"do": "close", "model": name}))
                self._closing.discard(group)

    async def _run(self, order: dict[str, Any], body: bytes, cost: int, name: str) -> Message:
        asked = time.perf_counter()
        group = next(group_of(model) for model in self.models if name in (model["name"], model["task"]))
        while group in self._closing:  # it is opened again when it is closed, and not in between
            async with self._door:
                pass
        self._under_way[group] = self._under_way.get(group, 0) + 1
        try:
            async with self.admission.holding_work(cost):
                answer = await self.pool.run(Message(order, body))
        finally:
            self._under_way[group] -= 1
        timing = answer.head["timing_ms"]
        waited = max(0.0, time.perf_counter() - asked - timing["worker"] / 1e3)
        timing["wait"] = round(waited * 1e3, 3)
        self.metrics.waits.observe(waited)
        self.metrics.inference.observe(timing["run"] / 1e3, name)
        for network, rows, requests in answer.head.get("runs") or [(name, 1, 1)]:
            self.metrics.batches.observe(rows, network)
            self.metrics.batched_requests.observe(requests, network)
        self.used[group] = time.monotonic()
        return answer
