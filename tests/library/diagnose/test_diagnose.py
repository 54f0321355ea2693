"""A planted cause is found, by experiment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgeproof
from edgeproof.devices.host import usable_cores
from edgeproof.library.diagnose.causes import contention, from_nodes, from_race, outside_network
from edgeproof.library.diagnose.experiments import Experiment, Raced, open_sizes, plan, race
from edgeproof.measure.nodes import Node, profile, slowest_nodes
from edgeproof.measure.runs import Run, Variant

NETWORK = Path(edgeproof.__file__).parent / "data" / "orientation.onnx"


@pytest.fixture
def base(tmp_path: Path) -> Variant:
    """The network that comes with edgeproof, with four times more threads than cores."""
    rows = tmp_path / "rows.npy"
    np.save(rows, np.zeros((1, 1, 3, 192, 192), np.float32))
    return Variant("base", NETWORK, threads=4 * usable_cores(), inputs={"input": rows}, whole=True)


def test_more_threads_than_cores_are_found_with_their_remedy(base: Variant) -> None:
    experiments = [one for one in plan(base, range(usable_cores()), None) if one.name == "threads"]
    raced, others = race(
        base, experiments, seconds=3, seed=0, progress=lambda _share: None, stop=lambda: False
    )
    findings, tried = from_race(raced, experiments, others)
    assert {one.option for one in tried} == {f"--threads {count}" for count in {1, usable_cores()}}
    (found,) = [one for one in findings if one.symptom != "memory"]
    assert found.remedy in {one.option for one in tried}
    assert found.gain is not None
    assert found.ci is not None
    assert found.gain <= found.ci[1] < 0.95


def test_every_node_has_its_share(base: Variant) -> None:
    nodes = profile(base, {})
    assert sum(node.share for node in nodes) == pytest.approx(1)
    assert nodes[0].ms >= nodes[-1].ms > 0
    assert "Conv" in {node.op for node in nodes}


def test_the_experiments_fit_what_is_run(base: Variant) -> None:
    assert open_sizes(base) == "N=1"
    names = [one.name for one in plan(base, [0, 1], base)]
    assert names == ["threads", "threads", "arena", "shapes", "batch"]
    alone = Variant("x", NETWORK, "openvino", threads=1, inputs=base.inputs, whole=True)
    assert [one.name for one in plan(alone, [0, 1], None)] == ["threads", "pinned", "shapes"]


def _raced(name: str, ms: float, *, threads: int = 1, waited: float = 0.0, seed: int = 0) -> Raced:
    random = np.random.default_rng(seed)
    run = Run(Variant(name, NETWORK, threads=threads))
    for process in range(4):
        for block in range(12):
            busy = waited if block % 2 else 0.0
            run.blocks.append(list(ms * (1 + busy) * np.exp(0.05 * random.normal(size=10))))
            run.circumstances.append({"process": process, "waited": busy})
    return Raced(run)


def test_an_experiment_that_brings_nothing_is_no_finding() -> None:
    base, same = _raced("base", 10), _raced("arena", 10, seed=1)
    experiment = Experiment("arena", same.run.variant, "--engine-option arena=false", "memory", "the pool")
    findings, tried = from_race(base, [experiment], [same])
    assert findings == []
    assert tried[0].ratio == pytest.approx(1, abs=0.05)


def test_a_batch_is_compared_picture_by_picture() -> None:
    base, batch = _raced("base", 10), _raced("batch", 24, seed=1)
    experiment = Experiment("batch", batch.run.variant, "--batch 4", "throughput", "costs", per_run=4)
    findings, _ = from_race(base, [experiment], [batch])
    assert findings[0].symptom == "throughput"
    assert findings[0].gain == pytest.approx(0.6, rel=0.05)


def test_a_busy_machine_is_told_by_its_own_runs() -> None:
    observed = {"others_cores": 1.2, "others": [{"pid": 7, "name": "ffmpeg", "cores": 1.1}]}
    (found,) = contention([_raced("base", 10, waited=0.5)], 2, observed)
    assert "ffmpeg (7)" in found.seen
    assert found.gain is not None
    assert found.gain < 0.9
    assert contention([_raced("base", 10)], 2, observed) == []
    assert contention([_raced("base", 10, waited=0.5)], 2, {"others_cores": 0.0, "others": []}) == []
    assert contention([_raced("base", 10, threads=9, waited=0.5)], 2, observed) == []  # its own threads


def test_a_stage_beside_the_network_is_named() -> None:
    (found,) = outside_network({"decode": 30.0, "prepare": 2.0, "run": 5.0, "decode_result": 1.0})
    assert found.cause.startswith("decode takes most")
    assert outside_network({"decode": 1.0, "prepare": 1.0, "run": 9.0, "decode_result": 0.1}) == []
    assert outside_network(None) == []


def test_nodes_that_fell_back_are_named() -> None:
    rows = [("conv1", "Conv", 0.6), ("conv2", "QLinearConv", 0.4)]
    nodes = [Node(name, op, "CPUExecutionProvider", share, share) for name, op, share in rows]
    (found,) = from_nodes(nodes, "CPUExecutionProvider")
    assert "conv1 (Conv)" in found.seen
    assert from_nodes(nodes[:1], "CPUExecutionProvider") == []  # a float network is meant to be one
    (left,) = from_nodes(nodes[:1], "QNNExecutionProvider, without Resize (up)")
    assert "Resize (up)" in left.seen


def test_a_profile_is_summed_up_by_node() -> None:
    events = [
        {"cat": "Session", "name": "model_run", "dur": 900},
        {"cat": "Node", "name": "a_kernel_time", "dur": 300, "args": {"op_name": "Conv", "provider": "CPU"}},
        {"cat": "Node", "name": "a_kernel_time", "dur": 100, "args": {"op_name": "Conv", "provider": "CPU"}},
        {"cat": "Node", "name": "b_kernel_time", "dur": 100, "args": {"op_name": "Relu", "provider": "CPU"}},
    ]
    first, second = slowest_nodes(events, 2)
    assert (first.name, first.op, first.ms, first.share) == ("a", "Conv", 0.2, 0.8)
    assert second.name == "b"
    assert slowest_nodes([], 1) == []
