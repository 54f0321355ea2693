"""Nodes that hand on what they get."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeproof.formats.graph import (
    attribute,
    constants,
    is_op,
    makers,
    opset_of,
    pinned,
    remove_makers_of,
    replace_input,
    takers,
    value_of,
)

if TYPE_CHECKING:
    import onnx


def drop_identities(model: onnx.ModelProto) -> int:
    """Remove Identity, and Dropout that is not training; gives how many."""
    graph = model.graph
    known, users, made, kept = constants(graph), takers(graph), makers(graph), pinned(graph)
    dropped: set[str] = set()
    for node in graph.node:
        if not _hands_on(node, opset_of(model), known, users, kept):
            continue
        source, target = node.input[0], node.output[0]
        if target not in kept:
            for user in users.get(target, []):
                replace_input(user, target, source)
            others = [user for user in users.get(source, []) if user.output[:1] != node.output[:1]]
            users[source] = others + users.pop(target, [])
            dropped.add(target)
        elif source in made and source not in kept:
            # The name of the target has to stay, so the source takes it over.
            maker = made.pop(source)
            for place, name in enumerate(maker.output):
                if name == source:
                    maker.output[place] = target
            node.output[0] = source  # marks it for removal: two nodes can't make the target
            for user in users.get(source, []):
                if user.output[:1] != node.output[:1]:
                    replace_input(user, source, target)
            users[target] = users.get(target, []) + users.pop(source, [])
            made[target] = maker
            dropped.add(source)
    remove_makers_of(graph, dropped)
    return len(dropped)


def _hands_on(
    node: onnx.NodeProto,
    opset: int,
    known: dict[str, onnx.TensorProto],
    users: dict[str, list[onnx.NodeProto]],
    kept: set[str],
) -> bool:
    if is_op(node, "Identity"):
        return True
    if not is_op(node, "Dropout"):
        return False
    mask = node.output[1] if len(node.output) > 1 else ""
    if mask and (mask in users or mask in kept):
        return False
    if opset < 7:
        return bool(attribute(node, "is_test", 0))
    training = node.input[2] if len(node.input) > 2 else ""
    return not training or (training in known and not value_of(known[training]).any())
