"""The service that everything hostile is thrown at, with all tasks for which there are networks here."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.processes import ENVIRONMENT
from serve.raw_client import Answer, RawClient
from serve.real_server import RealServer, running
from serve.served_models import install

# Everything but 500 and what only a service with keys, or one that is busy, says.
EXPECTED = {200, 400, 403, 404, 405, 413, 415, 422}


class FuzzedServer:
    """A running service and a client that checks each answer."""

    def __init__(self, server: RealServer) -> None:
        self.server, self.client = server, RawClient(server.facts["port"])

    def ask(self, method: str, path: bytes, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> Answer:
        """One request whose frame is right, whatever is in it."""
        lines = b"".join(b"%s: %s\r\n" % header for header in [(b"host", b"localhost"), *headers])
        head = b"%s %s HTTP/1.1\r\n%s\r\n" % (method.encode(), path, lines)
        answer = self.client.ask(head + body)
        check(answer, told=method != "HEAD")
        return answer

    def is_well(self) -> None:
        """Within its budget, with the workers that it began with, and without a bug met on the way."""
        status = httpx.get(f"{self.server.url}/status").json()
        assert 0 < status["memory_bytes"] < status["memory_budget_bytes"]
        assert (status["running"], status["waiting"]) == (0, 0)
        lines = httpx.get(f"{self.server.url}/metrics").text.splitlines()
        assert not [line for line in lines if 'status="5' in line]
        restarts = [line for line in lines if line.startswith("edgeproof_worker_restarts_total")]
        assert all(line.endswith(" 0") for line in restarts), restarts


def check(answer: Answer, *, told: bool = True) -> None:
    """It is one of ours: an expected status, and where it refuses, the reason in the form that is documented."""
    assert answer.status in EXPECTED, answer
    assert b"Traceback" not in answer.body
    if told and answer.status != 200:
        document = json.loads(answer.body)
        assert document["error"]
        assert document["request_id"] == answer.headers.get("x-request-id")


def fuzz(strategy: st.SearchStrategy[Any], one: Callable[[Any], None], cases: int) -> int:
    """Try so many cases, the same in every run; how many there were: less where there are no more."""
    tried = 0

    @settings(
        max_examples=cases,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    @given(strategy)
    def case(drawn: Any) -> None:
        nonlocal tried
        tried += 1
        one(drawn)

    case()
    return tried


@contextlib.contextmanager
def fuzzed_server(folder: Path) -> Iterator[FuzzedServer]:
    """The service while the block runs; after it, that it ended well and said nothing."""
    options = ["--task", "orientation", "--model", f"two={_two_inputs(folder / 'two.onnx')}"]
    with pytest.MonkeyPatch.context() as patch:
        shared = Path(os.environ.get("EDGEPROOF_SHARED", Path(__file__).parents[3] / "shared"))
        if (shared / "models").is_dir():
            install(shared, folder, patch, "yunet", "mobilefacenet")
            patch.setitem(ENVIRONMENT, "EDGEPROOF_HOME", str(folder / "home"))
            for task in ("attributes", "faces", "embeddings"):
                options += ["--task", task]
            if importlib.util.find_spec("cryptography"):
                options += [
                    "--gallery",
                    str(folder / "door.db"),
                    "--key-file",
                    str(folder / "keys" / "door.key"),
                ]
        with running("--mem-budget", "300MB", *options, task="") as server:
            fuzzed = FuzzedServer(server)
            yield fuzzed
            fuzzed.client.close()
            code, said = server.end()
            assert code == 0, said
            # Nothing but what it serves, and where.
            assert all(line.startswith(("Collection ", "Listening on ")) for line in said.splitlines()), said


def _two_inputs(path: Path) -> Path:
    """A network with inputs of two kinds; the logarithm of a negative number is NaN."""
    onnx = pytest.importorskip("onnx", reason="onnx makes the network and isn't installed (extra `fit`)")
    helper, kinds = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [helper.make_node("Log", ["a"], ["y"]), helper.make_node("Neg", ["b"], ["z"])],
        "two",
        [
            helper.make_tensor_value_info("a", kinds.FLOAT, ["N", 2]),
            helper.make_tensor_value_info("b", kinds.INT64, ["N"]),
        ],
        [
            helper.make_tensor_value_info("y", kinds.FLOAT, ["N", 2]),
            helper.make_tensor_value_info("z", kinds.INT64, ["N"]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path
