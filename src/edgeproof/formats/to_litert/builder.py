"""The TFLite graph while it is made: where each tensor of the ONNX network is to be had, and in which order of axes.

A tensor may be had in several orders at once. A TRANSPOSE is written only where a taker needs an order in which the
tensor isn't there yet; ONNX's own Transpose is a change of that note and costs nothing.

Quantised tensors are kept under the names of the whole numbers (the output of QuantizeLinear). Where a node is to be
computed in int8, `take` gives those in place of the real numbers behind DequantizeLinear, and `make` makes them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeproof.core.tensor import Array
from edgeproof.formats.graph import new_name
from edgeproof.formats.to_litert.flatfile import KINDS, Graph, Operator, Option, Quantisation, Tensor
from edgeproof.formats.to_litert.layout import Order, identity, permuted
from edgeproof.formats.to_litert.ready import Ready
from edgeproof.formats.to_litert.whole import weights_are_unsigned


class Refused(Exception):  # noqa: N818  caught where the nodes are walked, and told for all of them at once
    """A node can't be said in TFLite; the text says why, as the end of a sentence."""


@dataclass(frozen=True)
class Known:
    """A stored tensor: floats, halves, or whole numbers with their quantisation (by ONNX's axes)."""

    value: Array
    quantisation: Quantisation | None = None

    def real(self) -> Array:
        """The numbers it stands for: float32 where it is stored smaller."""
        if self.quantisation is not None:
            shape = [1] * self.value.ndim
            if self.quantisation.scale.size > 1:
                shape[self.quantisation.axis] = -1
            scale = self.quantisation.scale.reshape(shape)
            return np.asarray(
                (self.value.astype(np.float32) - self.quantisation.zero.reshape(shape)) * scale, np.float32
            )
        return self.value.astype(np.float32) if self.value.dtype == np.float16 else self.value

    def turned(self, order: Order) -> Known:
        """The same with its axes in another order."""
        turned = np.ascontiguousarray(self.value.transpose(order)) if order else self.value
        if self.quantisation is None:
            return Known(turned)
        axis = order.index(self.quantisation.axis) if self.quantisation.scale.size > 1 else 0
        return Known(turned, Quantisation(self.quantisation.scale, self.quantisation.zero, axis))


