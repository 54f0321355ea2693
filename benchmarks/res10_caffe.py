"""OpenCV's res10 face detector as the Caffe pair that its authors trained, out of the TensorFlow files that are shared.

    python benchmarks/res10_caffe.py FROM.pb OUT.prototxt

The weights are those that OpenCV reads (its samples' 8-bit file, opened out); the layers are those of the .pbtxt.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}:]|[^\s{}:]+')
_PAD = {"Pad": 3, "Pad_1": 1, "Pad_2": 1}
_PERMUTE = "permute_param { order: 0 order: 2 order: 3 order: 1 }"
# A convolution over every second pixel: TensorFlow spells it with blocks of 2 in the batch.
_DILATED = "layer_512_1_conv2_h/convolution"

Blobs = Mapping[str, Sequence[Any]]


def write_caffe(graph: Path, target: Path) -> Path:
    """Write `target` (.prototxt) and the .caffemodel beside it; returns `target`.

    Arguments:
        graph: the .pb; the .pbtxt stands beside it.
    """
    blobs = _opencv_blobs(graph)
    nodes = [_node(row) for kind, row in _parse(graph.with_suffix(".pbtxt").read_text()) if kind == "node"]
    layers = ['input: "data" input_dim: 1 input_dim: 3 input_dim: 300 input_dim: 300']
    weights: dict[str, list[Any]] = {}
    seen = {"data": "data"}  # node -> blob that has its value
    for node in nodes:
        _convert(node, seen, blobs, layers, weights)
    target.write_text("\n".join(layers) + "\n")
    target.with_suffix(".caffemodel").write_bytes(caffemodel(weights))
    return target


def caffemodel(weights: Blobs) -> bytes:
    """The weights of layers by name, float32, as caffe.proto stores them (NetParameter.layer = 100)."""
    out = b""
    for name, values in weights.items():
        parts = b"".join(
            _field(7, _field(7, _field(1, b"".join(map(_varint, value.shape)))) + _field(5, value.tobytes()))
            for value in (np.ascontiguousarray(value, "<f4") for value in values)
        )
        out += _field(100, _field(1, name.encode()) + parts)
    return out


def _opencv_blobs(graph: Path) -> Blobs:
    net = cv2.dnn.readNetFromTensorflow(str(graph), str(graph.with_suffix(".pbtxt")))
    layers = [net.getLayer(number) for number in range(1, len(net.getLayerNames()) + 1)]
    return {layer.name: [np.asarray(blob, np.float32) for blob in layer.blobs] for layer in layers}


def _convert(  # noqa: PLR0912, PLR0915 - one case for each operation
    node: Mapping[str, Any],
    seen: dict[str, str],
    blobs: Blobs,
    layers: list[str],
    weights: dict[str, list[Any]],
) -> None:
    name, op = node["name"], node["op"]
    inputs = [seen[one] for one in (text.partition(":")[0] for text in node["inputs"]) if one in seen]
    found = [value.reshape(-1) if value.ndim < 4 else value for value in blobs.get(name, ())]

    def layer(kind: str, parameters: str = "", *, top: str = name, bottoms: Sequence[str] = inputs) -> None:
        below = "".join(f' bottom: "{one}"' for one in bottoms)
        layers.append(f'layer {{ name: "{top}" type: "{kind}"{below} top: "{top}" {parameters} }}')

    if op in ("Const", "Placeholder"):
        return
    seen[name] = name
    match op:
        case "Conv2D":
            pad = _PAD.get(node["inputs"][0])
            width = found[0].shape[-1]
            dilation = 2 if name == _DILATED else 1
            pad = dilation * (width // 2) if pad is None else pad
            bias = "true" if len(found) > 1 else "false"
            layer(
                "Convolution",
                f"convolution_param {{ num_output: {found[0].shape[0]} kernel_size: {width} pad: {pad}"
                f" stride: {node['strides'][1]} dilation: {dilation} bias_term: {bias} }}",
            )
            weights[name] = found
        case "FusedBatchNorm":
            mean, variance, gamma, beta = found
            layer("BatchNorm", f"batch_norm_param {{ use_global_stats: true eps: {node['epsilon'][0]} }}")
            weights[name] = [mean, variance, np.ones(1)]
            layer("Scale", "scale_param { bias_term: true }", top=name + "/affine", bottoms=[name])
            weights[name + "/affine"] = [gamma, beta]
            seen[name] = name + "/affine"
        case "Mul":
            layer("Scale", "scale_param { bias_term: false }")
            weights[name] = found
        case "BiasAdd" if found:
            layer("Scale", "scale_param { bias_term: true }")
            weights[name] = [np.ones(found[0].size), *found]
        case "BiasAdd" | "SpaceToBatchND" | "BatchToSpaceND":  # in the convolution's own weights and padding
            seen[name] = inputs[0]
        case "Relu":
            layer("ReLU")
        case "Add":
            layer("Eltwise")
        case "MaxPool":
            layer("Pooling", "pooling_param { pool: MAX kernel_size: 3 stride: 2 }")
        case "L2Normalize":
            layer("Normalize", "norm_param { across_spatial: false channel_shared: true }")
            weights[name] = [np.ones(1)]
        case "Flatten" if "Reshape" in name:
            layer("Permute", _PERMUTE, top=name + "/nhwc")
            layer("Flatten", bottoms=[name + "/nhwc"])
        case "Flatten":
            layer("Flatten")
        case "ConcatV2":
            layer("Concat", f"concat_param {{ axis: {2 if 'prior' in name else 1} }}")
        case "Reshape":
            layer("Reshape", "reshape_param { shape { dim: 0 dim: -1 dim: 2 } }")
        case "Softmax":
            layer("Softmax", "softmax_param { axis: 2 }")
        case "PriorBox":
            ratios = "".join(f" aspect_ratio: {value}" for value in node["aspect_ratio"])
            layer(
                "PriorBox",
                f"prior_box_param {{ min_size: {node['min_size'][0]} max_size: {node['max_size'][0]}{ratios}"
                f" flip: true clip: false step: {node['step'][0]} offset: 0.5"
                " variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 }",
            )
        case "DetectionOutput":
            layer(
                "DetectionOutput",
                "detection_output_param { num_classes: 2 share_location: true background_label_id: 0"
                " nms_param { nms_threshold: 0.45 top_k: 400 } code_type: CENTER_SIZE keep_top_k: 200"
                " confidence_threshold: 0.01 }",
            )
        case _:
            raise ValueError(f"{name}: {op} is not an operation of this network")


def _node(row: list[tuple[str, Any]]) -> dict[str, Any]:
    """Name, operation, inputs, and each attribute's numbers and words."""
    words = {key: value.strip('"') for key, value in row if key in ("name", "op")}
    inputs = [value.strip('"') for key, value in row if key == "input"]
    attributes: dict[str, Any] = {}
    for key, value in row:
        if key == "attr":
            found = dict(value)
            attributes[found["key"].strip('"')] = list(_leaves(found["value"]))
    return {**words, "inputs": inputs, **attributes}


def _leaves(row: Any) -> list[Any]:
    """The values of an attribute in order, integers as such; types and sizes left out."""
    leaves: list[Any] = []
    for key, value in row:
        if isinstance(value, list):
            leaves += [] if key == "tensor_shape" else _leaves(value)
        elif key != "dtype":
            leaves.append(int(value) if key in ("i", "int_val") else value.strip('"'))
    return leaves


def _parse(text: str) -> list[tuple[str, Any]]:
    tokens = _TOKEN.findall(text)

    def fields(at: int) -> tuple[list[tuple[str, Any]], int]:
        rows: list[tuple[str, Any]] = []
        while at < len(tokens) and tokens[at] != "}":
            if tokens[at + 1] == ":":
                rows.append((tokens[at], tokens[at + 2]))
                at += 3
            else:
                inside, end = fields(at + 2)
                rows.append((tokens[at], inside))
                at = end + 1
        return rows, at

    return fields(0)[0]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


if __name__ == "__main__":
    write_caffe(Path(sys.argv[1]), Path(sys.argv[2]))
