"""Measuring in processes of their own: nothing leaks in, nothing is left behind, every end is told."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgeproof
from edgeproof.core import errors
from edgeproof.core.errors import EdgeproofError, WorkerError
from edgeproof.measure.process import WorkerProcess
from edgeproof.measure.runs import WORKER, Run, Variant, measure, open_request

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="memory is read from /proc")
_KINDS = sorted(
    name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, EdgeproofError)
)
# A worker that does on request what libraries do to us.
_SOURCE = """
import os, signal, sys, time
import numpy as np
from edgeproof.core import errors
from edgeproof.measure.memory import peak_mb, reset_peak
from edgeproof.measure.worker_loop import serve

def handle(request):
    do = request["do"]
    if do == "hang":
        time.sleep(600)
    elif do == "kill":
        os.kill(os.getpid(), getattr(signal, request["signal"]))
    elif do == "exit":
        print("out of cheese", file=sys.stderr, flush=True)
        os._exit(3)
    elif do == "raise":
        raise getattr(errors, request["kind"])("It broke: ä", hint="Mend it.")
    elif do == "bug":
        return {"x": 1 // 0}
    elif do == "print":
        print("{not our answer}", flush=True)
        os.write(1, b"nor this\\n")
        os.system("echo and not that of a child")
    elif do == "large":
        return {"text": "x" * 3_000_000}
    elif do == "allocate":
        reset_peak()
        held = np.ones(int(request["mb"] * 1e6), np.uint8)
        del held
        return {"peak": peak_mb()}
    return {"pid": os.getpid()}

serve(handle)
"""


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "odd_worker.py").write_text(_SOURCE)
    ours = str(Path(edgeproof.__file__).parent.parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), ours]))
    return "odd_worker"


Model = Callable[..., Path]


@pytest.fixture
def model(tmp_path: Path) -> Model:
    def write(name: str = "m", **options: Any) -> Path:
        x, y = ({"name": name, "shape": ["N", size]} for name, size in (("x", 3), ("y", 4)))
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps({"inputs": [x], "outputs": [y], **options}))
        return file

    return write


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    np.save(tmp_path / "x.npy", np.arange(30, dtype=np.float32).reshape(10, 3))
    return {"x": tmp_path / "x.npy"}


def _children() -> set[int]:
    """Processes that we started, the dead among them that no one waited for."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(state[1]) == os.getpid():
            found.add(int(stat.parent.name))
    return found


def _handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(autouse=True)
def nothing_left() -> Any:
    processes, handles = _children(), _handles()
    yield
    assert _children() <= processes
    assert _handles() <= handles


def _null(id_: str, path: Path) -> Run:
    return Run(Variant(id_, path, engine="null"))


def test_errors_come_as_they_were_raised_and_the_worker_goes_on(worker: str) -> None:
    with WorkerProcess(worker) as process:
        for kind in _KINDS:
            with pytest.raises(EdgeproofError) as caught:
                process.ask({"do": "raise", "kind": kind}, 30)
            assert type(caught.value).__name__ == kind
            assert (caught.value.message, caught.value.hint) == ("It broke: ä", "Mend it.")
        with pytest.raises(WorkerError, match="ZeroDivisionError"):
            process.ask({"do": "bug"}, 30)
        assert process.ask({"do": "print"}, 30) == process.ask({"do": "pid"}, 30)
        assert len(process.ask({"do": "large"}, 30)["text"]) == 3_000_000


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"do": "kill", "signal": "SIGKILL"}, "SIGKILL, probably out of memory"),
        ({"do": "kill", "signal": "SIGSEGV"}, "SIGSEGV"),
        ({"do": "kill", "signal": "SIGTERM"}, "SIGTERM"),
        ({"do": "exit"}, "exit 3 (out of cheese)"),
    ],
)
def test_a_worker_that_dies_says_how(worker: str, request_: dict[str, Any], says: str) -> None:
    with WorkerProcess(worker) as process:
        pid = process.ask({"do": "pid"}, 30)["pid"]
        with pytest.raises(WorkerError) as caught:
            process.ask(request_, 30)
        assert says in caught.value.message
        with pytest.raises(WorkerError):
            process.ask({"do": "pid"}, 30)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_worker_that_cant_start_says_why(worker: str) -> None:
    with (
        WorkerProcess("edgeproof_no_such_module") as process,
        pytest.raises(WorkerError, match="No module named"),
    ):
        process.ask({"do": "pid"}, 30)