class Builder:
    """Tensors and operators so far, and the numbers of the TFLite tensors that stand for each ONNX tensor."""

    def __init__(self, network: Ready, varying: dict[str, frozenset[int]]) -> None:
        self.network = network
        self.graph = Graph()
        # For each tensor the axes whose size goes with the batch; empty where the batch is fixed.
        self.varying = varying
        # Whether the file is to have uint8 in place of the int8 that all is written as.
        self.unsigned = weights_are_unsigned(network.nodes, network.constants)
        # Why the batch can't be left free after all; the first reason found.
        self.fixed = ""
        # ONNX names: real tensor behind DequantizeLinear -> the quantised one; quantised -> how.
        self.behind: dict[str, str] = {}
        self.quantised: dict[str, Quantisation] = {}
        # Outputs of the node at hand that become int8: real name -> quantised name; empty: it computes floats.
        self.integer: dict[str, str] = {}
        self._known: dict[str, Known] = {name: Known(value) for name, value in network.constants.items()}
        self._values: dict[str, dict[Order, int]] = {}
        self._stored: dict[tuple[Any, ...], int] = {}
        self._names: set[str] = {*network.inputs, *network.outputs}

    # What is known of a tensor of the network

    def shape(self, name: str) -> tuple[int, ...]:
        """Sizes in ONNX's order."""
        return self.network.shapes[name]

    def rank(self, name: str) -> int:
        """How many axes it has."""
        return len(self.network.shapes[name])

    def sizes(self, name: str) -> tuple[int, ...]:
        """The shape, with an unusual size for the batch where that is free: tells it from the axes of 1."""
        return tuple(
            size * 1009 if axis in self.varying.get(name, ()) else size
            for axis, size in enumerate(self.shape(name))
        )

    def has(self, name: str) -> bool:
        """Whether a tensor is there to be taken."""
        return name in self._known or name in self._values or name in self.behind

    def known(self, name: str) -> Known | None:
        """The stored value of a tensor, if it has one."""
        return self._known.get(name)

    def keep(self, name: str, known: Known) -> None:
        """Note that a tensor is a stored value."""
        self._known[name] = known

    def constant(self, name: str, what: str) -> Array:
        """The value of a tensor that has to be known beforehand; `what` is what it is to the node."""
        known = self._known.get(name)
        if known is None:
            raise Refused(f"its {what} is computed while it runs: it has to be stored in the network")
        return known.real()

    def orders(self, name: str) -> list[Order]:
        """The orders in which a computed tensor is there, the first made first."""
        if name not in self._values and name in self.behind:
            name = self.behind[name]
        return list(self._values.get(name, ()))

    def best_order(self, names: Sequence[str], rank: int) -> Order:
        """The order in which most of these tensors are there already."""
        votes: dict[Order, int] = {}
        for name in names:
            if name not in self._known and self.rank(name) == rank:
                for order in self.orders(name):
                    votes[order] = votes.get(order, 0) + 1
        return max(votes, key=lambda order: votes[order], default=identity(rank))

    def order_with_last(self, name: str, axis: int) -> Order:
        """An order that ends in `axis`: one in which the tensor is there, else ONNX's with that axis moved."""
        for order in self.orders(name):
            if order[-1] == axis:
                return order
        return (*(place for place in range(self.rank(name)) if place != axis), axis)

    # Taking

    def take(self, name: str, order: Order | None = None) -> int:
        """The TFLite tensor that stands for `name` in an order of axes (ONNX's by default)."""
        order = identity(self.rank(name)) if order is None else order
        known = self._known.get(name)
        if known is not None:
            key = (name, order, bool(self.integer))
            if key not in self._stored:
                self._stored[key] = self.store(known.turned(order), name)
            return self._stored[key]
        if name in self.behind and self.integer:
            return self._turned(self.behind[name], order)
        if name in self.behind and name not in self._values:
            have, number = next(iter(self._values[self.behind[name]].items()))
            made = self._new(name, self.graph.tensors[number].shape, "float32")
            self.write("DEQUANTIZE", [number], [made])
            self._values[name] = {have: made}
        return self._turned(name, order)

    def _turned(self, name: str, order: Order) -> int:
        values = self._values[name]
        if order not in values:
            have, number = next(iter(values.items()))
            sizes = self.sizes(name)
            if [axis for axis in have if sizes[axis] != 1] == [axis for axis in order if sizes[axis] != 1]:
                batch = self.single_batch_axis(name, order)
                values[order] = self.reshape(number, permuted(self.shape(name), order), batch)
            else:
                values[order] = self.transpose(number, tuple(have.index(axis) for axis in order))
        return values[order]

    def transpose(self, number: int, order: Order) -> int:
        """A TFLite tensor with its axes in another order."""
        tensor = self.graph.tensors[number]
        return self.step("TRANSPOSE", [number, self.numbers(order)], permuted(tensor.shape, order), number)

    def operand(self, name: str, order: Order) -> int:
        """For an operation that broadcasts: with axes of 1 in front up to the rank of `order`."""
        missing = len(order) - self.rank(name)
        known = self._known.get(name)
        if known is not None:
            if self.integer:
                return self._integer_operand(known, name, missing, order)
            value = known.real()
            if value.size == 1:
                return self.store(Known(value.reshape(())), name)
            return self.store(Known(value.reshape((1,) * missing + value.shape).transpose(order)), name)
        if missing == 0:
            return self.take(name, order)
        batch = self.single_batch_axis(name, identity(self.rank(name)))
        place = None if batch is None else batch + missing
        lifted = self.reshape(self.take(name), (1,) * missing + self.shape(name), place)
        return lifted if order == identity(len(order)) else self.transpose(lifted, order)

    def _integer_operand(self, known: Known, name: str, missing: int, order: Order) -> int:
        value = known.real().astype(np.float64)
        low, high = min(float(value.min()), 0.0), max(float(value.max()), 0.0)
        scale = max((high - low) / 255.0, 1e-30)
        zero = round(-low / scale) - 128
        steps = np.clip(np.rint(value / scale) + zero, -128, 127).astype(np.int8)
        quantisation = Quantisation(np.asarray([scale], np.float32), np.asarray([zero]))
        whole = steps.reshape((1,) * missing + steps.shape).transpose(order)
        return self.store(Known(whole, quantisation), name)

    # Making

    def store(self, known: Known, name: str = "constant") -> int:
        """Store a value, in the axes that TFLite is to see; halves and int8 get a DEQUANTIZE where floats are due."""
        value = known.value
        if value.dtype.name not in KINDS:
            raise Refused(f"{name} is of type {value.dtype.name}, which TFLite lacks")
        if known.quantisation is not None and value.dtype != np.int8:
            known, value = Known(known.real()), known.real()
        key = (value.dtype, value.shape, value.tobytes()) if value.size <= 256 else ()
        if key and known.quantisation is None and key in self._stored:
            return self._stored[key]
        number = self._new(name, value.shape, value.dtype.name, known.quantisation, value)
        if key and known.quantisation is None:
            self._stored[key] = number
        if value.dtype != np.float16 and (known.quantisation is None or self.integer):
            return number
        made = self._new(f"{name}/float", value.shape, "float32")
        self.write("DEQUANTIZE", [number], [made])
        return made

    def numbers(self, values: Sequence[int]) -> int:
        """Store a list of int32, as TFLite has shapes and axes."""
        return self.store(Known(np.asarray(values, np.int32)), "numbers")

    def _new(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str,
        quantisation: Quantisation | None = None,
        value: Array | None = None,
    ) -> int:
        if dtype not in KINDS:
            raise Refused(f"{name} is of type {dtype}, which TFLite lacks")
        name = new_name(self._names, name)
        self.graph.tensors.append(Tensor(name, tuple(map(int, shape)), dtype, value, quantisation))
        return len(self.graph.tensors) - 1

    def write(
        self,
        kind: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: Mapping[int, Option] | None = None,
    ) -> None:
        """Write an operator."""
        self.graph.operators.append(Operator(kind, list(inputs), list(outputs), options or {}))

    def step(
        self,
        kind: str,
        inputs: Sequence[int],
        shape: Sequence[int],
        like: int,
        options: Mapping[int, Option] | None = None,
        dtype: str = "",
    ) -> int:
        """Write an operator in the middle of a node; its output is of the type and quantisation of tensor `like`."""
        model = self.graph.tensors[like]
        made = self._new(f"{model.name}/{kind.lower()}", shape, dtype or model.dtype, model.quantisation)
        self.write(kind, inputs, [made], options)
        return made

    def reshape(self, number: int, shape: Sequence[int], batch: int | None) -> int:
        """Another shape; `batch` is the axis that goes with the batch, if one does."""
        target = [-1 if axis == batch else size for axis, size in enumerate(shape)]
        return self.step("RESHAPE", [number, self.numbers(target)], shape, number)

    def make(
        self,
        name: str,
        kind: str,
        inputs: Sequence[int],
        order: Order | None = None,
        options: Mapping[int, Option] | None = None,
        *,
        quantisation: Quantisation | None = None,
    ) -> int:
        """Write the operator that makes an output of the node.

        Arguments:
            name: the output.
            order: of its axes; ONNX's by default.
            quantisation: what the operator itself gives in int8, where that can't be chosen.
        """
        made = self.begin(name, order, quantisation=quantisation)
        self.write(kind, inputs, [made], options)
        self.put(name, made, order)
        return made

    def begin(
        self, name: str, order: Order | None = None, *, quantisation: Quantisation | None = None
    ) -> int:
        """A tensor for an output of the node, which an operator has yet to make; see `make`."""
        order = identity(self.rank(name)) if order is None else order
        shape = permuted(self.shape(name), order)
        if name in self.integer:
            target = self.integer[name]
            return self._new(target, shape, "int8", quantisation or self.quantised[target])
        dtype = self.network.dtypes[name].name
        if dtype in ("float16", "float64"):
            raise Refused(
                f"it computes in {dtype}, for which TFLite has no kernels (weights alone may be float16)"
            )
        return self._new(name, shape, dtype)

    def put(self, name: str, number: int, order: Order | None = None) -> None:
        """Note that a TFLite tensor stands for an output of the node; it is quantised anew where it has to be."""
        order = identity(self.rank(name)) if order is None else order
        if name in self.integer:
            name = self.integer[name]
            number = self.requantised(number, self.quantised[name])
        tensor = self.graph.tensors[number]
        if tensor.shape != permuted(self.shape(name), order):
            raise Refused(
                f"it makes {list(tensor.shape)}, where ONNX has {list(self.shape(name))} in the order {order}"
            )
        varying = [order.index(axis) for axis in self.varying.get(name, ()) if not self.fixed]
        if varying and tensor.value is None:
            tensor.signature = tuple(
                -1 if axis in varying else size for axis, size in enumerate(tensor.shape)
            )
        self._values.setdefault(name, {})[order] = number

    def spare(self, name: str, shape: Sequence[int], dtype: str) -> int:
        """A tensor that an operator makes beside the one that is wanted."""
        return self._new(name, shape, dtype)

    def quantised_step(self, number: int, name: str, quantisation: Quantisation) -> int:
        """A real tensor as int8."""
        made = self._new(name, self.graph.tensors[number].shape, "int8", quantisation)
        self.write("QUANTIZE", [number], [made])
        return made

    def requantised(self, number: int, wanted: Quantisation) -> int:
        """An int8 tensor in another scale, where it isn't in that one."""
        tensor = self.graph.tensors[number]
        if tensor.quantisation is not None and tensor.quantisation.same_as(wanted):
            return number
        made = self._new(f"{tensor.name}/requantised", tensor.shape, "int8", wanted)
        self.write("QUANTIZE", [number], [made])
        return made

    def alias(self, name: str, source: str, turn: Order | None = None) -> None:
        """Let an output be its input, or that with its axes turned as ONNX's Transpose does."""
        known = self._known.get(source)
        if known is not None:
            self._known[name] = known if turn is None else known.turned(turn)
            return
        if source in self.behind and not self.integer and source not in self._values:
            self.take(source, self.orders(source)[0])
        real = self.behind[source] if self.integer else source
        for order, number in self._values[real].items():
            self.put(name, number, order if turn is None else tuple(turn.index(axis) for axis in order))

    def before_activation(self, name: str, quantisation: Quantisation) -> str:
        """Let an output be int8 although only an activation behind it is quantised; gives its quantised name."""
        target = f"{name}/int8"
        self.network.shapes[target] = self.shape(name)
        self.varying[target] = self.varying.get(name, frozenset())
        self.quantised[target] = quantisation
        self.behind[name] = target
        return target

    def stand_in(self, name: str) -> None:
        """Something in place of the output of a node that was refused, so that the rest can be looked at."""
        if name and name in self.network.shapes and name not in self._values:
            self.network.dtypes.setdefault(name, np.dtype(np.float32))
            self._values[name] = {identity(self.rank(name)): self._new(name, self.shape(name), "float32")}

    def fix_batch(self, why: str) -> None:
        """Note that the batch can't be left free."""
        self.fixed = self.fixed or why

    def single_batch_axis(self, name: str, order: Collection[int]) -> int | None:
        """The place, in an order of axes, of the one that goes with the batch; None where none does."""
        axes = self.varying.get(name, frozenset())
        if len(axes) > 1:
            self.fix_batch(f"several sizes of {name} go with it")
        return list(order).index(next(iter(axes))) if len(axes) == 1 else None
