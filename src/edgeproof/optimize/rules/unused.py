"""What nothing needs: nodes, stored tensors, operator sets."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from edgeproof.formats.graph import (
    STANDARD,
    all_nodes,
    constants,
    pinned,
    replace_input,
    set_nodes,
    takers,
    value_of,
)

if TYPE_CHECKING:
    import onnx


def drop_weights_from_inputs(model: onnx.ModelProto) -> int:
    """Make inputs that have a stored value plain weights; gives how many.

    Files before IR version 4 list every weight as an input, and some exporters still do; a runtime can't fold
    what a caller might override (onnxruntime.ai, "initializers as inputs").
    """
    graph = model.graph
    stored = {tensor.name for tensor in graph.initializer}
    kept = [entry for entry in graph.input if entry.name not in stored]
    dropped = len(graph.input) - len(kept)
    if dropped:
        del graph.input[:]
        graph.input.extend(kept)
        model.ir_version = max(model.ir_version, 4)
    return dropped


def drop_nodes(model: onnx.ModelProto) -> int:
    """Remove nodes that no output needs; gives how many."""
    graph = model.graph
    needed, kept = pinned(graph), []
    for node in reversed(graph.node):
        if any(name in needed for name in node.output):
            kept.append(node)
            needed.update(node.input)
    dropped = len(graph.node) - len(kept)
    if dropped:
        set_nodes(graph, reversed(kept))
    return dropped


def share_constants(model: onnx.ModelProto) -> int:
    """Make stored tensors of the same type, shape and content one; gives how many went."""
    graph = model.graph
    users, kept = takers(graph), pinned(graph)
    first: dict[tuple[object, ...], str] = {}
    repeats: set[str] = set()
    for name, tensor in constants(graph).items():
        if name in kept:
            continue
        value = value_of(tensor)
        if value.dtype == object:  # strings
            continue
        key = (tensor.data_type, tuple(tensor.dims), hashlib.sha256(value.tobytes()).digest())
        shared = first.setdefault(key, name)
        if shared != name:
            for user in users.get(name, []):
                replace_input(user, name, shared)
            repeats.add(name)
    _keep_tensors(graph, {tensor.name for tensor in graph.initializer} - repeats)
    return len(repeats)


def drop_tensors(model: onnx.ModelProto) -> int:
    """Remove stored tensors, and notes on shapes, that belong to nothing; gives how many tensors."""
    graph = model.graph
    needed = set(takers(graph)) | pinned(graph)
    before = len(graph.initializer)
    _keep_tensors(graph, needed)
    made = {name for node in graph.node for name in node.output} | {entry.name for entry in graph.input}
    notes = [entry for entry in graph.value_info if entry.name in made]
    if len(notes) < len(graph.value_info):
        del graph.value_info[:]
        graph.value_info.extend(notes)
    return before - len(graph.initializer)


def _keep_tensors(graph: onnx.GraphProto, names: set[str]) -> None:
    kept = [tensor for tensor in graph.initializer if tensor.name in names]
    if len(kept) < len(graph.initializer):
        del graph.initializer[:]
        graph.initializer.extend(kept)


def drop_domains(model: onnx.ModelProto) -> int:
    """Remove the operator sets that no node is of; gives how many."""
    used = {node.domain for node in all_nodes(model.graph)}
    for function in model.functions:
        used.update(node.domain for node in function.node)
    kept = [entry for entry in model.opset_import if entry.domain in used or entry.domain in STANDARD]
    dropped = len(model.opset_import) - len(kept)
    if dropped:
        del model.opset_import[:]
        model.opset_import.extend(kept)
    return dropped
