"""The service as it really runs: hostile clients, workers that die, its start and its end."""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from bundles.sample_bundles import packed
from cli.processes import start
from imaging.picture_files import encode, scene
from serve.real_server import RealServer, read_all, running

PHOTO = encode(scene(640, 480), "JPEG")
FORM = b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n' + PHOTO + b"\r\n--b--\r\n"
CLOSE = b"HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
HEAD = b"POST /predict " + CLOSE + b"Content-Type: multipart/form-data; boundary=b\r\n"
UPGRADE = (
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n"
)


@pytest.fixture(scope="module")
def server() -> Iterator[RealServer]:
    with running("--mem-budget", "250MB") as one:
        yield one


def _predict(server: RealServer) -> httpx.Response:
    return httpx.post(f"{server.url}/predict", files={"image": PHOTO}, timeout=60)


def test_answers_and_is_within_its_budget(server: RealServer) -> None:
    assert _predict(server).json()["result"]["decision"] in ("keep", "turn", "unsure")
    status = httpx.get(f"{server.url}/status").json()
    assert 0 < status["memory_bytes"] < status["memory_budget_bytes"] == 250_000_000


def _chunked(body: bytes) -> bytes:
    return b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"


RAW = [
    ("no length and no body", HEAD + b"\r\n", b"400"),
    ("chunked", HEAD + _chunked(FORM), b"200"),
    ("chunks that are none", HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", b"400"),
    ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01" * 50 + b"\r\n\r\n", b"400"),
    ("a length that is none", HEAD + b"Content-Length: many\r\n\r\n", b"400"),
    ("two lengths", HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", b"400"),
    ("a length beyond the limit", HEAD + b"Content-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n", b"413"),
    ("a negative length", HEAD + b"Content-Length: -5\r\n\r\n", b"400"),
    ("a header of 1 MB", HEAD + b"X: " + b"y" * 1_000_000 + b"\r\n\r\n", b"400"),
    ("a boundary of 1 MB", HEAD.replace(b"=b", b"=" + b"b" * 1_000_000) + b"\r\n", b"400"),
    ("headers that are no UTF-8", HEAD + b"X-Name: \xff\xfe\r\nContent-Length: %d\r\n\r\n" % len(FORM) + FORM, b"200"),
    ("an upgrade", UPGRADE, b"200"),
    ("a path that climbs", b"GET /../../etc/passwd " + CLOSE + b"\r\n", b"404"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "status"), [row[1:] for row in RAW], ids=[row[0] for row in RAW])
def test_hostile_bytes_on_the_line(server: RealServer, data: bytes, status: bytes) -> None:
    came = server.raw(data)
    assert came.startswith(b"HTTP/1.1 " + status), came[:200]
    assert b"Traceback" not in came
    if status != b"200":
        assert b'"error":' in came.partition(b"\r\n\r\n")[2]


def test_a_slow_client_is_hung_up_on_while_others_are_served(server: RealServer) -> None:
    with socket.create_connection(("127.0.0.1", server.facts["port"]), 40) as slow:
        slow.sendall(b"POST /predict HTTP/1.1\r\nHost: local")
        body = socket.create_connection(("127.0.0.1", server.facts["port"]), 40)
        body.sendall(HEAD + b"Content-Length: 1000\r\n\r\n--b")
        assert _predict(server).status_code == 200
        assert read_all(slow) == b""
        with body:
            assert read_all(body).startswith(b"HTTP/1.1 408")


def test_a_client_that_hangs_up_leaves_nothing_behind(server: RealServer) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.facts["port"]), 20) as line:
            line.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(FORM) + FORM[:200])
    assert _predict(server).status_code == 200


