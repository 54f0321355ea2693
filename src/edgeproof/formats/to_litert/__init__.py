"""Writing networks as TensorFlow Lite files (.tflite), for LiteRT: float, with half weights, or quantised to 8 bits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeproof.core.errors import ModelError
from edgeproof.core.files import write_atomically
from edgeproof.formats.graph import first_line, is_op, onnx_for
from edgeproof.formats.onnx import check_model
from edgeproof.formats.opset import lift
from edgeproof.formats.to_litert.builder import Builder, Refused
from edgeproof.formats.to_litert.flatfile import KINDS, Graph, Tensor, serialise
from edgeproof.formats.to_litert.layout import NHWC, identity, permuted
from edgeproof.formats.to_litert.ready import Ready, ready
from edgeproof.formats.to_litert.tidy import tidy
from edgeproof.formats.to_litert.whole import as_unsigned

if TYPE_CHECKING:
    import onnx

_OPSET = 13
# What shapes with a free batch are found with: an unusual number, so that they can be told from others.
_SECOND_BATCH = 7
_MOST_NAMED = 20
_HINT = (
    "Export the network with other operators there, or end it before them and do that step outside: "
    "see `edgeproof ops`."
)


def write(model: onnx.ModelProto, path: Path) -> tuple[str, ...]:
    """Write a network as .tflite, with its own inputs and outputs: names, shapes (pictures stay NCHW), types.

    A free batch stays free where it can. QuantizeLinear/DequantizeLinear pairs become int8 operators (uint8, where
    weights have a zero point of their own), weights stored as float16 stay so.

    Arguments:
        model: the network, in one piece; opsets before 13 are lifted. It isn't changed.
        path: the file, written whole or not at all.

    Returns:
        What was changed or assumed on the way, in words a user follows.

    Raises:
        ModelError: nodes that TFLite can't say (all of them, by name), sizes that aren't known, over 2 GB.
        StorageError: disk full, or no permission.
        MissingExtraError: onnx or flatbuffers is not installed.
    """
    builder, notes, fixed, refused = _built(model)
    if refused:
        more = f" and {len(refused) - _MOST_NAMED} more" if len(refused) > _MOST_NAMED else ""
        listed = "; ".join(
            f"{node.name or node.output[0]} ({_kind(node)}: {reason})"
            for node, reason in refused[:_MOST_NAMED]
        )
        raise ModelError(
            f"The network has nodes that can't be written as TFLite: {listed}{more}.", hint=_HINT
        )
    _end(builder)
    if fixed or builder.fixed:
        for tensor in builder.graph.tensors:
            tensor.signature = ()
        notes = (*notes, f"The batch is fixed at 1: {builder.fixed or fixed}.")
    graph = as_unsigned(tidy(builder.graph)) if builder.unsigned else tidy(builder.graph)
    write_atomically(path, serialise(graph))
    return (*notes, *_told(builder.network, graph))


def unsupported(model: onnx.ModelProto) -> list[tuple[onnx.NodeProto, str]]:
    """The nodes of a network that can't be written as TFLite, each with why, as the end of a sentence.

    Raises:
        ModelError: sizes that aren't known, so that nothing can be said about the nodes.
        MissingExtraError: onnx is not installed.
    """
    return _built(model)[3]


def _built(
    model: onnx.ModelProto,
) -> tuple[Builder, tuple[str, ...], str, list[tuple[onnx.NodeProto, str]]]:
    """The graph but for its ends, notes, why the batch is fixed (if it is), and the nodes that were refused."""
    onnx_for("Writing a TFLite network")
    check_model(model, "The network")
    lifted, notes = lift(model, _OPSET)
    network = ready(lifted, 1)
    varying, fixed = _varying(lifted, network)
    builder = Builder(network, varying)
    _begin(builder)
    return builder, notes, fixed, _translate(builder)


def _varying(model: onnx.ModelProto, network: Ready) -> tuple[dict[str, frozenset[int]], str]:
    """For each tensor the axes that go with the batch; and why that can't be left free, where it can't."""
    if not network.free_batch:
        return {}, ""
    try:
        other = ready(model, _SECOND_BATCH)
    except ModelError as error:
        return {}, f"the network runs with no other ({error.message.rstrip('.')})"
    if [node.output[0] for node in other.nodes] != [node.output[0] for node in network.nodes]:
        return {}, "parts of the network are computed from it beforehand"
    varying = {}
    for name, shape in network.shapes.items():
        wanted = other.shapes.get(name, ())
        if len(wanted) != len(shape):
            return {}, f"it decides the shape of {name}"
        axes = [axis for axis, (one, two) in enumerate(zip(shape, wanted, strict=True)) if one != two]
        if any(wanted[axis] != _SECOND_BATCH * shape[axis] for axis in axes):
            return {}, f"it decides the shape of {name}"
        varying[name] = frozenset(axes)
    for node in network.nodes:
        for place, name in enumerate(node.input):
            # Shapes are taken from what comes out, so these may follow the batch.
            if name in network.constants and not (place and is_op(node, "Reshape", "Resize", "Expand")):
                one, two = network.constants[name], other.constants.get(name)
                if two is None or one.shape != two.shape or one.tobytes() != two.tobytes():
                    return {}, f"the values of {name} go with it"
    return varying, ""


def _begin(builder: Builder) -> None:
    network, graph = builder.network, builder.graph
    pictures = any(
        is_op(node, "Conv", "ConvTranspose", "MaxPool", "AveragePool", "Resize") for node in network.nodes
    )
    for name in network.inputs:
        dtype = network.dtypes[name].name
        if dtype not in KINDS:
            raise ModelError(
                f"The input {name!r} is of type {dtype}, which TFLite lacks.", hint="Export it as float32."
            )
        graph.inputs.append(len(graph.tensors))
        graph.tensors.append(Tensor(name, network.shapes[name], dtype))
    for name, number in zip(network.inputs, graph.inputs, strict=True):
        # The order that is noted first is the one that operators prefer.
        if pictures and builder.rank(name) == 4:
            builder.put(name, builder.transpose(number, NHWC), NHWC)
        builder.put(name, number)


def _translate(builder: Builder) -> list[tuple[onnx.NodeProto, str]]:
    takers: dict[str, list[Any]] = {}
    for node in builder.network.nodes:
        for name in node.input:
            takers.setdefault(name, []).append(node)
    refused: list[tuple[onnx.NodeProto, str]] = []
    for node in builder.network.nodes:
        if refused and not all(builder.has(name) for name in node.input if name):
            continue  # it lies behind a node that was refused, of which not even the shape is known
        reason = _refusal(builder, node, takers)
        if reason:
            refused.append((node, reason))
            for name in node.output:
                builder.stand_in(name)
        builder.integer = {}
    return refused


def _refusal(builder: Builder, node: Any, takers: dict[str, list[Any]]) -> str:
    """Write one node; why it can't be, or nothing."""
    from edgeproof.formats.to_litert.operators import OPERATORS
    from edgeproof.formats.to_litert.operators.quantise import integer_outputs

    if not is_op(node, node.op_type):
        return f"the operator is {node.domain}'s own, no standard one"
    if node.op_type not in OPERATORS:
        return "TFLite has no such operator, or it isn't written yet"
    try:
        builder.integer = integer_outputs(builder, node, takers)
        OPERATORS[node.op_type](builder, node)
    except Refused as reason:
        return str(reason)
    except (LookupError, ValueError, TypeError, ArithmeticError) as error:
        # It follows the rules of ONNX as far as its checker knows, but its inputs are not what its kind has.
        return f"it doesn't fit its inputs ({first_line(error)})"
    return ""


