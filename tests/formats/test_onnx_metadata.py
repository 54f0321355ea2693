"""What exporters write beside a network is found without the onnx library, and nothing breaks on damage."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproof.core.errors import EdgeproofError, ModelError, NotFoundError
from edgeproof.formats.onnx_metadata import metadata, read_metadata
from edgeproof.formats.wire import DamagedError


def test_the_metadata_of_a_real_export(shared: Path) -> None:
    found = read_metadata(shared / "models/yolov8n-topology.onnx")
    assert (found["task"], found["imgsz"]) == ("detect", "[640, 640]")
    assert found["names"].startswith("{0: '0', 1:")
    assert read_metadata(shared / "models/yolox-nano.onnx") == {}


def test_an_entry_written_by_hand() -> None:
    assert metadata(memoryview(b"\x72\x0a\x0a\x01k\x12\x05value")) == {"k": "value"}
    assert metadata(memoryview(b"")) == {}


@given(st.binary(max_size=60))
def test_any_bytes_give_an_answer_or_the_typed_error(data: bytes) -> None:
    with contextlib.suppress(DamagedError):
        assert isinstance(metadata(memoryview(data)), dict)


@pytest.mark.parametrize(
    ("data", "error"), [(b"", ModelError), (b"no model", ModelError), (None, NotFoundError)]
)
def test_what_is_no_file_of_it(tmp_path: Path, data: bytes | None, error: type[EdgeproofError]) -> None:
    if data is not None:
        (tmp_path / "x.onnx").write_bytes(data)
    with pytest.raises(error):
        read_metadata(tmp_path / "x.onnx")
