"""Between real numbers and whole ones."""

from __future__ import annotations

from edgeproof.formats.tflite.builder import Builder
from edgeproof.formats.tflite.schema import Operator


def quantise(builder: Builder, operator: Operator) -> None:
    """QUANTIZE: from real numbers, or from another quantisation."""
    order = _order(builder, operator)
    builder.put(operator.outputs[0], builder.real(operator.inputs[0], order), order)


def dequantise(builder: Builder, operator: Operator) -> None:
    """DEQUANTIZE: stored half or 8-bit weights are taken where they are used, without a node."""
    from onnx import TensorProto

    source, target = operator.inputs[0], operator.outputs[0]
    if builder.stored(source):
        builder.same_as(target, source)
        return
    order = _order(builder, operator)
    value = builder.real(source, order)
    if builder.tensor(source).kind == "FLOAT16":
        value = builder.one("Cast", value, to=TensorProto.FLOAT)
    builder.put(target, value, order)


def cast(builder: Builder, operator: Operator) -> None:
    """CAST to the type of the output."""
    from onnx import helper

    source, target = operator.inputs[0], operator.outputs[0]
    tensor = builder.tensor(target)
    if builder.tensor(source).quantised or tensor.quantised:
        raise builder.error(
            "casts a quantised tensor, which isn't read", "Convert the network with QUANTIZE there."
        )
    order = _order(builder, operator)
    kind = helper.np_dtype_to_tensor_dtype(tensor.dtype)
    builder.put(target, builder.one("Cast", builder.real(source, order), to=kind), order)


def _order(builder: Builder, operator: Operator) -> tuple[int, ...]:
    return builder.best_order(operator.inputs[:1], len(builder.shape(operator.inputs[0])))
