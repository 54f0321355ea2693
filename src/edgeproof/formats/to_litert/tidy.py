"""The finished graph with less in it: activations inside the operators before them, nothing that nobody takes."""

from __future__ import annotations

from edgeproof.formats.to_litert.flatfile import Graph, Operator

_ACTIVATIONS = {"RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}
# The slot of the fused activation among the options.
_SLOTS = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 4,
    "FULLY_CONNECTED": 0,
    "ADD": 0,
    "SUB": 0,
    "MUL": 0,
    "DIV": 0,
    "AVERAGE_POOL_2D": 5,
    "MAX_POOL_2D": 5,
}


def tidy(graph: Graph) -> Graph:
    """The same graph, fused, without dead operators and tensors, its tensors counted anew."""
    return _compact(_joined(_fused(graph)))


def _joined(graph: Graph) -> Graph:
    """A RESHAPE of a RESHAPE is one of what the first takes."""
    source: dict[int, int] = {}
    operators = []
    for entry in graph.operators:
        inputs = entry.inputs
        if entry.kind == "RESHAPE":
            inputs = [source.get(inputs[0], inputs[0]), *inputs[1:]]
            source[entry.outputs[0]] = inputs[0]
        operators.append(Operator(entry.kind, inputs, entry.outputs, entry.options))
    return Graph(graph.tensors, operators, graph.inputs, graph.outputs)


def _fused(graph: Graph) -> Graph:
    makers = {number: place for place, entry in enumerate(graph.operators) for number in entry.outputs}
    takers: dict[int, int] = dict.fromkeys(graph.outputs, 1)
    for entry in graph.operators:
        for number in entry.inputs:
            takers[number] = takers.get(number, 0) + 1
    operators: list[Operator | None] = list(graph.operators)
    for place, entry in enumerate(graph.operators):
        before = makers.get(entry.inputs[0]) if entry.kind in _ACTIVATIONS else None
        maker = operators[before] if before is not None else None
        if before is None or maker is None or maker.kind not in _SLOTS or takers[entry.inputs[0]] != 1:
            continue
        slot = _SLOTS[maker.kind]
        if maker.options.get(slot, ("b", 0))[1] or len(maker.outputs) != 1:
            continue
        options = {**maker.options, slot: ("b", float(_ACTIVATIONS[entry.kind]))}
        operators[before] = Operator(maker.kind, maker.inputs, entry.outputs, options)
        makers[entry.outputs[0]] = before
        operators[place] = None
    kept = [entry for entry in operators if entry is not None]
    return Graph(graph.tensors, kept, graph.inputs, graph.outputs)


def _compact(graph: Graph) -> Graph:
    wanted = set(graph.outputs)
    kept = []
    for entry in reversed(graph.operators):
        if wanted.intersection(entry.outputs):
            wanted.update(number for number in entry.inputs if number >= 0)
            wanted.update(entry.outputs)
            kept.append(entry)
    wanted.update(graph.inputs)
    numbers = {old: new for new, old in enumerate(sorted(wanted))}
    numbers[-1] = -1
    operators = [
        Operator(
            entry.kind,
            [numbers[number] for number in entry.inputs],
            [numbers[number] for number in entry.outputs],
            entry.options,
        )
        for entry in reversed(kept)
    ]
    return Graph(
        [graph.tensors[number] for number in sorted(wanted)],
        operators,
        [numbers[number] for number in graph.inputs],
        [numbers[number] for number in graph.outputs],
    )
