"""Supervised workers: hung, poisoned, replaced; with real processes that run a played worker."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from edgeproof.core.errors import WorkerError
from edgeproof.serve import worker_process
from edgeproof.serve.channel import Message
from edgeproof.serve.http_errors import HttpError
from edgeproof.serve.pool import Plan, Pool

PLAYED = """
import os, socket, sys, threading, time
from edgeproof.serve.channel import ChannelClosedError, Message, WorkerChannel
control, *slots = (WorkerChannel(socket.socket(fileno=int(n))) for n in sys.argv[1:])
order = control.receive().head
if "bad" in order["tasks"]:
    control.send(Message({"error": {"code": "model", "message": "It is bad.", "hint": "Use another."}}))
    sys.exit(1)
if "mute" in order["tasks"]:
    sys.exit(3)
control.send(Message({"ready": True, "models": [{"name": "n", "task": None}]}))
def serve(slot):
    while True:
        order, body = slot.receive()
        if order["do"] == "die" or (order["do"] == "die once" and not os.path.exists(order["mark"])):
            if "mark" in order:
                open(order["mark"], "w").close()
            os._exit(9)
        if order["do"] == "hang":
            time.sleep(1000)
        slot.send(Message({"pid": os.getpid()}, body))
for slot in slots:
    threading.Thread(target=serve, args=(slot,), daemon=True).start()
try:
    control.receive()
except ChannelClosedError:
    os._exit(0)
"""


@pytest.fixture
def with_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    script = tmp_path / "played.py"
    script.write_text(PLAYED)
    monkeypatch.setattr(worker_process, "COMMAND", [sys.executable, str(script)])

    def run(
        test: Callable[[Pool], Awaitable[None]], tasks: tuple[str, ...] = (), workers: int = 1
    ) -> list[str]:
        reasons: list[str] = []
        plan = Plan(workers, 2, tasks, {}, run_timeout_s=1.0, wait_timeout_s=20.0)

        async def go() -> None:
            pool = Pool(plan, (), reasons.append)
            await pool.start()
            pids = pool.pids
            try:
                await test(pool)
            finally:
                await pool.close()
            assert not any(Path(f"/proc/{pid}/exe").exists() for pid in pids)

        asyncio.run(go())
        return reasons

    return run


def test_bytes_go_there_and_back(with_pool: Callable[..., list[str]]) -> None:
    async def test(pool: Pool) -> None:
        data = os.urandom(5_000_000)
        assert (await pool.run(Message({"do": "echo"}, data))).body == data
        answers = await asyncio.gather(*(pool.run(Message({"do": "echo"}, b"%d" % n)) for n in range(50)))
        assert [bytes(one.body) for one in answers] == [b"%d" % n for n in range(50)]

    assert with_pool(test, workers=2) == []


def test_what_a_dying_worker_had_is_done_once_more(
    with_pool: Callable[..., list[str]], tmp_path: Path
) -> None:
    async def test(pool: Pool) -> None:
        before = pool.pids
        answer = await pool.run(Message({"do": "die once", "mark": str(tmp_path / "mark")}, b"x"))
        assert answer.body == b"x"
        assert answer.head["pid"] not in before

    assert with_pool(test) == ["died"]


def test_a_request_that_kills_every_worker_is_refused(with_pool: Callable[..., list[str]]) -> None:
    async def test(pool: Pool) -> None:
        with pytest.raises(HttpError) as caught:
            await pool.run(Message({"do": "die"}))
        assert (caught.value.status, caught.value.code) == (503, "worker_died")
        assert "retry-after" in caught.value.headers
        assert (await pool.run(Message({"do": "echo"}, b"x"))).body == b"x"

    assert with_pool(test) == ["died", "died"]


def test_a_hung_worker_is_replaced_and_its_neighbour_is_done_again(
    with_pool: Callable[..., list[str]],
) -> None:
    async def test(pool: Pool) -> None:
        hung = asyncio.create_task(pool.run(Message({"do": "hang"})))
        with pytest.raises(HttpError) as caught:
            await hung
        assert (caught.value.status, caught.value.code) == (503, "timed_out")
        assert (await pool.run(Message({"do": "echo"}, b"x"))).body == b"x"

    assert with_pool(test) == ["hung"]


def test_a_worker_beyond_its_memory_is_replaced(with_pool: Callable[..., list[str]]) -> None:
    async def test(pool: Pool) -> None:
        (pid,) = pool.pids
        pool.bound(1, lambda _pid: None)
        pool.replace_large()
        pool.bound(1 << 40, lambda _pid: None)
        assert (await pool.run(Message({"do": "echo"}))).head["pid"] != pid

    assert with_pool(test) == ["memory"]


def test_who_hangs_up_leaves_the_worker_usable(with_pool: Callable[..., list[str]]) -> None:
    async def test(pool: Pool) -> None:
        for _ in range(20):
            asked = asyncio.create_task(pool.run(Message({"do": "echo"}, b"x" * 100_000)))
            await asyncio.sleep(0)
            asked.cancel()
        for n in range(10):
            assert (await pool.run(Message({"do": "echo"}, b"%d" % n))).body == b"%d" % n

    assert with_pool(test) == []


@pytest.mark.parametrize(("task", "words"), [("bad", "It is bad."), ("mute", "exit 3")])
def test_a_worker_that_can_not_start_says_why(
    with_pool: Callable[..., list[str]], task: str, words: str
) -> None:
    async def test(pool: Pool) -> None:
        raise AssertionError("it started")

    with pytest.raises(WorkerError, match=words):
        with_pool(test, (task,), 2)
