"""What every engine promises, checked against each one in the registry."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edgeproof.core.errors import (
    EdgeproofError,
    EngineError,
    InputError,
    ModelError,
    NotFoundError,
    UnknownNameError,
    UsageError,
)
from edgeproof.core.tensor import Array
from edgeproof.engines import ENGINES, open_engine
from edgeproof.tasks.orientation import builtin_model
from engines.networks import MAKERS, NETWORKS, rows, skip_if_missing

Make = Callable[[str], Path]


def _close(one: Array, other: Array) -> bool:
    return np.allclose(one.astype(np.float64), other.astype(np.float64), rtol=1e-4, atol=1e-3)


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    skip_if_missing(request.param, tmp_path)
    return str(request.param)


@pytest.fixture
def make(engine: str, tmp_path: Path) -> Make:
    return lambda name: MAKERS[engine](tmp_path, name)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_tells_what_goes_in_and_out(engine: str, make: Make, name: str) -> None:
    with open_engine(make(name), engine=engine) as opened:
        assert (opened.inputs, opened.outputs) == NETWORKS[name]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_answers_have_the_shapes_and_dtypes_it_told(engine: str, make: Make, name: str, batch: int) -> None:
    batch = 1 if name == "fixed" else batch
    with open_engine(make(name), engine=engine) as opened:
        answers = opened.run({spec.name: rows(spec, batch) for spec in opened.inputs})
        assert list(answers) == [spec.name for spec in opened.outputs]
        for spec in opened.outputs:
            assert spec.accepts(answers[spec.name].shape)
            assert len(answers[spec.name]) == batch
            assert answers[spec.name].dtype == spec.dtype


def test_a_batch_is_answered_row_by_row_and_rows_differ(engine: str, make: Make) -> None:
    with open_engine(make("floats"), engine=engine) as opened:
        batch = rows(opened.inputs[0], 5)
        together = opened.run({"x": batch})["y"]
        alone = np.concatenate([opened.run({"x": batch[row : row + 1]})["y"] for row in range(5)])
        assert _close(together, alone)
        assert _close(opened.run({"x": batch[::-1]})["y"], together[::-1])
        assert len(np.unique(together.astype(np.float64), axis=0)) == 5


def test_an_answer_is_not_changed_by_the_next_run(engine: str, make: Make) -> None:
    with open_engine(make("floats"), engine=engine) as opened:
        batch = rows(opened.inputs[0], 2)
        first = opened.run({"x": batch})["y"]
        kept = first.copy()
        opened.run({"x": batch + 1})
        np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize(
    ("feeds", "says"),
    [
        ({}, ["'x' is missing", "x float32[N, 3]"]),
        ({"X": np.ones((1, 3), np.float32)}, ["no input 'X'", "x"]),
        ({"x": np.ones((1, 3))}, ["float64", "float32"]),
        ({"x": np.ones((1, 4), np.float32)}, ["[1, 4]", "float32[N, 3]"]),
        ({"x": np.ones(3, np.float32)}, ["[3]", "float32[N, 3]"]),
        ({"x": np.ones((0, 3), np.float32)}, ["[0, 3]", "float32[N, 3]"]),
        ({"x": [[1.0, 1.0, 1.0]]}, ["list", "float32[N, 3]"]),
        ({"x": np.ones((1, 3), np.float32), "w": np.ones(1)}, ["no input 'w'"]),
        (np.ones((1, 3), np.float32), ["ndarray", "float32[N, 3]"]),
    ],
)
def test_feeds_that_dont_fit_are_refused_and_it_goes_on(
    engine: str, make: Make, feeds: dict[str, np.ndarray], says: list[str]
) -> None:
    with open_engine(make("floats"), engine=engine) as opened:
        with pytest.raises(InputError) as caught:
            opened.run(feeds)
        assert not [part for part in says if part not in str(caught.value)], str(caught.value)
        assert opened.run({"x": np.ones((1, 3), np.float32)})["y"].shape == (1, 4)


def test_a_closed_engine_says_so(engine: str, make: Make) -> None:
    opened = open_engine(make("floats"), engine=engine)
    opened.close()
    opened.close()
    with pytest.raises(EngineError, match="closed"):
        opened.run({"x": np.ones((1, 3), np.float32)})


def test_info_is_true(engine: str, make: Make) -> None:
    with open_engine(make("floats"), engine=engine, threads=2) as opened:
        info = opened.info
        assert (info.name, info.threads, info.precision) == (engine, 2, "f32")
        assert info.version
        assert info.provider
    if engine == "onnxruntime":
        import onnxruntime

        assert (info.version, info.provider) == (onnxruntime.__version__, "CPUExecutionProvider")


@pytest.mark.parametrize("device", ["cuda", "CPU", "", "gpu:0"])
def test_no_other_device_is_used_silently(engine: str, make: Make, device: str) -> None:
    file = make("floats")
    with pytest.raises(EngineError) as caught:
        open_engine(file, engine=engine, device=device)
    assert repr(device) in caught.value.message
    assert "cpu" in caught.value.hint


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_are_one_or_more(engine: str, make: Make, threads: int) -> None:
    with pytest.raises(UsageError):
        open_engine(make("floats"), engine=engine, threads=threads)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x00" * 999, b"{}", b"[" * 100_000])
def test_a_file_that_is_no_network_is_a_model_error(engine: str, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model").write_bytes(content)
    with pytest.raises(ModelError) as caught:
        open_engine(tmp_path / "model", engine=engine)
    assert str(tmp_path / "model") in caught.value.message


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x00" * 999, b"[" * 100_000])
def test_a_right_name_makes_it_no_network(engine: str, make: Make, content: bytes) -> None:
    file = make("floats")
    file.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        open_engine(file, engine=engine)
    assert str(file) in caught.value.message


def test_an_unknown_option_is_refused(engine: str, make: Make) -> None:
    with pytest.raises(UnknownNameError, match="no option 'colour'"):
        open_engine(make("floats"), engine=engine, options={"colour": "red"})


def test_half_a_network_is_a_model_error(engine: str, make: Make) -> None:
    file = make("floats")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(ModelError):
        open_engine(file, engine=engine)


@pytest.mark.parametrize("name", ["nowhere.onnx", "nul\0.onnx"])
def test_a_file_that_is_not_there(engine: str, tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFoundError):
        open_engine(tmp_path / name, engine=engine)


def test_a_folder_is_no_network(engine: str, tmp_path: Path) -> None:
    with pytest.raises(EdgeproofError):
        open_engine(tmp_path, engine=engine)


def _resident_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise AssertionError("no VmRSS")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_opening_and_closing_200_times_keeps_no_memory(engine: str, make: Make) -> None:
    file = make("floats")

    def once() -> None:
        with open_engine(file, engine=engine) as opened:
            opened.run({"x": np.ones((1, 3), np.float32)})

    for _ in range(30):  # what libraries and the allocator keep once
        once()
    before = _resident_mb()
    for _ in range(200):
        once()
    assert _resident_mb() - before < 4


def test_eight_threads_get_the_answers_that_one_gets(engine: str, make: Make) -> None:
    with open_engine(make("floats"), engine=engine) as opened:
        if not opened.info.thread_safe:
            pytest.skip("this engine doesn't promise it")
        feeds = [{"x": rows(opened.inputs[0], 1 + seed % 3, seed)} for seed in range(200)]
        alone = [opened.run(feed)["y"] for feed in feeds]
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda feed: opened.run(feed)["y"], feeds))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_unknown_engine_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean onnxruntime"):
        open_engine(tmp_path / "x", engine="onnxruntim")


def test_the_network_that_comes_with_the_package() -> None:
    with open_engine(builtin_model()) as opened:
        (spec,) = opened.inputs
        assert str(spec).endswith("float32[N, 3, 192, 192]")
        feed = rows(spec, 3)
        together = opened.run({spec.name: feed})[opened.outputs[0].name]
        with ThreadPoolExecutor(8) as pool:
            alone = pool.map(lambda row: opened.run({spec.name: feed[row : row + 1]}), [0, 1, 2])
        found = np.concatenate([answer[opened.outputs[0].name] for answer in alone])
        assert _close(together, found)
        assert together.shape == (3, 4)
