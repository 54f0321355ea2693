"""Small Caffe networks: written, read, run."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproof.formats.caffe import read

SMALL = """
name: "small"  # one of each that matters for damage
input: "data" input_dim: 1 input_dim: 3 input_dim: 16 input_dim: 16
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 stride: 2 pad: 1 bias_term: false } }
layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layer { name: "prior" type: "PriorBox" bottom: "pool" bottom: "data" top: "prior"
  prior_box_param { min_size: 4 aspect_ratio: 2 clip: false
    variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 } }
layer { name: "loc" type: "Convolution" bottom: "pool" top: "loc"
  convolution_param { num_output: 12 kernel_size: 1 } }
layer { name: "locp" type: "Permute" bottom: "loc" top: "locp"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "locf" type: "Flatten" bottom: "locp" top: "locf" }
layer { name: "conf" type: "Convolution" bottom: "pool" top: "conf"
  convolution_param { num_output: 9 kernel_size: 1 } }
layer { name: "confp" type: "Permute" bottom: "conf" top: "confp"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "confr" type: "Reshape" bottom: "confp" top: "confr" reshape_param { shape { dim: 0 dim: -1 dim: 3 } } }
layer { name: "soft" type: "Softmax" bottom: "confr" top: "soft" softmax_param { axis: 2 } }
layer { name: "conff" type: "Flatten" bottom: "soft" top: "conff" }
layer { name: "det" type: "DetectionOutput" bottom: "locf" bottom: "conff" bottom: "prior" top: "det"
  detection_output_param { num_classes: 3 share_location: true background_label_id: 0 code_type: CENTER_SIZE
    keep_top_k: 12 confidence_threshold: 0.3
    nms_param { nms_threshold: 0.4 top_k: 20 } } }
"""
SMALL_SHAPES = {
    "conv": [(4, 3, 3, 3)],
    "norm": [(4,), (4,), (1,)],
    "scale": [(4,), (4,)],
    "loc": [(12, 4, 1, 1), (12,)],
    "conf": [(9, 4, 1, 1), (9,)],
}


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _bytes(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


class Caffe:
    """Writes caffemodels byte by byte, and reads pairs of files."""

    small = SMALL
    small_shapes = SMALL_SHAPES
    bytes_field = staticmethod(_bytes)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def values(shapes: Mapping[str, Sequence[tuple[int, ...]]], seed: int = 7) -> dict[str, list[Any]]:
        """Random weights; the third of a BatchNorm is its factor, all are above 0 where they have one axis."""
        random = np.random.default_rng(seed)
        return {
            name: [
                (random.random(shape) + 0.2 if len(shape) == 1 else random.standard_normal(shape)).astype(
                    np.float32
                )
                for shape in blobs
            ]
            for name, blobs in shapes.items()
        }

    @staticmethod
    def model(weights: Mapping[str, Sequence[Any]], *, form: str = "new") -> bytes:
        """A caffemodel; `form`: "new", "v1" (enum types, four sizes), "loose" (a value at a time), "double"."""
        out = b""
        for name, blobs in weights.items():
            parts = b""
            for value in blobs:
                sizes = b"".join(map(_varint, value.shape))
                shape = _bytes(7, _bytes(1, sizes))
                data = _bytes(5, value.astype("<f4").tobytes())
                if form == "v1":
                    four = [*[1] * (4 - value.ndim), *value.shape]
                    shape = b"".join(_varint(n << 3) + _varint(size) for n, size in enumerate(four, start=1))
                elif form == "loose":
                    data = b"".join(_varint(5 << 3 | 5) + struct.pack("<f", x) for x in value.reshape(-1))
                elif form == "double":
                    data = _bytes(8, value.astype("<f8").tobytes())
                parts += _bytes(6 if form == "v1" else 7, shape + data)
            text = name.encode()
            out += (
                _bytes(2, _bytes(4, text) + parts) if form == "v1" else _bytes(100, _bytes(1, text) + parts)
            )
        return out

    def write(self, text: str, model: bytes | None) -> Path:
        """The prototxt's path, with the caffemodel beside it."""
        path = self.folder / "net.prototxt"
        path.write_text(text)
        if model is not None:
            path.with_suffix(".caffemodel").write_bytes(model)
        return path

    def read(self, text: str, weights: Mapping[str, Sequence[Any]] | None = None, **options: Any) -> Any:
        """Import what was written; any weights at all, where the network needs none."""
        model = self.model(weights or {"none": []})
        return read(self.write(text, model), **options)

    @staticmethod
    def run(model: Any, *feeds: Any) -> dict[str, Any]:
        """Run in ONNX Runtime."""
        import onnxruntime

        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        names = [entry.name for entry in session.get_inputs()]
        outputs = [entry.name for entry in session.get_outputs()]
        return dict(zip(outputs, session.run(None, dict(zip(names, feeds, strict=True))), strict=True))


@pytest.fixture
def caffe(tmp_path: Path) -> Caffe:
    return Caffe(tmp_path)
