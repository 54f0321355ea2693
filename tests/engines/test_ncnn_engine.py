"""What is ncnn's own: two files, no batch axis, shapes in the .param or by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeproof.core.errors import EdgeproofError, InputError, ModelError, NotFoundError, UsageError
from edgeproof.core.options import Options
from edgeproof.engines import open_engine
from engines.networks import skip_if_missing

KERNELS = np.random.default_rng(7).normal(size=(4, 3, 3, 3)).astype(np.float32)
BIAS = np.array([1, -1, 0.5, 0], np.float32)
FEED = np.random.default_rng(8).normal(size=(2, 3, 6, 5)).astype(np.float32)


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path) -> None:
    skip_if_missing("ncnn", tmp_path)


def _network(folder: Path, *, size: str = " 0=5 1=6 2=3") -> Path:
    """A 3x3 convolution of 3 channels to 4, with bias, then ReLU."""
    file = folder / "net.param"
    file.write_text(
        "7767517\n3 3\n"
        f"Input        picture 0 1 data{size}\n"
        "Convolution  conv    1 1 data c 0=4 1=3 5=1 6=108\n"
        "ReLU         relu    1 1 c out\n"
    )
    file.with_suffix(".bin").write_bytes(bytes(4) + KERNELS.tobytes() + BIAS.tobytes())
    return file


def _expected() -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(FEED, (3, 3), axis=(2, 3))
    return np.maximum(np.einsum("nchwij,ocij->nohw", windows, KERNELS) + BIAS[:, None, None], 0)


@pytest.mark.parametrize(
    ("options", "tolerance"), [({}, 1e-4), ({"int8": False}, 1e-4), ({"fp16": True}, 5e-2)]
)
def test_a_convolution_is_what_numpy_makes_of_it(tmp_path: Path, options: Options, tolerance: float) -> None:
    with open_engine(_network(tmp_path), engine="ncnn", options=options) as opened:
        assert [str(spec) for spec in (*opened.inputs, *opened.outputs)] == [
            "data float32[N, 3, 6, 5]",
            "out float32[N, 4, 4, 3]",
        ]
        np.testing.assert_allclose(opened.run({"data": FEED})["out"], _expected(), atol=tolerance)
        assert opened.info.precision == ("f16" if options.get("fp16") else "f32")


def test_a_shape_by_hand_where_the_file_tells_none(tmp_path: Path) -> None:
    file = _network(tmp_path, size="")
    with pytest.raises(ModelError, match="input_shape"):
        open_engine(file, engine="ncnn")
    with open_engine(file, engine="ncnn", options={"input_shape": "Nx3x6x5"}) as opened:
        np.testing.assert_allclose(opened.run({"data": FEED})["out"], _expected(), atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "error"),
    [("3", ModelError), ("Nx1x1x1x1x1", ModelError), ("axb", UsageError), ("out=Nx3", UsageError)],
)
def test_shapes_that_cant_be(tmp_path: Path, shape: str, error: type[EdgeproofError]) -> None:
    with pytest.raises(error):
        open_engine(_network(tmp_path), engine="ncnn", options={"input_shape": shape})


def test_batches_that_differ_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "sum.param"
    file.write_text("7767517\n3 3\nInput a 0 1 a 0=2\nInput b 0 1 b 0=2\nBinaryOp s 2 1 a b y 0=0\n")
    file.with_suffix(".bin").write_bytes(bytes(1))
    with open_engine(file, engine="ncnn") as opened:
        two, three = np.ones((2, 2), np.float32), np.ones((3, 2), np.float32)
        np.testing.assert_array_equal(opened.run({"a": two, "b": two})["y"], 2 * two)
        with pytest.raises(InputError, match="size N is 2 in input 'a' and 3 in 'b'"):
            opened.run({"a": two, "b": three})


def test_the_weights_file_is_asked_for_and_checked(tmp_path: Path) -> None:
    file = _network(tmp_path)
    weights = file.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ModelError, match="cut short"):
        open_engine(file, engine="ncnn")
    weights.unlink()
    with pytest.raises(NotFoundError, match=r"net\.bin"):
        open_engine(file, engine="ncnn")


def test_a_layer_that_ncnn_lacks(tmp_path: Path) -> None:
    file = _network(tmp_path)
    file.write_text(file.read_text().replace("ReLU ", "Nonsense "))
    with pytest.raises(ModelError, match="layer that this ncnn lacks"):
        open_engine(file, engine="ncnn")
