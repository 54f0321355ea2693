"""Whether an ONNX file holds what ONNX Runtime gets wrong: zeros that a Pad makes before a MaxPool.

Its optimiser "Pad_Fusion" makes them the MaxPool's own padding, which never wins: wrong where all else in a window is
below zero (1.31 at least, optimizer/pad_fusion.cc). `formats/padding.py` writes them so that it doesn't happen; a file
that is opened as it is has to be looked at. Field numbers: onnx.proto.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edgeproof.engines.protobuf import fields, messages, text

_GRAPH, _NODE, _INITIALIZER = 7, 1, 5
_NODE_INPUT, _NODE_OUTPUT, _NODE_KIND, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_FLOAT, _ATTRIBUTE_TEXT, _ATTRIBUTE_GRAPHS = 2, 4, (6, 11)
_TENSOR_NAME, _TENSOR_DATA = 8, (4, 5, 9, 10)  # floats, halves, raw bytes, doubles
# A node's operator as it stands in the file: its field, its length, its text.
_PAD, _POOL = b"\x22\x03Pad", b"\x22\x07MaxPool"
_PASSED = ("Identity", "Dropout", "Transpose", "Cast", "Add", "Sub", "Mul", "Div")


class _Node(NamedTuple):
    kind: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, memoryview]


def zeros_reach_pool(file: Path) -> bool:
    """Whether a Pad of zeros reaches a MaxPool in a file, which is mapped and not loaded; False for what is no ONNX.

    Raises:
        OSError: it can't be read.
    """
    with file.open("rb") as opened:
        data = memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
    try:
        return any(_in_graph(graph) for graph in messages(data, _GRAPH))
    except (ValueError, LookupError):
        return False  # the runtime itself says what is wrong with it


def _in_graph(graph: memoryview) -> bool:
    pads = pools = False
    for node in messages(graph, _NODE):
        whole = bytes(node)
        pads, pools = pads or _PAD in whole, pools or _POOL in whole
        if pads and pools:
            return _in_nodes(graph, [_read(each) for each in messages(graph, _NODE)])
    return False


def _in_nodes(graph: memoryview, nodes: list[_Node]) -> bool:
    if any(_in_graph(inner) for node in nodes for inner in _graphs(node)):
        return True
    takers: dict[str, list[_Node]] = {}
    for node in nodes:
        for name in node.inputs:
            takers.setdefault(name, []).append(node)
    return any(
        node.kind == "Pad" and node.outputs and _pads_zeros(node, graph) and _reaches(node.outputs[0], takers)
        for node in nodes
    )


def _pads_zeros(node: _Node, graph: memoryview) -> bool:
    mode = node.attributes.get("mode")
    if mode is not None and text(mode, _ATTRIBUTE_TEXT) != "constant":
        return False
    if "value" in node.attributes:  # before opset 11
        return not _has_bits(node.attributes["value"], (_ATTRIBUTE_FLOAT,))
    if len(node.inputs) < 3 or not node.inputs[2]:
        return True
    stored = (each for each in messages(graph, _INITIALIZER) if text(each, _TENSOR_NAME) == node.inputs[2])
    value = next(stored, None)
    return value is None or not _has_bits(value, _TENSOR_DATA)


def _has_bits(data: memoryview, numbers: tuple[int, ...]) -> bool:
    """Whether any of these fields holds anything but zeros; -0.0 has a bit."""
    return any(
        any(bytes(value)) if isinstance(value, memoryview) else bool(value)
        for number, value in fields(data)
        if number in numbers
    )


def _reaches(tensor: str, takers: dict[str, list[_Node]]) -> bool:
    left, seen = [tensor], {tensor}
    while left:
        for user in takers.get(left.pop(), ()):
            if user.kind == "MaxPool":
                return True
            if user.kind in _PASSED:
                left.extend(name for name in user.outputs if name not in seen)
                seen.update(user.outputs)
    return False


def _graphs(node: _Node) -> Iterator[memoryview]:
    for value in node.attributes.values():
        for number in _ATTRIBUTE_GRAPHS:
            yield from messages(value, number)


def _read(node: memoryview) -> _Node:
    found = _Node("", [], [], {})
    kind = ""
    for number, value in fields(node):
        if not isinstance(value, memoryview):
            continue
        if number == _NODE_INPUT:
            found.inputs.append(bytes(value).decode())
        elif number == _NODE_OUTPUT:
            found.outputs.append(bytes(value).decode())
        elif number == _NODE_KIND:
            kind = bytes(value).decode()
        elif number == _NODE_ATTRIBUTE:
            found.attributes[text(value, 1)] = value
    return found._replace(kind=kind)
