"""A network of SCRFD's form from YuNet's weights: the published SCRFD weights are for research only.

    python benchmarks/scrfd_from_yunet.py YUNET.onnx OUT.onnx [--anchors 1|2] [--no-landmarks] [--flat]

Its answers are YuNet's, said as SCRFD says them, so that what reads SCRFD files can be compared on it: ours and the
insightface package. The second anchor of each place never sees a face.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

_STRIDES = (8, 16, 32)


class _Builder:
    """Nodes and constants, appended."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.graph.node.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def constant(self, value: Any, name: str) -> str:
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name


def scrfd_from_yunet(
    source: str | Path, *, anchors: int = 2, landmarks: bool = True, flat: bool = False
) -> bytes:
    """The file's bytes.

    Arguments:
        source: a YuNet .onnx file.
        anchors: at each place, 1 or 2.
        landmarks: nine outputs; six without.
        flat: outputs without the batch axis, as the first published files have them.
    """
    model = onnx.load(source)
    graph = model.graph
    made = _Builder(graph)
    _input(made)
    rows: dict[str, list[str]] = {"score": [], "bbox": [], "kps": []}
    for stride in _STRIDES:
        for part, name in _level(made, stride).items():
            rows[part].append(_doubled(made, name, part, anchors, flat))
    wanted = rows["score"] + rows["bbox"] + (rows["kps"] if landmarks else [])
    widths = {"score": 1, "bbox": 4, "kps": 10}
    del graph.output[:]
    for name in wanted:
        width = widths[name.partition("_")[0]]
        shape: list[Any] = [f"rows_{name}", width] if flat else ["batch", f"rows_{name}", width]
        graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    del graph.value_info[:]
    _drop_unused(graph)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def _input(made: _Builder) -> None:
    """RGB as (x - 127.5) / 128 to what YuNet takes, BGR of 0 to 255."""
    name = made.graph.input[0].name
    for node in made.graph.node:
        for place, given in enumerate(node.input):
            if given == name:
                node.input[place] = "as_yunet"
    nodes = list(made.graph.node)
    del made.graph.node[:]
    wide = made.node("Mul", [name, made.constant(np.float32(128), "to_wide")], "wide")
    levels = made.node("Add", [wide, made.constant(np.float32(127.5), "to_level")], "levels")
    swap = made.constant(np.array([2, 1, 0], np.int64), "swap")
    made.node("Gather", [levels, swap], "as_yunet", axis=1)
    made.graph.node.extend(nodes)


def _level(made: _Builder, stride: int) -> dict[str, str]:
    """Score, distances and points of one stride, from YuNet's cls, obj, bbox and kps."""

    def cut(part: str, low: int, high: int) -> str:
        ends = [
            made.constant(np.array([value], np.int64), f"{part}_{stride}/{low}/{value}/{place}")
            for place, value in enumerate((low, high, 2))
        ]
        return made.node("Slice", [f"{part}_{stride}", *ends], f"{part}_{stride}/{low}")

    product = made.node("Mul", [f"cls_{stride}", f"obj_{stride}"], f"product_{stride}")
    score = made.node("Sqrt", [product], f"root_{stride}")
    away, size = cut("bbox", 0, 2), cut("bbox", 2, 4)
    grown = made.node("Exp", [size], f"grown_{stride}")
    half = made.node("Mul", [grown, made.constant(np.float32(0.5), f"half_{stride}")], f"reach_{stride}")
    near = made.node("Sub", [half, away], f"near_{stride}")
    far = made.node("Add", [half, away], f"far_{stride}")
    sides = made.node("Concat", [near, far], f"sides_{stride}", axis=2)
    points = made.node("Identity", [f"kps_{stride}"], f"points_{stride}")
    return {"score": score, "bbox": sides, "kps": points}


def _doubled(made: _Builder, name: str, part: str, anchors: int, flat: bool) -> str:
    """Each row `anchors` times, the score of the second 0; (N, rows, width), or (rows, width)."""
    stride, width = name.rpartition("_")[2], {"score": 1, "bbox": 4, "kps": 10}[part]
    rows = name
    if anchors > 1:
        other = name
        if part == "score":
            other = made.node("Mul", [name, made.constant(np.float32(0), f"{name}/zero")], f"{name}/other")
        rows = made.node("Concat", [name, other], f"{name}/both", axis=2)
    shape = [-1, width] if flat else [0, -1, width]
    wanted = made.constant(np.array(shape, np.int64), f"{name}/shape")
    return made.node("Reshape", [rows, wanted], f"{part}_out_{stride}")


def _drop_unused(graph: Any) -> None:
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed.update(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    weights = [weight for weight in graph.initializer if weight.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(weights)


def main(arguments: list[str]) -> int:
    """Write one file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("yunet")
    parser.add_argument("out")
    parser.add_argument("--anchors", type=int, choices=(1, 2), default=2)
    parser.add_argument("--no-landmarks", action="store_true")
    parser.add_argument("--flat", action="store_true")
    given = parser.parse_args(arguments)
    data = scrfd_from_yunet(
        given.yunet, anchors=given.anchors, landmarks=not given.no_landmarks, flat=given.flat
    )
    Path(given.out).write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
