"""What each node of a network takes: the runtime's own profile, read in a process of its own.

{"do": "profile", "model", "engine", "device", "threads", "options", "inputs": {NAME: rows.npy}, "whole": BOOL,
 "runs": N}
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edgeproof.core.errors import EngineError, WorkerError
from edgeproof.measure.process import WorkerProcess
from edgeproof.measure.runs import Variant, open_request
from edgeproof.measure.worker import Network
from edgeproof.measure.worker_loop import serve

ENGINES = ("onnxruntime", "openvino")  # those whose profile can be had
_MODULE = "edgeproof.measure.nodes"
_RUNS = 20
_LONGEST_S = 5.0
_TIMEOUT_S = 120.0
_MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class Node:
    """One node of the network as the runtime rewrote it.

    Attributes:
        op: its operator. provider: who ran it, in the runtime's words.
        ms: of one run. share: of all nodes' time.
    """

    name: str
    op: str
    provider: str
    ms: float
    share: float

    def as_json(self) -> dict[str, Any]:
        """A row of the `nodes` of `diagnose`."""
        return {
            "name": self.name,
            "op": self.op,
            "provider": self.provider,
            "ms": self.ms,
            "share": self.share,
        }


def profile(variant: Variant, inputs: Mapping[str, Path]) -> list[Node]:
    """Every node, the slowest first; profiling itself adds some microseconds to each.

    Raises:
        EngineError: the engine has no profile.
        EdgeproofError: what opening or running the network met.
    """
    if variant.engine not in ENGINES:
        raise EngineError(
            f"The {variant.engine} engine doesn't tell what each node takes.",
            hint=f"Use: {', '.join(ENGINES)}.",
        )
    with WorkerProcess(_MODULE) as worker:
        request = open_request(variant, inputs, worker.spawned)
        answer = worker.ask({**request, "do": "profile", "runs": _RUNS}, _TIMEOUT_S)
    return [Node(**row) for row in answer["nodes"]]


def slowest_nodes(events: Sequence[Mapping[str, Any]], runs: int) -> list[Node]:
    """A profile's events summed up by node.

    Arguments:
        events: of the trace event format, as ONNX Runtime writes it; `dur` in microseconds.
        runs: how many runs they are of.
    """
    took: dict[tuple[str, str, str], float] = defaultdict(float)
    for event in events:
        arguments = event.get("args") or {}
        if event.get("cat") == "Node" and "op_name" in arguments:
            name = str(event.get("name", "")).removesuffix("_kernel_time")
            took[name, str(arguments["op_name"]), str(arguments.get("provider", ""))] += float(
                event.get("dur", 0)
            )
    total = sum(took.values()) or 1.0
    nodes = [Node(*key, us / 1e3 / runs, us / total) for key, us in took.items()]
    return sorted(nodes, key=lambda node: -node.ms)


def _handle(request: dict[str, Any]) -> dict[str, Any]:
    if request["do"] != "profile":
        raise WorkerError(f"Unknown request {request['do']!r}.")
    with tempfile.TemporaryDirectory() as folder:
        request["options"] = {**request["options"], "profile": str(Path(folder) / "profile")}
        network = Network(request)
        items, runs, started = network.items(), 0, time.monotonic()
        while runs < request["runs"] and (not runs or time.monotonic() - started < _LONGEST_S):
            network.run(items[runs % len(items)])
            runs += 1
        network.close()
        file = next(Path(folder).glob("profile*.json"), None)
        if file is None or file.stat().st_size > _MOST_BYTES:
            raise EngineError(
                "The runtime wrote no profile, or one that is too large.", hint="Try another engine."
            )
        events = msgspec.json.decode(file.read_bytes(), type=list[dict[str, Any]])
    return {"nodes": [node.as_json() for node in slowest_nodes(events, runs)]}


if __name__ == "__main__":
    serve(_handle)
