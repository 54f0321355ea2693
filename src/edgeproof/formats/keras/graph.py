"""The ONNX graph while it is made: where each tensor is to be had, and in which order of axes.

Keras keeps pictures as NHWC, ONNX as NCHW. A tensor may be had in several orders at once: the axes of an ONNX value
are mapped to those of the Keras tensor, (0, 3, 1, 2) for NCHW. A Transpose is written only where a taker needs an
order in which the tensor isn't there yet.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeproof.core.errors import ModelError
from edgeproof.core.tensor import Array
from edgeproof.formats.graph import new_name
from edgeproof.formats.keras.network import Layer
from edgeproof.formats.keras.settings import AGAIN

if TYPE_CHECKING:
    import onnx

Order = tuple[int, ...]
Shape = tuple[int | None, ...]
_OPSET, _IR = 17, 8
# Half weights become float32, twice the file; crafted files store one array under many names.
_GROWTH = 4
_MOST_CALLS = 100_000
_LARGEST = 2**31 - 1


@dataclass(eq=False)
class Value:
    """One Keras tensor: its sizes in Keras' order (None: any), and the ONNX values that stand for it by their order."""

    shape: Shape
    orders: dict[Order, str] = field(default_factory=dict)
    stored: Array | None = None


def identity(rank: int) -> Order:
    """The order of axes that Keras has."""
    return tuple(range(rank))


def channels_second(rank: int) -> Order:
    """The order that ONNX wants of a tensor with its channels last."""
    return (0, rank - 1, *range(1, rank - 1))


def constant(numbers: float | list[float]) -> Value:
    """A number, or a list of some, that stands in the architecture."""
    stored = np.asarray(numbers, np.float32)
    return Value(stored.shape, stored=stored)


