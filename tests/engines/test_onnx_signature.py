"""An ONNX file's inputs and outputs without the onnx library; whatever it holds, nothing but ModelError."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproof.core.errors import ModelError
from edgeproof.engines.onnx_signature import onnx_signature
from edgeproof.tasks.orientation import builtin_model
from engines.networks import MAKERS, NETWORKS

# ModelProto{graph{input{name "x", type{tensor{elem 1, shape{dim{param "N"}, dim{value 3}}}}}, output{name "y"}}}
SMALL = bytes.fromhex(
    "3a1d 5a16 0a0178 1211 0a0f 0801 120b 0a0312014e 0a02 0803 0a00 6203 0a0179".replace(" ", "")
)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_tells_what_onnxruntime_tells(tmp_path: Path, name: str) -> None:
    inputs, outputs = onnx_signature(MAKERS["onnxruntime"](tmp_path, name).read_bytes())
    assert tuple(inputs) == NETWORKS[name].inputs
    assert outputs == [spec.name for spec in NETWORKS[name].outputs]


def test_symbolic_sizes_have_their_name_and_unknown_ones_their_axis() -> None:
    (spec,), outputs = onnx_signature(SMALL)
    assert (str(spec), outputs) == ("x float32[N, 3, d2]", ["y"])


def test_the_network_that_comes_with_the_package() -> None:
    inputs, outputs = onnx_signature(Path(builtin_model()).read_bytes())
    assert [str(spec) for spec in inputs] == ["input float32[N, 3, 192, 192]"]
    assert outputs == ["logits"]


@pytest.mark.parametrize("data", [b"", b"not a model", b"\xff" * 99, SMALL[:-2], b"\x3a\xff\xff\xff\xff\x0f"])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError):
        onnx_signature(data)


@given(st.integers(0, len(SMALL) - 1), st.binary(max_size=3))
def test_a_changed_file_is_read_or_refused(place: int, piece: bytes) -> None:
    try:
        onnx_signature(SMALL[:place] + piece + SMALL[place + 1 :])
    except ModelError as error:
        assert error.hint  # noqa: PT017 - most changes leave a file that can be read