def test_a_worker_that_hangs_is_ended(worker: str) -> None:
    with WorkerProcess(worker) as process:
        pid = process.ask({"do": "pid"}, 30)["pid"]
        with pytest.raises(WorkerError, match="Gave up after 1 s"):
            process.ask({"do": "hang"}, 1)
        with pytest.raises(WorkerError):
            process.ask({"do": "pid"}, 30)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_busy_worker_is_ended_when_the_block_is_left(worker: str) -> None:
    def leave() -> int:
        with WorkerProcess(worker) as process:
            pid = int(process.ask({"do": "pid"}, 30)["pid"])
            process.send({"do": "hang"})
            os.kill(pid, 0)
            return pid

    with pytest.raises(ProcessLookupError):
        os.kill(leave(), 0)


def test_a_limit_of_memory_is_an_error_not_a_crash(worker: str) -> None:
    with WorkerProcess(worker, memory_mb=400) as process:
        process.ask({"do": "allocate", "mb": 20}, 30)
        with pytest.raises(WorkerError, match="memory"):
            process.ask({"do": "allocate", "mb": 900}, 30)


def test_memory_is_the_childs_own_and_by_phase(worker: str) -> None:
    ours = np.ones(600_000_000, np.uint8)
    with WorkerProcess(worker) as process:
        before, with_200, after = (
            process.ask({"do": "allocate", "mb": mb}, 30)["peak"] for mb in (0, 200, 0)
        )
    assert with_200 - before == pytest.approx(200, rel=0.05)
    assert after == pytest.approx(before, abs=10)
    assert ours.nbytes > with_200 * 1e6


def test_memory_of_a_network_is_what_it_holds(model: Model, inputs: dict[str, Path]) -> None:
    ours = np.ones(600_000_000, np.uint8)
    small, large = (_null(name, model(name, allocate_mb=mb)) for name, mb in (("small", 0), ("large", 200)))
    measure([small, large], inputs, rounds=1, seed=1)
    for phase in ("load", "first", "steady"):
        one, other = small.memory_mb[phase], large.memory_mb[phase]
        assert one is not None
        assert other is not None
        assert other - one == pytest.approx(200, rel=0.05)
    assert large.peak_mb is not None
    assert ours.nbytes > large.peak_mb * 1e6


def test_known_delays_come_back_and_rounds_align(model: Model, inputs: dict[str, Path]) -> None:
    runs = [
        _null(name, model(name, delay_ms=delays))
        for name, delays in (("a", [1.0]), ("b", [4.0, 4.0, 9.0]), ("c", [20.0]))
    ]
    steps: list[None] = []
    measure(runs, inputs, rounds=4, seed=3, progress=lambda: steps.append(None))
    assert [run.error for run in runs] == [None] * 3
    assert [len(run.blocks) for run in runs] == [4] * 3
    assert len(steps) == 3 + 4 * 3
    a, b, c = runs
    assert min(a.latencies_ms) >= 1
    assert min(b.latencies_ms) >= 4
    assert sum(value >= 9 for value in b.latencies_ms) >= len(b.latencies_ms) // 3
    assert min(c.latencies_ms) >= 20
    assert c.first_ms[0] >= 20
    for run in runs:
        assert all(3 <= len(block) <= 40 for block in run.blocks)
        assert run.cold_s[0] > run.load_s[0] > 0
        assert run.info["name"] == "null"
        json.dumps(run.as_json())


@pytest.mark.parametrize("crash_after", [0, 5])
def test_one_that_crashes_is_told_and_the_others_are_measured(
    model: Model, inputs: dict[str, Path], crash_after: int
) -> None:
    bad, good = _null("bad", model("bad", crash_after=crash_after)), _null("good", model("good"))
    missing = _null("missing", model("x").with_name("nowhere.json"))
    measure([bad, good, missing], inputs, rounds=2, seed=1)
    assert isinstance(bad.error, WorkerError)
    assert "SIGABRT" in bad.error.message
    assert isinstance(missing.error, errors.NotFoundError)
    assert good.error is None
    assert len(good.blocks) == 2


def test_an_interrupted_measurement_leaves_no_process(model: Model, inputs: dict[str, Path]) -> None:
    count = 0

    def interrupt() -> None:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure([_null(name, model(name)) for name in "ab"], inputs, rounds=2, seed=1, progress=interrupt)


def test_a_network_without_rows_is_refused(model: Model, tmp_path: Path) -> None:
    np.save(tmp_path / "none.npy", np.zeros((0, 3), np.float32))
    run = _null("m", model())
    measure([run], {"x": tmp_path / "none.npy"}, rounds=1, seed=1)
    assert isinstance(run.error, errors.InputError)


def test_an_unknown_request_is_refused(model: Model, inputs: dict[str, Path]) -> None:
    with WorkerProcess(WORKER) as process:
        process.ask(open_request(Variant("m", model(), engine="null"), inputs, process.spawned), 30)
        with pytest.raises(WorkerError, match="'dance'"):
            process.ask({"do": "dance"}, 30)