def _kind(node: onnx.NodeProto) -> str:
    return node.op_type if is_op(node, node.op_type) else f"{node.domain}.{node.op_type}"


def _end(builder: Builder) -> None:
    """Give each output its name: the tensor in ONNX's order, or a copy where that has another name to keep."""
    graph = builder.graph
    named = set(graph.inputs)
    for name in builder.network.outputs:
        if not builder.has(name):
            raise ModelError(
                f"No node that TFLite has makes the output {name!r}.", hint="Export it without that output."
            )
        number = builder.take(name)
        if number in named or graph.tensors[number].value is not None:
            batch = builder.single_batch_axis(name, identity(builder.rank(name)))
            number = builder.reshape(number, builder.shape(name), batch)
        named.add(number)
        graph.outputs.append(number)
        tensor = graph.tensors[number]
        for other in graph.tensors:
            if other.name == name and other is not tensor:
                other.name = f"{name}/inner"
        tensor.name = name
        varying = builder.varying.get(name, frozenset())
        if varying and not builder.fixed:
            shape = permuted(builder.shape(name), identity(builder.rank(name)))
            tensor.signature = tuple(-1 if axis in varying else size for axis, size in enumerate(shape))


def _told(network: Ready, graph: Graph) -> list[str]:
    notes = [
        f"Input {name} takes pictures as the network does, NCHW; a TRANSPOSE behind it makes them NHWC, as TFLite "
        "computes."
        for name in network.inputs
        if len(network.shapes[name]) == 4
    ]
    for kind in ("int8", "uint8"):
        whole = sum(graph.tensors[entry.outputs[0]].dtype == kind for entry in graph.operators)
        if whole:
            notes.append(f"{whole} of its {len(graph.operators)} operators are computed in {kind}.")
    halves = sum(tensor.dtype == "float16" and tensor.value is not None for tensor in graph.tensors)
    if halves:
        notes.append(f"{halves} weights stay float16; LiteRT widens them as it loads.")
    return notes
