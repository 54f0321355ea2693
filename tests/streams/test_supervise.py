"""A stage that fails goes on: split, opened again, degraded, well again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproof.core.errors import EdgeproofError, EngineError, NotAnImageError
from edgeproof.core.protocols import Engine
from edgeproof.engines import open_engine
from edgeproof.streams.batches import BatchSize
from edgeproof.streams.events import StreamEvent
from edgeproof.streams.live import Reconnect
from edgeproof.streams.pipeline import run_pipeline
from edgeproof.streams.supervise import Supervised

WAITS = Reconnect(most=3, first_s=1, longest_s=8)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


class Net:
    """A null network in a file, and the stage around it."""

    def __init__(self, path: Path, **model: Any) -> None:
        self.path, self.engine, self.opened = path, None, 0
        self.write(**model)

    def write(self, **model: Any) -> None:
        tensor = {"name": "x", "shape": ["N", 1]}
        self.path.write_text(json.dumps({"inputs": [tensor], "outputs": [{**tensor, "name": "y"}], **model}))

    def reopen(self) -> None:
        if self.engine is not None:
            self.engine.close()
            self.engine: Engine | None = None
        self.engine = open_engine(self.path, engine="null")
        self.opened += 1

    def work(self, values: list[float]) -> list[float]:
        assert self.engine is not None
        answer = self.engine.run({"x": np.array(values, np.float32)[:, None]})["y"]
        return [float(value) for value in answer[:, 0]]


def supervised(
    work: Callable[[list[Any]], Any], reopen: Callable[[], None] | None = None, **more: Any
) -> tuple[Supervised, Clock, list[StreamEvent]]:
    clock, events = Clock(), []
    made = Supervised(
        "embed",
        work,
        reopen=reopen,
        notify=events.append,
        waits=WAITS,
        clock=clock,
        sleep=clock.sleep,
        **more,
    )
    return made, clock, events


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 20), max_size=20), st.sets(st.integers(0, 20)))
def test_a_bad_one_in_a_batch_harms_no_other(values: list[int], bad: set[int]) -> None:
    def work(some: list[int]) -> list[int]:
        if bad & set(some):
            raise NotAnImageError("bad")
        return [value * 2 for value in some]

    stage, clock, events = supervised(work)
    for value, answer in zip(values, stage(values), strict=True):
        assert isinstance(answer, NotAnImageError) if value in bad else answer == value * 2
    assert not clock.slept
    assert not events


def test_an_engine_that_fails_once_is_asked_again(tmp_path: Path) -> None:
    net = Net(tmp_path / "net.json", fail_runs=[1])
    net.reopen()
    stage, _, events = supervised(net.work, net.reopen)
    assert [stage([value]) for value in (1.0, 2.0, 3.0)] == [[1.0], [2.0], [3.0]]
    assert not events
    assert net.opened == 1


def test_one_that_fails_on_is_opened_again_after_waits_that_grow(tmp_path: Path) -> None:
    net = Net(tmp_path / "net.json", fail_runs=[0, 1, 2, 3])
    net.reopen()
    stage, clock, events = supervised(net.work, net.reopen)
    (answer,) = stage([1.0])
    assert isinstance(answer, EngineError)
    assert clock.slept == [1, 2, 4]
    assert [event.kind for event in events] == ["reopening"] * 3
    net.write()
    assert stage([1.0]) == [1.0]  # the next: asked once more, opened again, and well


def test_a_model_that_cannot_load_leaves_it_degraded_and_saying_so(tmp_path: Path) -> None:
    net = Net(tmp_path / "net.json")
    net.path.unlink()
    stage, clock, events = supervised(net.work, net.reopen)
    assert not stage.start()
    assert [event.kind for event in events] == ["degraded"]
    assert "out of order" in str(stage.degraded)
    answers = stage([1.0, 2.0])
    assert all(isinstance(answer, EdgeproofError) for answer in answers)
    assert len(events) == 1  # nothing was tried before its time
    clock.now += 1.5
    stage([1.0])
    assert [event.retry_s for event in events] == [1, 2]  # each wait is twice as long
    net.write()
    clock.now += 2.5
    assert stage([1.0]) == [1.0]
    assert stage.degraded is None
    assert events[-1].kind == "recovered"


def test_running_out_of_memory_makes_batches_smaller() -> None:
    batch = BatchSize(None, most=8)
    batch.went_well(1)

    def work(values: list[int]) -> list[int]:
        if len(values) > 2:
            raise MemoryError
        return values

    stage, _, events = supervised(work, batch=batch)
    assert stage(list(range(8))) == list(range(8))
    assert events[0].kind == "smaller batches"
    assert "not enough memory" in events[0].message


def test_a_stage_without_an_engine_gives_the_error(tmp_path: Path) -> None:
    def work(values: list[int]) -> list[int]:
        raise ZeroDivisionError

    stage, clock, _ = supervised(work)
    (answer,) = stage([1])
    assert "ZeroDivisionError" in str(answer)
    assert not clock.slept


@pytest.mark.parametrize("threads", [1, 4])
def test_in_a_pipeline_a_failing_engine_loses_nothing(tmp_path: Path, threads: int) -> None:
    """Two runs in a row fail on each engine that is opened: it is opened again, and every answer comes."""
    net = Net(tmp_path / "net.json", fail_runs=[5, 6])
    net.reopen()
    stage, _, _ = supervised(net.work, net.reopen)
    values = [float(value) for value in range(40)]
    results = list(run_pipeline(values, [stage.stage()], threads=threads))
    assert [result.value for result in results] == values
