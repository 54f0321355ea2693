from __future__ import annotations

import pytest

from edgeproof.measure.timing import QUEUE, time_arrivals, time_runs


class Clock:
    """A clock that only runs and sleeps move."""

    def __init__(self, run_ms: list[float]) -> None:
        self.now, self._run_ms, self.seen = 0, run_ms, []

    def __call__(self) -> int:
        self.now += 20_000  # a loop that only looks at it gets on
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(1, int(seconds * 1e9))

    def run(self, item: str) -> None:
        self.now += int(self._run_ms[len(self.seen) % len(self._run_ms)] * 1e6)
        self.seen.append(item)


@pytest.mark.parametrize(
    ("run_ms", "count", "dropped", "late"),
    [
        ([1.0], 50, 0, 0),
        ([9.9], 50, 0, 0),
        ([60.0, *[1.0] * 99], 50, 0, 6),  # one stall: the five that came meanwhile are late with it
        ([20.0], 50, 17, 33),  # half as fast as they come: the queue fills, then every second is dropped
    ],
)
def test_arrivals_are_timed_from_when_they_were_due(
    run_ms: list[float], count: int, dropped: int, late: int
) -> None:
    clock = Clock(run_ms)
    seen = time_arrivals(clock.run, ["a", "b"], rate_hz=100.0, count=count, clock=clock, sleep=clock.sleep)
    assert seen.arrived == count
    assert (seen.dropped, seen.late) == (dropped, late)
    assert len(seen.latency_ms) == count - dropped == len(clock.seen)
    assert seen.latency_ms[0] == pytest.approx(run_ms[0], abs=0.31)
    assert max(seen.latency_ms) <= (QUEUE + 1) * max(run_ms) + 10


def test_a_stall_is_seen_by_all_that_wait_behind_it() -> None:
    clock = Clock([45.0, *[1.0] * 99])
    seen = time_arrivals(clock.run, [0], rate_hz=100.0, count=8, clock=clock, sleep=clock.sleep)
    assert seen.latency_ms[:6] == pytest.approx([45, 36, 27, 18, 9, 1], abs=0.35)


def test_runs_go_round_the_items() -> None:
    seen: list[str] = []
    taken = time_runs(seen.append, ["a", "b", "c"], 5, start=2)
    assert seen == ["c", "a", "b", "c", "a"]
    assert len(taken) == 5
    assert min(taken) >= 0