def test_killed_workers_cost_no_answer() -> None:
    with running("--mem-budget", "250MB") as server:
        wanted = _predict(server).json()["result"]
        with concurrent.futures.ThreadPoolExecutor(4) as clients:
            answers = [clients.submit(_predict, server) for _ in range(40)]
            for _ in range(3):
                before = server.workers
                os.kill(before[0], signal.SIGKILL)
                while server.workers == before or not server.workers:
                    time.sleep(0.01)
        got = [one.result() for one in answers]
        assert {one.status_code for one in got} <= {200, 503}
        assert all(one.json()["result"] == wanted for one in got if one.status_code == 200)
        assert all("retry-after" in one.headers for one in got if one.status_code == 503)
        assert sum(one.status_code == 200 for one in got) >= 30
        assert _predict(server).json()["result"] == wanted
        text = httpx.get(f"{server.url}/metrics").text
        restarts = re.findall(r"edgeproof_worker_restarts_total\{.*\} (\d+)", text)
        assert sum(map(int, restarts)) == 3


def test_sigterm_answers_what_is_in_flight_and_leaves_no_process() -> None:
    with running() as server:
        workers = server.workers
        with concurrent.futures.ThreadPoolExecutor(4) as clients:
            answers = [clients.submit(_predict, server) for _ in range(4)]
            while httpx.get(f"{server.url}/status").json()["running"] == 0 and not all(
                a.done() for a in answers
            ):
                time.sleep(0.005)
            code, said = server.end()
        assert code == 0, said
        assert "Traceback" not in said
        assert [one.result().status_code for one in answers if one.exception() is None].count(200) >= 1
        assert not any(Path(f"/proc/{pid}/exe").exists() for pid in workers)


def _refused(*options: str) -> str:
    process = start("serve", "--port", "0", "--task", "orientation", *options)
    said = process.communicate(timeout=120)[1]
    assert process.returncode in (1, 2), said
    assert "Traceback" not in said
    return said


def test_a_tampered_bundle_stops_the_start(tmp_path: Path) -> None:
    bundle = packed(tmp_path / "b.edge")
    (bundle.path / "model.onnx").write_bytes(b"other" * 100)
    assert "not the file that was sealed" in _refused("--model", f"m={bundle.path}")


def test_a_bundle_with_other_golden_outputs_stops_the_start(tmp_path: Path) -> None:
    from bundles.sample_bundles import manifest
    from edgeproof.bundles.bundle import Golden, pack
    from edgeproof.tasks.orientation import builtin_model

    golden = Golden(
        {"input": np.full((1, 3, 192, 192), 99, np.float32)},
        {"logits": np.array([[1, 2, 3, 400]], np.float32)},
    )
    pack(
        tmp_path / "b.edge",
        manifest(settings={}),
        model=builtin_model().read_bytes(),
        golden=golden,
        evidence={},
    )
    assert "differ from the golden ones" in _refused("--model", f"m={tmp_path / 'b.edge'}")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--mem-budget", "50MB"], "Give at least"),
        (["--mem-budget", "much"], "is not a size"),
        (["--task", "dreams"], "no task 'dreams'"),
        (["--host", "0.0.0.0"], "--api-key-file"),
        (["--host", "no.such.host.invalid", "--api-key-file", "nowhere"], "isn't there"),
        (["--model", "m"], "NAME=BUNDLE"),
        (["--model", "m=nowhere"], "isn't there"),
        (["--model-ttl", "nan"], "--model-ttl"),
    ],
)
def test_what_can_not_be_meant_is_refused_in_one_line(options: list[str], words: str) -> None:
    said = _refused(*options)
    assert words in said
    assert len(said.strip().splitlines()) == 1


def test_a_port_that_is_taken(server: RealServer) -> None:
    process = start("serve", "--task", "orientation", "--port", str(server.facts["port"]))
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "Can't listen" in said


def test_the_front_loads_no_runtime(server: RealServer) -> None:
    maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "onnxruntime" not in maps
    assert "_multiarray_umath" not in maps
    assert json.loads(httpx.get(f"{server.url}/openapi.json").text)["openapi"].startswith("3.1")
