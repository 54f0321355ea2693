"""The ONNX graph while it is made: where each tensor is to be had, and in which order of axes.

TFLite keeps pictures as NHWC, ONNX as NCHW. A tensor may be had in several orders at once: `order` maps the axes of
the ONNX value to those of the TFLite tensor, (0, 3, 1, 2) for NCHW. A Transpose is written only where a taker needs an
order in which the tensor isn't there yet; a TRANSPOSE of TFLite is a change of that note and costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeproof.core.errors import ModelError
from edgeproof.core.tensor import Array
from edgeproof.formats.graph import new_name
from edgeproof.formats.tflite.flatbuffer import AGAIN
from edgeproof.formats.tflite.schema import Network, Operator, Tensor

Order = tuple[int, ...]
NCHW: Order = (0, 3, 1, 2)
RELU, RELU_N1_TO_1, RELU6, TANH = 1, 2, 3, 4
_BOUNDS = {
    RELU: (0.0, math.inf),
    RELU_N1_TO_1: (-1.0, 1.0),
    RELU6: (0.0, 6.0),
}
# Half weights become float32, twice the file; crafted files store one buffer under many names.
_GROWTH = 4


def identity(rank: int) -> Order:
    """The order of axes that TFLite has."""
    return tuple(range(rank))


class Builder:
    """Nodes and weights so far, and the values that stand for each TFLite tensor."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.nodes: list[Any] = []
        self.weights: dict[str, Array] = {}
        self.taken: set[str] = set()
        self.operator: Operator | None = None
        self._values: dict[int, dict[Order, str]] = {}
        self._reals: dict[tuple[int, Order], str] = {}
        self._alias: dict[int, int] = {}
        self._room = _GROWTH * network.size + (1 << 20)

    def error(self, what: str, hint: str = AGAIN) -> ModelError:
        """The error for the operator that is being translated."""
        operator = self.operator
        where = f"operator {operator.number} ({operator.kind}) " if operator else ""
        return ModelError(f"{self.network.file}: {where}{what}.", hint=hint)

    # What is known of a tensor

    def tensor(self, number: int) -> Tensor:
        """A tensor's description."""
        return self.network.tensors[self._alias.get(number, number)]

    def shape(self, number: int) -> tuple[int, ...]:
        """A tensor's sizes in TFLite's order."""
        return self.tensor(number).shape

    def constant(self, number: int) -> Array:
        """The stored value of a tensor that has to be known beforehand.

        Raises:
            ModelError: the network computes it.
        """
        value = self.tensor(number).value
        if value is None:
            raise self.error(
                f"needs tensor {number} ({self.tensor(number).name}) as a stored value, but it is computed",
                "Convert the network with fixed shapes.",
            )
        return value

    def integers(self, number: int) -> list[int]:
        """A stored list of whole numbers (axes, sizes)."""
        value = self.constant(number)
        if value.dtype.kind != "i" or value.size > 64:
            raise self.error(f"takes tensor {number} as a short list of whole numbers, which it isn't")
        return [int(entry) for entry in value.ravel()]

    def stored(self, number: int) -> bool:
        """Whether a tensor's value is in the file."""
        return self.tensor(number).value is not None

    def has(self, number: int) -> bool:
        """Whether a tensor is there already."""
        return self.stored(number) or number in self._values

    def orders(self, number: int) -> list[Order]:
        """The orders in which a computed tensor is there, the first made first."""
        return list(self._values.get(number, ()))

    # Writing

    def weight(self, value: Array, name: str = "constant") -> str:
        """Store a value; gives its name."""
        self._room -= value.nbytes
        if self._room < 0:
            raise self.error(f"makes the weights more than {_GROWTH} times as large as the file")
        name = new_name(self.taken, name)
        self.weights[name] = value
        return name

    def numbers(self, values: Sequence[int]) -> str:
        """Store a list of int64, as shapes and axes are given; gives its name."""
        return self.weight(np.asarray(values, np.int64))

    def emit(self, kind: str, inputs: Sequence[str], count: int = 1, **attributes: Any) -> list[str]:
        """Write a node; gives the names of its outputs."""
        from onnx import helper

        operator = self.operator
        base = self.network.tensors[operator.outputs[0]].name if operator and operator.outputs else "input"
        outputs = [new_name(self.taken, f"{base}/{kind}") for _ in range(count)]
        name = outputs[0]
        self.nodes.append(helper.make_node(kind, list(inputs), outputs, name=name, **attributes))
        return outputs

    def one(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Write a node of one output; gives its name."""
        return self.emit(kind, inputs, **attributes)[0]

    def _parameters(self, tensor: Tensor) -> list[str]:
        shape = (-1,) if tensor.scale.size > 1 else ()
        scale = self.weight(tensor.scale.reshape(shape), f"{tensor.name}/scale")
        return [
            scale,
            self.weight(tensor.zero_point.astype(tensor.dtype).reshape(shape), f"{tensor.name}/zero"),
        ]

    # Values

    def put(self, number: int, value: str, order: Order | None = None, *, raw: bool = False) -> None:
        """Note that `value` stands for a tensor; a quantised tensor is quantised from it, unless `raw`."""
        tensor = self.network.tensors[number]
        order = identity(len(tensor.shape)) if order is None else order
        if len(order) != len(tensor.shape):
            raise self.error(
                f"makes {len(order)} axes, but tensor {number} has the shape {list(tensor.shape)}"
            )
        if self.has(number):
            raise self.error(
                f"makes tensor {number} ({tensor.name}), which is there already: the graph is cyclic"
            )
        if tensor.quantised and not raw:
            if tensor.scale.size > 1:
                raise self.error(
                    f"makes tensor {number} with a scale for each channel, which only weights have"
                )
            value = self.one("QuantizeLinear", value, *self._parameters(tensor))
        self._values[number] = {order: value}

    def same_as(self, target: int, source: int) -> None:
        """Let `target` be the stored tensor `source`."""
        self._alias[target] = self._alias.get(source, source)

    def raw(self, number: int, order: Order | None = None) -> str:
        """The value that stands for a tensor in an order of axes; quantised ones as whole numbers."""
        tensor = self.tensor(number)
        order = identity(len(tensor.shape)) if order is None else order
        if len(order) != len(tensor.shape):
            raise self.error(
                f"takes {len(order)} axes, but tensor {number} has the shape {list(tensor.shape)}"
            )
        values = self._values.setdefault(self._alias.get(number, number), {})
        if order not in values:
            if tensor.value is not None:
                values[order] = self._store(tensor, tensor.value.transpose(order))
            elif values:
                have, name = next(iter(values.items()))
                values[order] = self.one("Transpose", name, perm=[have.index(axis) for axis in order])
            else:
                raise self.error(f"takes tensor {number} ({tensor.name}), which nothing makes before it")
        return values[order]

    def _store(self, tensor: Tensor, value: Array) -> str:
        return self.weight(value.astype(np.float32) if value.dtype == np.float16 else value, tensor.name)

    def real(self, number: int, order: Order | None = None) -> str:
        """The same, quantised ones as the real numbers that they stand for."""
        tensor = self.tensor(number)
        raw = self.raw(number, order)
        if not tensor.quantised:
            return raw
        order = identity(len(tensor.shape)) if order is None else order
        key = (self._alias.get(number, number), order)
        if key not in self._reals:
            axis = {"axis": order.index(tensor.axis)} if tensor.scale.size > 1 else {}
            self._reals[key] = self.one("DequantizeLinear", raw, *self._parameters(tensor), **axis)
        return self._reals[key]

    def operand(self, number: int, order: Order) -> str:
        """The real value for an operation that broadcasts, lifted to the rank of `order` with axes of 1 in front."""
        tensor = self.tensor(number)
        missing = len(order) - len(tensor.shape)
        if missing <= 0:
            return self.real(number, order)
        if tensor.value is None or tensor.scale.size > 1:
            lifted = self.one("Reshape", self.real(number), self.numbers([1] * missing + list(tensor.shape)))
            return (
                lifted if order == identity(len(order)) else self.one("Transpose", lifted, perm=list(order))
            )
        value = tensor.value.reshape((1,) * missing + tensor.shape).transpose(order)
        name = self._store(tensor, value)
        return self.one("DequantizeLinear", name, *self._parameters(tensor)) if tensor.quantised else name

    def best_order(self, numbers: Sequence[int], rank: int) -> Order:
        """The order in which most of these tensors are there already."""
        votes: dict[Order, int] = {}
        for number in numbers:
            if not self.stored(number) and len(self.shape(number)) == rank:
                for order in self.orders(number):
                    votes[order] = votes.get(order, 0) + 1
        return max(votes, key=lambda order: votes[order], default=identity(rank))

    def put_activated(self, number: int, value: str, activation: int, order: Order | None = None) -> None:
        """The same as `put`, after the activation that is fused into an operator (ActivationFunctionType)."""
        tensor = self.network.tensors[number]
        if activation == TANH:
            value = self.one("Tanh", value)
        elif activation in _BOUNDS:
            low, high = _BOUNDS[activation]
            if not self._implied(tensor, low, high):
                value = self.clip(value, low, high)
        elif activation:
            raise self.error(f"has the fused activation {activation}, which isn't read")
        self.put(number, value, order)

    def clip(self, value: str, low: float, high: float) -> str:
        """Bound a value on both sides."""
        if (low, high) == (0.0, math.inf):
            return self.one("Relu", value)
        return self.one(
            "Clip", value, self.weight(np.asarray(low, np.float32)), self.weight(np.asarray(high, np.float32))
        )

    @staticmethod
    def _implied(tensor: Tensor, low: float, high: float) -> bool:
        # Saturating at the ends of 8 bits does the same; a node between Conv and Quantize would only be in the way.
        if not tensor.quantised or tensor.scale.size != 1:
            return False
        limits, scale, zero = np.iinfo(tensor.dtype), float(tensor.scale[0]), int(tensor.zero_point[0])
        least, most = (limits.min - zero) * scale, (limits.max - zero) * scale
        return least >= low - scale / 2 and most <= high + scale / 2
