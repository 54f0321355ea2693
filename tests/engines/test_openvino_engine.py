"""What is OpenVINO's own: precision, IR files, strict devices, no telemetry."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edgeproof.core.errors import (
    EdgeproofError,
    EngineError,
    InputError,
    ModelError,
    UnknownNameError,
    UsageError,
)
from edgeproof.core.options import Options
from edgeproof.engines import open_engine
from edgeproof.tasks.orientation import builtin_model
from engines.networks import MAKERS, rows, skip_if_missing

ONES = {"x": np.ones((1, 3), np.float32)}


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path) -> None:
    skip_if_missing("openvino", tmp_path)


@pytest.fixture
def floats(tmp_path: Path) -> Path:
    return MAKERS["openvino"](tmp_path, "floats")


@pytest.mark.parametrize("name", ["yolox-nano.onnx", "orientation"])
def test_it_agrees_with_onnxruntime(shared: Path, name: str) -> None:
    file = builtin_model() if name == "orientation" else shared / "models" / name
    with open_engine(file) as reference, open_engine(file, engine="openvino") as opened:
        feeds = {spec.name: rows(spec, 2) for spec in reference.inputs}
        expected, found = reference.run(feeds), opened.run(feeds)
        assert list(found) == list(expected)
        for key, array in expected.items():
            scale = np.abs(array).max()
            np.testing.assert_allclose(found[key] / scale, array / scale, atol=1e-3)


def test_batches_that_differ_are_refused(tmp_path: Path) -> None:
    with open_engine(MAKERS["openvino"](tmp_path, "two"), engine="openvino") as opened:
        feeds = {"a": np.ones((2, 2), np.float32), "b": np.ones(5, np.int64)}
        with pytest.raises(InputError, match="size N is 2 in input 'a' and 5 in 'b'"):
            opened.run(feeds)


def test_an_ir_file_answers_as_its_onnx_file_does(floats: Path, tmp_path: Path) -> None:
    with open_engine(floats, engine="openvino") as opened:
        expected = opened.run(ONES)["y"]
    openvino = sys.modules["openvino"]  # as the engine imported it: without telemetry
    openvino.save_model(openvino.Core().read_model(floats), tmp_path / "ir.xml", compress_to_fp16=False)
    with open_engine(tmp_path / "ir.xml", engine="openvino") as opened:
        assert [str(spec) for spec in (*opened.inputs, *opened.outputs)] == [
            "x float32[N, 3]",
            "y float32[N, 4]",
        ]
        np.testing.assert_array_equal(opened.run(ONES)["y"], expected)
    (tmp_path / "ir.bin").unlink()
    with pytest.raises(ModelError, match=r"\.bin beside it"):
        open_engine(tmp_path / "ir.xml", engine="openvino")


@pytest.mark.parametrize("device", ["gpu", "npu"])
def test_a_device_that_is_not_here_is_refused_with_those_that_are(floats: Path, device: str) -> None:
    try:
        with open_engine(floats, engine="openvino", device=device) as opened:
            assert opened.info.provider.startswith(device.upper())
    except EngineError as error:
        assert repr(device) in error.message  # noqa: PT017 - either is right, by what this machine has
        assert "It finds: " in error.hint  # noqa: PT017


def test_auto_says_which_device_it_took(floats: Path) -> None:
    with open_engine(floats, engine="openvino", device="auto") as opened:
        assert opened.info.provider
        assert opened.run(ONES)["y"].shape == (1, 4)


@pytest.mark.parametrize("options", [{"hint": "throughput"}, {"precision": "bf16"}, {"precision": "f16"}])
def test_options_are_taken(floats: Path, options: Options) -> None:
    with open_engine(floats, engine="openvino", options=options) as opened:
        np.testing.assert_allclose(opened.run(ONES)["y"], [[15, 18, 21, 24]], rtol=1e-2)


@pytest.mark.parametrize("options", [{"hint": "fast"}, {"precision": "int8"}, {"cache": True}])
def test_other_values_are_refused(floats: Path, options: Options) -> None:
    with pytest.raises(UsageError):
        open_engine(floats, engine="openvino", options=options)


def test_a_cache_keeps_the_compiled_network(floats: Path, tmp_path: Path) -> None:
    for _ in range(2):
        with open_engine(floats, engine="openvino", options={"cache": str(tmp_path / "cache")}) as opened:
            assert opened.run(ONES)["y"].shape == (1, 4)
    assert list((tmp_path / "cache").iterdir())


def test_a_cache_that_cant_be_written_is_our_error(floats: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EdgeproofError):
        open_engine(floats, engine="openvino", options={"cache": str(tmp_path / "file" / "cache")})


_QUIET = """
import sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        sys.stdout.write(f"{event} {arguments}")
sys.addaudithook(refuse)
import os, threading
from edgeproof.engines import open_engine
with open_engine(sys.argv[1], engine="openvino"):
    pass
loaded = [name for name in sys.modules if name.startswith("openvino_telemetry")]
sys.stdout.write(" ".join(loaded + [thread.name for thread in threading.enumerate()][1:]))
"""


def test_nothing_is_sent_anywhere(floats: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _QUIET, str(floats)],
        env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    assert not (tmp_path / "intel").exists()  # where its telemetry package keeps what the user answered


def test_symbolic_sizes_can_be_fixed(floats: Path) -> None:
    with open_engine(floats, engine="openvino", options={"fixed_shape": "N=2"}) as opened:
        assert [spec.shape for spec in (*opened.inputs, *opened.outputs)] == [(2, 3), (2, 4)]
        assert opened.run({"x": np.ones((2, 3), np.float32)})["y"].shape == (2, 4)
        with pytest.raises(InputError, match="2"):
            opened.run(ONES)
    with pytest.raises(UnknownNameError, match="'M'"):
        open_engine(floats, engine="openvino", options={"fixed_shape": "M=2"})


@pytest.mark.parametrize(("options", "precision"), [({}, "f32"), ({"precision": "f32"}, "f32")])
def test_it_says_what_it_computes_in(floats: Path, options: Options, precision: str) -> None:
    with open_engine(floats, engine="openvino", options=options) as opened:
        assert (opened.info.precision, opened.info.threads) == (precision, 1)


def test_callers_side_by_side_get_their_own_answers(floats: Path) -> None:
    inputs = [np.full((1, 3), number, np.float32) for number in range(64)]
    with open_engine(floats, engine="openvino") as opened, ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda x: opened.run({"x": x})["y"], inputs))
        for x, found in zip(inputs, together, strict=True):
            np.testing.assert_array_equal(found, opened.run({"x": x})["y"])


_TOGETHER = """
import os, sys, threading
import numpy as np
from edgeproof.engines import open_engine
sys.setswitchinterval(1e-6)
opened = open_engine(sys.argv[1], engine="openvino")
barrier = threading.Barrier(4)
def first():
    barrier.wait()
    opened.run({"x": np.ones((1, 3), np.float32)})
threads = [threading.Thread(target=first, daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(20)
os._exit(sum(thread.is_alive() for thread in threads))
"""


def test_first_runs_from_several_threads_dont_wait_for_each_other_for_good(floats: Path) -> None:
    for _ in range(4):  # without what `require_openvino` does, nearly every second process hangs here
        command = [sys.executable, "-c", _TOGETHER, str(floats)]
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False
        )
        assert done.returncode == 0
