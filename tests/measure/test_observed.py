"""Processes seen from outside: ours, gone, not ours; a leak that was planted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from boards import bare
from edgeproof.core.errors import NotFoundError, StorageError, UsageError
from edgeproof.measure.observed import check_observable, family, is_over, read_process
from edgeproof.measure.process_watch import watch_process

_STEADY = "print(flush=True)\nwhile True:\n    time.sleep(0.005)"
_LEAKING = (
    "import sys\nkeep = []\nprint(flush=True)\n"
    "for line in sys.stdin:\n    keep.append(bytearray(50_000)); print(flush=True)"
)

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's /proc")


@contextmanager
def _child(code: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", f"import time\n{code}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()  # it runs
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def test_a_leaking_process_is_found() -> None:
    with _child(_LEAKING) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        clock = [0.0]

        def sleep(seconds: float) -> None:
            clock[0] += seconds
            process.stdin.write(b"\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            process.stdout.readline()  # type: ignore[union-attr]

        found = watch_process(process.pid, minutes=0.02, sleep=sleep, clock=lambda: clock[0])
        process.stdin.close()
    (growth,) = [finding for finding in found.findings if finding.symptom == "memory growth"]
    assert "MB an hour" in growth.seen
    assert "memory growth" in found.verdict
    assert found.observed["memory"]["rss"]["ci"][0] > 0
    assert found.observed["processes"] == 1


def test_a_steady_process_is_not_accused_of_a_leak() -> None:
    with _child(_STEADY) as process:
        clock = [0.0]

        def sleep(seconds: float) -> None:
            clock[0] += seconds

        found = watch_process(process.pid, minutes=0.02, sleep=sleep, clock=lambda: clock[0])
    assert not [finding for finding in found.findings if finding.symptom == "memory growth"]
    assert found.observed["rss_mb"][0] > 1


def test_a_process_that_ends_meanwhile_keeps_what_was_seen() -> None:
    with _child(_STEADY) as process:
        asked: list[float] = []

        def sleep(seconds: float) -> None:
            asked.append(seconds)
            if len(asked) == 3:
                process.kill()
                process.wait()

        found = watch_process(process.pid, minutes=1.0, sleep=sleep)
    assert found.observed["ended"]
    assert found.observed["readings"] == 3
    assert not found.observed["enough"]
    assert "memory growth" not in found.verdict


def test_children_count_in() -> None:
    with _child(
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(flush=True)\ntime.sleep(60)"
    ) as process:
        members = family(process.pid)
        reading = read_process(process.pid)
        for member in members[1:]:
            os.kill(member, 9)
    assert len(members) == 2
    assert reading is not None
    assert reading.processes == 2


def test_a_process_that_is_gone_is_one_clear_line() -> None:
    with _child(_STEADY) as process:
        pass
    with pytest.raises(NotFoundError, match=f"no running process {process.pid}"):
        check_observable(process.pid)
    assert is_over(process.pid)
    assert read_process(process.pid) is None


def test_a_process_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    stat = "7 (other thing) S 1 " + " ".join(["0"] * 40)
    board = bare(tmp_path).write({"proc/7/stat": stat, "proc/7/status": "VmRSS: 100 kB"})
    with pytest.raises(StorageError, match="not ours"):
        check_observable(7, board.root / "proc")


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan"), 1e9])
def test_minutes_that_make_no_sense_are_refused(minutes: float) -> None:
    with pytest.raises(UsageError):
        watch_process(os.getpid(), minutes=minutes)
