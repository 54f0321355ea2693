"""Building the ONNX graph: blobs by Caffe's names, shapes as declared, and whether axis 0 is still the batch."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeproof.core.errors import ModelError, did_you_mean
from edgeproof.formats.caffe.net import Layer, Net
from edgeproof.formats.caffe.weights import Weight
from edgeproof.formats.graph import new_name

if TYPE_CHECKING:
    import onnx

_OPSET = 17
_IR = 8
# What a few lines of text may make us compute: 4 million values for constants, 2 GB for seeded weights.
_MAX_CONSTANT = 4 << 20
_MAX_SEEDED = 2**31 - 1
_MAX_RANK = 8
_MAX_BLOB = 2**31 - 1


@dataclass(frozen=True)
class Blob:
    """One tensor of the graph.

    Attributes:
        tensor: its name in the ONNX graph.
        shape: its size at the declared batch.
        batched: whether axis 0 is the batch, and could be any size.
    """

    tensor: str
    shape: tuple[int, ...]
    batched: bool


class Builder:
    """Collects nodes and weights; a layer function adds its own and says what its tops are."""

    def __init__(self, net: Net, file: str, weights: dict[str, list[Weight]] | None, seed: int) -> None:
        self.net, self.file = net, file
        self.blobs: dict[str, Blob] = {}
        self.notes: list[str] = []
        self._weights = weights
        self._random = np.random.default_rng(seed)
        self._seeded = 0
        self._nodes: list[onnx.NodeProto] = []
        self._stored: list[onnx.TensorProto] = []
        self._fixed = ""
        self._last = {top: place for place, layer in enumerate(net.layers) for top in layer.tops}
        self._place = 0
        self._taken = set(self._last) | set(net.inputs)
        self._used: Counter[str] = Counter()
        self._used_names: set[str] = set()
        # A BatchNorm whose tensor the next Scale may fold itself into; an axis whose size only a run tells.
        self.plain_norms: dict[str, onnx.NodeProto] = {}
        self.open_axes: dict[str, int] = {}
        batches = {shape[0] for shape in net.inputs.values()}
        for name, shape in net.inputs.items():
            self.blobs[name] = Blob(name, shape, len(batches) == 1)

    def start(self, place: int) -> None:
        """Say which layer comes next."""
        self._place = place

    def fix_batch(self, layer: Layer) -> None:
        """This layer mixes the images of a batch, or counts them: the batch has to stay as declared."""
        self._fixed = self._fixed or f"{layer.name!r} ({layer.kind})"

    def bottoms(self, layer: Layer, count: int | None = None) -> list[Blob]:
        """The blobs a layer takes; `count`: how many it must have, None for 1 or more."""
        if (len(layer.bottoms) != count) if count is not None else not layer.bottoms:
            wanted = "1 or more" if count is None else count
            raise layer.params.error(f"it has {len(layer.bottoms)} bottoms, and takes {wanted}")
        found = []
        for name in layer.bottoms:
            blob = self.blobs.get(name)
            if blob is None:
                later = self._last.get(name)
                if later is not None:
                    raise layer.params.error(
                        f"its bottom {name[:60]!r} is only made by layer {self.net.layers[later].name[:60]!r}, "
                        "further down",
                        "The layers form a cycle or are out of order: each must stand after what it takes.",
                    )
                raise layer.params.error(
                    f"nothing makes its bottom {name[:60]!r}", did_you_mean(name[:60], self.blobs)
                )
            self._used[blob.tensor] += 1
            self._used_names.add(name)
            found.append(blob)
        return found

    def uses(self, blob: Blob) -> int:
        """How many layers took the tensor so far."""
        return self._used[blob.tensor]

    def bind(self, layer: Layer, shape: tuple[int, ...], *, batched: bool, top: int = 0) -> str:
        """Make a top of the layer known; gives the name of the tensor that a node has to make.

        Raises:
            ModelError: an axis of size 0 or less, too many values, or a top that is there already.
        """
        if len(layer.tops) <= top:
            raise layer.params.error("it has no top for what it makes")
        name = layer.tops[top]
        if name in self.blobs and name not in layer.bottoms:
            raise layer.params.error(
                f"its top {name[:60]!r} is made by another layer already", "Rename one of them."
            )
        if any(size < 1 for size in shape) or math.prod(shape) > _MAX_BLOB or len(shape) > _MAX_RANK:
            raise layer.params.error(
                f"its output would have the shape {list(shape[:_MAX_RANK])}",
                "Check the input's size and the strides.",
            )
        last = self._last[name] == self._place and name not in self.net.inputs
        tensor = name if last else new_name(self._taken, f"{name}/{layer.name or layer.kind}")
        self.blobs[name] = Blob(tensor, shape, batched)
        self._used_names.discard(name)
        return tensor

    def node(self, kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> onnx.NodeProto:
        """Add a node."""
        from onnx.helper import make_node

        node = make_node(kind, inputs, outputs, **attributes)
        self._nodes.append(node)
        return node

    def step(self, layer: Layer, kind: str, inputs: list[str], **attributes: Any) -> str:
        """Add a node with one output inside a layer; gives the name of that output."""
        name = new_name(self._taken, f"{layer.name or layer.kind}/{kind}")
        self.node(kind, inputs, [name], **attributes)
        return name

    def constant(self, layer: Layer, value: ArrayLike, suffix: str = "constant") -> str:
        """Store a value; gives its name."""
        from onnx.numpy_helper import from_array

        name = new_name(self._taken, f"{layer.name or layer.kind}/{suffix}")
        self._stored.append(from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name))
        return name

    def integers(self, layer: Layer, values: list[int] | tuple[int, ...], suffix: str = "sizes") -> str:
        """Store int64 values of one axis; gives their name."""
        return self.constant(layer, np.asarray(values, dtype=np.int64), suffix)

    def may_hold(self, layer: Layer, count: int) -> None:
        """Refuse a constant that a few lines of text would make huge."""
        if count > _MAX_CONSTANT:
            raise layer.params.error(f"it would need a constant of {count} values", "Check the input's size.")

    def weights(
        self, layer: Layer, shapes: list[tuple[int, ...]], fan_in: int = 0
    ) -> list[NDArray[np.float32]]:
        """The layer's weights in these shapes; seeded where there is no file.

        Arguments:
            fan_in: seeded: the first has the variance 2 / fan_in (He et al. 2015), the others are 0;
                at 0 all are 1.

        Raises:
            ModelError: another number of blobs, or of other shapes.
        """
        if self._weights is None:
            return self._seed(layer, shapes, fan_in)
        if layer.name not in self._weights:
            raise layer.params.error(
                "the weights have no layer of that name",
                f"Is it the caffemodel of this prototxt? {did_you_mean(layer.name[:60], list(self._weights)[:500])}",
            )
        blobs = self._weights[layer.name]
        if len(blobs) != len(shapes):
            raise layer.params.error(
                f"its weights are {len(blobs)} blobs, where it needs {len(shapes)}",
                "Check bias_term, and that the caffemodel is of this prototxt.",
            )
        return [self._fit(layer, blob, shape) for blob, shape in zip(blobs, shapes, strict=True)]

    def blob_count(self, layer: Layer, default: int) -> int:
        """How many blobs the weights have for a layer; `default` where they are seeded."""
        return default if self._weights is None else len(self._weights.get(layer.name, []))

    def _fit(self, layer: Layer, blob: Weight, shape: tuple[int, ...]) -> NDArray[np.float32]:
        # Files before 2014 padded every shape to four sizes, in front: (1, 1, 1, 64) for a bias of 64.
        stored, wanted = _bare(blob.shape), _bare(shape)
        if blob.values.size != math.prod(shape) or (blob.shape and stored != wanted):
            raise layer.params.error(
                f"its weights have the shape {list(blob.shape or blob.values.shape)}, where it needs {list(shape)}",
                "Check num_output, group and the kernel, and that the caffemodel is of this prototxt.",
            )
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(blob.values.reshape(shape), dtype=np.float32)

    def _seed(self, layer: Layer, shapes: list[tuple[int, ...]], fan_in: int) -> list[NDArray[np.float32]]:
        self._seeded += 4 * sum(math.prod(shape) for shape in shapes)
        if self._seeded > _MAX_SEEDED:
            raise layer.params.error(
                "the seeded weights would be over 2 GB", "Check num_output and the input's size."
            )
        if not fan_in:
            return [np.ones(shape, np.float32) for shape in shapes]
        first = self._random.standard_normal(shapes[0], dtype=np.float32)
        first *= np.float32(math.sqrt(2.0 / fan_in))
        return [first, *(np.zeros(shape, np.float32) for shape in shapes[1:])]

    def finish(self) -> onnx.ModelProto:
        """The network; its outputs are the blobs that no layer takes.

        Raises:
            ModelError: there is no output.
        """
        from onnx import TensorProto, helper

        ends = [name for name in self.blobs if name not in self._used_names and name not in self.net.inputs]
        if not ends:
            raise ModelError(
                f"{self.file} has no output: every blob is taken by a layer.", hint="Check the tops."
            )

        def value(name: str, blob: Blob) -> onnx.ValueInfoProto:
            sizes: list[int | str] = list(blob.shape)
            if blob.batched and not self._fixed:
                sizes[0] = "N"
            if blob.tensor in self.open_axes:
                sizes[self.open_axes[blob.tensor]] = f"{name}_rows"
            return helper.make_tensor_value_info(blob.tensor, TensorProto.FLOAT, sizes)

        batched = len({shape[0] for shape in self.net.inputs.values()}) == 1
        inputs = [value(name, Blob(name, shape, batched)) for name, shape in self.net.inputs.items()]
        outputs = [value(name, self.blobs[name]) for name in ends]
        if self._fixed:
            self.notes.append(f"The batch stays as declared: layer {self._fixed} needs it.")
        taken = {name for node in self._nodes for name in node.input}
        stored = [tensor for tensor in self._stored if tensor.name in taken]
        graph = helper.make_graph(self._nodes, self.net.name, inputs, outputs, stored)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR, producer_name="edgeproof"
        )


def _bare(shape: tuple[int, ...]) -> tuple[int, ...]:
    start = 0
    while start < len(shape) and shape[start] == 1:
        start += 1
    return shape[start:]