class Builder:
    """Nodes and weights so far. `keras` is the major version that the network was saved by; `layer` the one at work."""

    def __init__(self, file: str, keras: int, size: int) -> None:
        self.file, self.keras = file, keras
        self.layer: Layer | None = None
        self.notes: list[str] = []
        self.taken: set[str] = set()
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, Array] = {}
        self._parameters: dict[tuple[int, str], str] = {}
        self._room = _GROWTH * size + (1 << 20)
        self._calls = 0
        self._counts: Counter[str] = Counter()

    def error(self, what: str, hint: str = AGAIN) -> ModelError:
        """The error for the layer that is being translated."""
        where = self.layer.settings.where if self.layer else f"{self.file}"
        return ModelError(f"{where} {what}.", hint=hint)

    def enter(self, layer: Layer) -> None:
        """Say which layer comes next."""
        self.layer = layer
        self._calls += 1  # models inside models can multiply: a small file can ask for any number
        if self._calls > _MOST_CALLS:
            raise self.error(f"is beyond {_MOST_CALLS} calls of layers")

    # Writing

    def weight(self, value: Array, name: str = "constant") -> str:
        """Store a value; gives its name."""
        self._fits(value.nbytes)
        self._room -= value.nbytes
        name = self._name(name)
        self._weights[name] = value
        return name

    def _name(self, wanted: str) -> str:
        wanted = f"{self.layer.name}/{wanted}" if self.layer else wanted
        self._counts[wanted] += (
            1  # so that the thousandth call of a layer doesn't try the names of all before it
        )
        count = self._counts[wanted]
        return new_name(self.taken, wanted if count == 1 else f"{wanted}_{count}")

    def _fits(self, count: int) -> None:
        if count > self._room:
            raise self.error(f"makes the weights more than {_GROWTH} times as large as the file")

    def scalar(self, value: float) -> str:
        """Store one float; gives its name."""
        return self.weight(np.asarray(value, np.float32))

    @staticmethod
    def floats(values: Sequence[float] | Sequence[Sequence[float]]) -> Array:
        """An array of float32."""
        return np.asarray(values, np.float32)

    def integers(self, values: Sequence[int]) -> str:
        """Store a list of int64, as shapes and axes are given; gives its name."""
        return self.weight(np.asarray(values, np.int64))

    def parameter(self, slot: str, value: Array) -> str:
        """Store a weight of this layer as float32, once for all of its calls; gives its name."""
        key = (id(self.layer), slot)
        if key not in self._parameters:
            self._fits(4 * value.size)  # before a copy is made
            self._parameters[key] = self.weight(value.astype(np.float32, copy=False), slot)
        return self._parameters[key]

    def filled(self, slot: str, size: int, number: float) -> str:
        """Store a weight that this layer leaves out, `size` times the same number; gives its name."""
        self._fits(4 * size)  # before it is made
        return self.parameter(slot, np.full(size, number, np.float32))

    def own(self, slot: str, shape: Sequence[int | None] | None = None) -> Array:
        """A weight of this layer, as it is in the file.

        Arguments:
            slot: what it is for.
            shape: the sizes that it must have, None for any.

        Raises:
            ModelError: it has another shape.
        """
        assert self.layer is not None
        value = self.layer.weights.get(slot)
        if value is None:
            raise self.error(f"has no {slot}")
        if shape is not None and (
            len(shape) != value.ndim
            or any(wanted not in (None, given) for wanted, given in zip(shape, value.shape, strict=True))
        ):
            wanted = ", ".join("any" if each is None else str(each) for each in shape)
            raise self.error(
                f"has the {slot} of shape {list(value.shape)}, and needs [{wanted}]",
                "Use the weights that were saved from this very architecture.",
            )
        return value

    def emit(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Write a node of one output; gives the output's name."""
        from onnx import helper

        name = self._name(kind)
        self._nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def one(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """The same, with the inputs one by one."""
        return self.emit(kind, inputs, **attributes)

    # Values

    def get(self, value: Value, order: Order | None = None) -> str:
        """The ONNX value that stands for a tensor in an order of its axes; as Keras has it where none is given."""
        order = identity(len(value.shape)) if order is None else order
        if len(order) != len(value.shape):
            raise self.error(f"takes a tensor of {len(order)} axes, and gets the shape {shown(value.shape)}")
        if order not in value.orders:
            if value.stored is not None:
                value.orders[order] = self.weight(value.stored.transpose(order))
            else:
                have, name = next(iter(value.orders.items()))
                value.orders[order] = self.one("Transpose", name, perm=[have.index(axis) for axis in order])
        return value.orders[order]

    def put(self, name: str, shape: Shape, order: Order | None = None) -> Value:
        """A new tensor."""
        if any(size is not None and not 1 <= size <= _LARGEST for size in shape):
            raise self.error(f"makes the shape {shown(shape)}", "Give the network an input that fits it.")
        return Value(shape, {identity(len(shape)) if order is None else order: name})

    def best_order(self, values: Sequence[Value], rank: int) -> Order:
        """The order in which most of these tensors are there already."""
        votes: dict[Order, int] = {}
        for value in values:
            if value.stored is None and len(value.shape) == rank:
                for order in value.orders:
                    votes[order] = votes.get(order, 0) + 1
        return max(votes, key=lambda order: votes[order], default=identity(rank))

    def in_line(self, value: Value) -> str:
        """The ONNX value of an order whose numbers follow each other as in Keras: axes of 1 don't count."""
        for order in value.orders:
            real = [axis for axis in order if value.shape[axis] != 1]
            if real == sorted(real):
                return value.orders[order]
        return self.get(value)

    def reshape(self, value: Value, shape: Shape) -> Value:
        """A tensor in another shape, the batch kept as it is."""
        inner, before = shape[1:], value.shape[1:]
        if (
            None not in before
            and None not in inner
            and math.prod(map(int_, before)) != math.prod(map(int_, inner))
        ):
            raise self.error(f"can't make the shape {shown(value.shape)} into {shown(shape)}")
        if inner.count(None) > 1:
            raise self.error(
                f"makes the shape {shown(shape)} of {shown(value.shape)}, which is known at a run only",
                "Save the network with a fixed input size.",
            )
        if value.shape == shape and None not in inner:
            return value
        order = identity(len(shape))
        if len(shape) > 2 and set(inner[:-1]) == {1}:
            order = channels_second(
                len(shape)
            )  # the same numbers in the same order, and ready for a convolution
        target = [0, *(-1 if shape[axis] is None else int_(shape[axis]) for axis in order[1:])]
        return self.put(self.one("Reshape", self.in_line(value), self.integers(target)), shape, order)

    def finish(self, inputs: Sequence[Any], outputs: Sequence[tuple[str, Value]]) -> onnx.ModelProto:
        """The model, from its inputs (ValueInfoProto) and its outputs by their names."""
        from onnx import TensorProto, helper, numpy_helper

        self.layer = None
        ends = []
        for wanted, value in outputs:
            name = self._name(wanted)
            self._nodes.append(helper.make_node("Identity", [self.get(value)], [name], name=name))
            sizes = ["N" if at == 0 and size is None else size for at, size in enumerate(value.shape)]
            ends.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes))
        self._drop_identities({entry.name for entry in inputs} | set(self._weights))
        weights = [numpy_helper.from_array(value, name) for name, value in self._weights.items()]
        graph = helper.make_graph(self._nodes, "keras", inputs, ends, weights)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR, producer_name="edgeproof"
        )

    def _drop_identities(self, fixed: set[str]) -> None:
        # A value at an end takes the output's own name, where it has no other that must stay.
        renamed: dict[str, str] = {}
        kept = []
        for node in self._nodes:
            if node.op_type == "Identity" and node.input[0] not in fixed and node.input[0] not in renamed:
                renamed[node.input[0]] = node.output[0]
            else:
                kept.append(node)
        self._nodes = kept
        for node in self._nodes:
            for names in (node.input, node.output):
                for place, name in enumerate(names):
                    names[place] = renamed.get(name, name)


def int_(size: int | None) -> int:
    """A size that is known to be known."""
    assert size is not None
    return size


def shown(shape: Shape) -> str:
    """A shape as people read it, `?` where any size goes."""
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"
