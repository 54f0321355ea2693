"""The galleries as the front sees them: one supervised process has them open, and nobody else in the service."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from edgeproof.serve.admission import Admission
from edgeproof.serve.channel import Message
from edgeproof.serve.gallery_process import GALLERY_COMMAND, gallery_threads
from edgeproof.serve.http_errors import HttpError
from edgeproof.serve.metrics import Counter, gauge
from edgeproof.serve.pool import Plan, Pool
from edgeproof.serve.settings import Settings
from edgeproof.serve.worker_process import WorkerProcess

TASK = "embeddings"
# A database may be locked for 20 s before it says so.
_RUN_TIMEOUT_S = 60.0
# The smallest PNG there is, of one pixel: the recogniser tells of itself with every answer.
_DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49"
    "444154789c636868680000030401814bd3d2100000000049454e44ae426082"
)
# An index that outgrows its kind is built anew beside the old one, a quarter of its size.
_GROWTH = 1.25


def order_for(settings: Settings, recognizer: Mapping[str, Any]) -> dict[str, Any]:
    """What the galleries' process is told."""
    return {
        "collections": dict(settings.galleries),
        "key_files": dict(settings.gallery_keys),
        "passphrase": settings.passphrase,
        "recognizer": dict(recognizer),
    }


async def recognizer_of(pool: Pool) -> dict[str, Any]:
    """The recogniser that the workers embed with: name, sha256, dimensions, side, threshold."""
    order = {"do": "task", "task": TASK, "draw": False}
    result = (await pool.run(Message(order, _DOT))).head["document"]["result"]
    return recognizer_in(result)


def recognizer_in(result: Mapping[str, Any]) -> dict[str, Any]:
    """The same in an answer of the task `embeddings`."""
    return {**result["recognizer"], "name": result["model"], "threshold": result["threshold"]}


class Galleries:
    """The collections of a running service.

    Arguments:
        pool: of the one process that has them open.
        recognizer: what all of them were enrolled with.

    Attributes:
        facts: what was known last of each collection, by name.
    """

    def __init__(self, pool: Pool, recognizer: Mapping[str, Any]) -> None:
        self.pool, self.recognizer = pool, recognizer
        self.facts: dict[str, dict[str, Any]] = {}
        self.faces = Counter(
            "edgeproof_gallery_faces_total", "Faces searched for, by what came.", ("collection", "decision")
        )
        self.enrolments = Counter(
            "edgeproof_gallery_pictures_total", "Pictures to enrol, by what came.", ("collection", "decision")
        )
        self._bytes: dict[str, int] = {}
        self._first_bytes = 0
        self._admission: Admission | None = None
        self._work = self._least_work = 0

    def started(self) -> None:
        """Take what the process told of the collections when it was ready."""
        self.facts = {facts["name"]: facts for facts in self.pool.models}
        self._bytes = {name: facts["index_bytes"] for name, facts in self.facts.items()}
        self._first_bytes = sum(self._bytes.values())

    def count_in(self, admission: Admission, least_work: int) -> None:
        """Have what the galleries grow by taken from what is left for pictures, down to `least_work` bytes."""
        self._admission, self._work, self._least_work = admission, admission.work.capacity, least_work

    def check_known(self, collection: str) -> None:
        """Refuse a name that no collection has.

        Raises:
            HttpError: 404.
        """
        if collection not in self.facts:
            known = ", ".join(self.facts)
            raise HttpError(404, "unknown_collection", f"There is no such collection. Known: {known}.")

    async def ask(self, collection: str, do: str, body: bytes = b"", **order: Any) -> Message:
        """Have something done with one collection.

        Raises:
            HttpError: 404 where there is no such collection; or why it can't be done.
        """
        self.check_known(collection)
        answer = await self.pool.run(Message({"do": do, "collection": collection, **order}, body))
        self._bytes[collection] = answer.head["bytes"]
        if do == "facts":
            self.facts[collection] = answer.head["document"]
        self._share()
        return answer

    def _share(self) -> None:
        if self._admission is not None:
            self._admission.work.capacity = max(self._least_work, self._work - self._growth())

    def _growth(self) -> int:
        return max(0, int((sum(self._bytes.values()) - self._first_bytes) * _GROWTH))

    def check_room(self) -> None:
        """Refuse more people where looking at pictures would have no memory left.

        Raises:
            HttpError: 413.
        """
        if self._work and self._work - self._growth() < self._least_work:
            taken = sum(self._bytes.values()) / 1e6
            raise HttpError(
                413,
                "gallery_full",
                f"The galleries take {taken:.0f} MB of memory, and no more is there for them. Start the service"
                " with a larger --mem-budget.",
            )

    def check_recognizer(self, result: Mapping[str, Any]) -> None:
        """Refuse vectors of another network than the galleries': its file may be replaced while a worker restarts.

        Raises:
            HttpError: 503.
        """
        if result["recognizer"]["sha256"] != self.recognizer["sha256"]:
            raise HttpError(
                503,
                "another_recognizer",
                "The recogniser's file was replaced while the service ran: restart it.",
                retry_after=60,
            )

    def lines(self) -> Iterator[str]:
        """As Prometheus reads it."""
        for name, about, key in (
            ("edgeproof_gallery_people", "People enrolled.", "people"),
            ("edgeproof_gallery_templates", "Templates enrolled.", "templates"),
        ):
            yield from gauge(
                name, about, ("collection",), {(one,): float(row[key]) for one, row in self.facts.items()}
            )
        sizes = {(name,): float(size) for name, size in self._bytes.items()}
        yield from gauge("edgeproof_gallery_index_bytes", "What its index takes.", ("collection",), sizes)
        for counter in (self.faces, self.enrolments):
            if counter.values:
                yield from counter.lines()


async def start_galleries(
    settings: Settings, workers: Pool, first: WorkerProcess, on_restart: Callable[[str], None]
) -> Galleries:
    """Open the galleries in their process, which was started already.

    Raises:
        WorkerError: one can't be used, with the reason; nothing is left behind.
    """
    recognizer = await recognizer_of(workers)
    plan = Plan(
        1,
        gallery_threads(settings),
        (),
        {},
        run_timeout_s=_RUN_TIMEOUT_S,
        wait_timeout_s=settings.wait_timeout_s,
        command=GALLERY_COMMAND,
        order=order_for(settings, recognizer),
    )
    galleries = Galleries(Pool(plan, [first], on_restart), recognizer)
    await galleries.pool.start()
    galleries.started()
    return galleries
