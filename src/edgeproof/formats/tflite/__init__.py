"""Reading TensorFlow Lite networks (.tflite): float, with half weights, and quantised to 8 bits."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeproof.core.errors import ModelError
from edgeproof.core.files import storage_error
from edgeproof.formats import Imported
from edgeproof.formats.graph import first_line, new_name, onnx_for
from edgeproof.formats.onnx import check_translated
from edgeproof.formats.padding import keep_padding
from edgeproof.formats.tflite.builder import Builder
from edgeproof.formats.tflite.schema import Network, Tensor, parse

if TYPE_CHECKING:
    import onnx

_OPSET, _IR = 17, 8
_LARGEST = 2**31 - 1  # what an ONNX file of one piece can hold


def read(path: Path) -> Imported:
    """Read a .tflite file into ONNX, its inputs and outputs as they are in the file (pictures mostly as NHWC).

    Quantised networks become QuantizeLinear/DequantizeLinear pairs with the file's own scales; their inputs and
    outputs are the real numbers, float32.

    Raises:
        NotFoundError, StorageError: it isn't there, or can't be read.
        ModelError: it is empty, no .tflite file, damaged, or has an operator that isn't read: named, with its place.
        MissingExtraError: onnx is not installed.
    """
    onnx_for("Reading a TFLite network")
    try:
        size = path.stat().st_size
        if size > _LARGEST:
            raise ModelError(
                f"{path} is {size / 2**30:.1f} GB: networks are read up to 2 GB.",
                hint="Use a smaller network.",
            )
        data = path.read_bytes()
    except OSError as error:
        raise storage_error(path, error) from error
    network = parse(str(path), data)
    model = _translate(network)
    check_translated(model, network.file)
    keep_padding(model)
    return Imported(model, tuple(_notes(network)))


def _translate(network: Network) -> onnx.ModelProto:
    from onnx import helper, numpy_helper

    from edgeproof.formats.tflite.operators import OPERATORS

    _check_known(network, set(OPERATORS))
    builder = Builder(network)
    inputs, outputs = [], []
    for number in network.inputs:
        tensor = network.tensors[number]
        name = new_name(builder.taken, tensor.name)
        inputs.append(_value_info(builder, tensor, name))
        builder.put(number, name)
    ends = [new_name(builder.taken, network.tensors[number].name) for number in network.outputs]
    for operator in network.operators:
        builder.operator = operator
        try:
            OPERATORS[operator.kind](builder, operator)
        except (LookupError, ValueError, TypeError, ArithmeticError) as error:
            # The file is well formed, but the operator's inputs or options are not what its kind has.
            raise builder.error(f"doesn't fit its inputs ({first_line(error)})") from error
    builder.operator = None
    for number, end in zip(network.outputs, ends, strict=True):
        tensor = builder.tensor(number)
        outputs.append(_value_info(builder, tensor, end))
        builder.nodes.append(helper.make_node("Identity", [builder.real(number)], [end], name=end))
    _drop_identities(builder.nodes, {entry.name for entry in inputs} | set(builder.weights))
    graph = helper.make_graph(
        builder.nodes,
        "tflite",
        inputs,
        outputs,
        [numpy_helper.from_array(value, name) for name, value in builder.weights.items()],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR, producer_name="edgeproof"
    )


def _check_known(network: Network, known: set[str]) -> None:
    unknown = [operator for operator in network.operators if operator.kind not in known]
    if unknown:
        listed = ", ".join(f"{operator.kind} (operator {operator.number})" for operator in unknown[:5])
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise ModelError(
            f"{network.file} has operators that can't be read into ONNX: {listed}{more}.",
            hint="Convert the network without them (end it before decoding or NMS; only built-in operators), "
            "or run the file as it is with the litert engine.",
        )


def _value_info(builder: Builder, tensor: Tensor, name: str) -> Any:
    from onnx import TensorProto, helper

    try:
        dtype = tensor.dtype
    except KeyError as error:
        raise builder.error(
            f"has the input or output {name} of type {tensor.kind}, which isn't read",
            "Convert the network with float32 inputs and outputs.",
        ) from error
    real = tensor.quantised or (dtype == "f2" and tensor.value is not None)
    return helper.make_tensor_value_info(
        name, TensorProto.FLOAT if real else helper.np_dtype_to_tensor_dtype(dtype), tensor.shape
    )


def _drop_identities(nodes: list[Any], fixed: set[str]) -> None:
    """Give the value at each end the output's own name, where it has no other that must stay."""
    renamed: dict[str, str] = {}
    for node in [node for node in nodes if node.op_type == "Identity"]:
        source = node.input[0]
        if source not in fixed and source not in renamed:
            renamed[source] = node.output[0]
            nodes.remove(node)
    for node in nodes:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name in renamed:
                    names[place] = renamed[name]


def _notes(network: Network) -> list[str]:
    notes = []
    for number in network.inputs:
        tensor = network.tensors[number]
        if len(tensor.shape) == 4 and tensor.shape[3] in (1, 3, 4) and tensor.shape[1] not in (1, 3, 4):
            notes.append(f"Input {tensor.name} takes pictures as the file does: NHWC, {list(tensor.shape)}.")
        if tensor.free:
            notes.append(f"Input {tensor.name} has free sizes; they are fixed at {list(tensor.shape)}.")
    for kind, numbers in (("Input", network.inputs), ("Output", network.outputs)):
        notes.extend(
            f"{kind} {tensor.name} is float32, the real numbers: ({tensor.kind.lower()} value of the file "
            f"- {int(tensor.zero_point[0])}) * {float(tensor.scale[0]):g}."
            for tensor in (network.tensors[number] for number in numbers)
            if tensor.quantised
        )
    if any(tensor.kind == "FLOAT16" and tensor.value is not None for tensor in network.tensors):
        notes.append("Its weights are stored as float16; they became float32.")
    whole = [tensor for tensor in network.tensors if tensor.quantised and tensor.value is not None]
    if whole:
        count = sum(math.prod(tensor.shape) for tensor in whole)
        notes.append(f"{count:,} weights of 8 bits are kept as they are, with their scales.")
    if network.graphs > 1:
        notes.append(f"Only the first of its {network.graphs} graphs was read.")
    return notes
