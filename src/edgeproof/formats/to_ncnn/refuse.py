"""Nodes that ncnn has no layer for, and those that pnnx is known to get wrong without a word."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from edgeproof.core.errors import ModelError
from edgeproof.formats.graph import STANDARD, attribute, constants, subgraphs
from edgeproof.formats.to_ncnn.strides import can_split, slice_steps

if TYPE_CHECKING:
    import onnx

_MOST_NAMED, _LONGEST = 6, 80
CHANGE = "Export the network without it, or run it in another runtime: see `edgeproof ops`."
_AFTER = "End the network before it, and do that step on the answers in numpy."
_FLOAT = (
    "ncnn takes no quantised ONNX: export the network that it was made from, in float32, and quantise that with ncnn's "
    "own ncnn2table and ncnn2int8; or run this one in ONNX Runtime, OpenVINO or LiteRT."
)
_BRANCH = "Export with fixed shapes and simplify: most branches and loops are decided by shapes alone."

# No layer of ncnn's does these; pnnx crashes on the first ones, where asked.
_ABSENT = {
    **dict.fromkeys(("TopK", "NonMaxSuppression", "NonZero", "Unique"), _AFTER),
    **dict.fromkeys(("If", "Loop", "Scan"), _BRANCH),
    **dict.fromkeys(
        (
            "QuantizeLinear",
            "DequantizeLinear",
            "QLinearConv",
            "QLinearMatMul",
            "ConvInteger",
            "MatMulInteger",
        ),
        _FLOAT,
    ),
}


class Refusal(NamedTuple):
    """One node that can't be taken: the name that a user finds it by, its operator, what can be done."""

    node: str
    operator: str
    advice: str


def refusals(graph: onnx.GraphProto, shapes: Mapping[str, tuple[int, ...]]) -> list[Refusal]:
    """The nodes that are refused beforehand.

    Arguments:
        graph: the network.
        shapes: of its tensors, as far as they are known.
    """
    stored = constants(graph)
    folded = _folded(graph, shapes)
    found = []
    for node in graph.node:
        if node.domain not in STANDARD:
            advice = f"It is {node.domain}'s own operator: export the network without it."
        elif any(True for _ in subgraphs(node)):
            advice = _BRANCH
        elif node.op_type in _WRONG and node.output[0] not in folded:
            advice = _WRONG[node.op_type](node, stored, shapes)
        else:
            advice = _ABSENT.get(node.op_type, "")
        if advice:
            found.append(Refusal(name_of(node), kind_of(node), advice))
    return found


def _folded(graph: onnx.GraphProto, shapes: Mapping[str, tuple[int, ...]]) -> set[str]:
    """The tensors that pnnx computes beforehand: made of stored ones, and of shapes, which are all fixed here."""
    done = set(constants(graph))
    for node in graph.node:
        shape = node.op_type in ("Shape", "Size") and node.input[0] in shapes
        if shape or all(name in done for name in node.input if name):
            done.update(node.output)
    return done


def name_of(node: onnx.NodeProto) -> str:
    """The name that a user finds a node by: its own, or that of its first output."""
    return node.name or next((output for output in node.output if output), "(unnamed)")


def kind_of(node: onnx.NodeProto) -> str:
    """A node's operator, with its domain where that is not the standard one."""
    return node.op_type if node.domain in STANDARD else f"{node.domain}.{node.op_type}"


def refused(found: Iterable[Refusal]) -> ModelError:
    """The error that names them all, grouped by what they are and what can be done."""
    groups: dict[tuple[str, str], list[str]] = {}
    for refusal in found:
        groups.setdefault((refusal.operator, refusal.advice), []).append(refusal.node)
    parts = [f"{operator} ({_named(names)})" for (operator, _), names in groups.items()]
    advice = dict.fromkeys(advice for _, advice in groups)
    return ModelError(f"ncnn can't take: {', '.join(parts)}.", hint=" ".join(advice))


def _named(names: list[str]) -> str:
    """The first few names, each cut short: a quantised network has hundreds, and long ones."""
    shown = ", ".join(
        name if len(name) <= _LONGEST else f"...{name[-_LONGEST:]}" for name in names[:_MOST_NAMED]
    )
    return f"{shown} and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else shown


# For each operator that pnnx takes in some forms only, and gets wrong in others without a word: what can be done, where
# a node is in one of those; "" where it isn't. Found by comparing each form with ONNX Runtime (pnnx 20261020).
_Check = Callable[["onnx.NodeProto", Mapping[str, "onnx.TensorProto"], Mapping[str, tuple[int, ...]]], str]


def _slice(
    node: onnx.NodeProto, stored: Mapping[str, onnx.TensorProto], shapes: Mapping[str, tuple[int, ...]]
) -> str:
    rank = len(shapes.get(node.input[0], ()))
    steps = slice_steps(node, stored, rank) if rank else {}
    if not steps or can_split(steps, rank):
        return ""
    return "Turn or thin the tensor outside of the network: only rows and columns of pictures can be stepped over."


def _resize(node: onnx.NodeProto, *_: object) -> str:
    mode = attribute(node, "mode", "nearest")
    place = attribute(node, "coordinate_transformation_mode", "half_pixel")
    if attribute(node, "antialias", 0) or attribute(node, "exclude_outside", 0):
        return "Export it without antialias and exclude_outside."
    if mode == "nearest":
        right = place == "asymmetric" and attribute(node, "nearest_mode", "round_prefer_floor") == "floor"
        return "" if right else "Export it with the coordinates asymmetric and nearest_mode floor."
    if place not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        return "Export it with the coordinates half_pixel or align_corners."
    right = mode != "cubic" or attribute(node, "cubic_coeff_a", -0.75) == -0.75
    return "" if right else "Export it with cubic_coeff_a -0.75."


def _gather(node: onnx.NodeProto, stored: Mapping[str, onnx.TensorProto], _: object) -> str:
    index = stored.get(node.input[1])
    return "Use Slice and Concat: only one stored index is taken." if index is None or len(index.dims) else ""


def _pool(node: onnx.NodeProto, *_: object) -> str:
    if attribute(node, "auto_pad", "NOTSET").startswith("SAME"):
        return "Export it with its pads as numbers in place of auto_pad."
    both = attribute(node, "ceil_mode", 0) and attribute(node, "count_include_pad", 0)
    return "Export it with ceil_mode or count_include_pad 0." if both else ""


def _reduce(node: onnx.NodeProto, *_: object) -> str:
    # Only the axes of an attribute are seen, which ReduceSum lost in opset 13, the others in opset 18.
    if len(node.input) < 2 or not node.input[1]:
        return ""
    return (
        "Use ReduceMean, times the count."
        if node.op_type == "ReduceSum"
        else "Export in opset 17 or earlier."
    )


def _layer_normalization(node: onnx.NodeProto, _: object, shapes: Mapping[str, tuple[int, ...]]) -> str:
    axis, rank = attribute(node, "axis", -1), len(shapes.get(node.input[0], ()))
    return "Normalise over the last two axes at the most." if 0 <= axis < rank - 2 or axis < -2 else ""


def _two(node: onnx.NodeProto, *_: object) -> str:
    return f"Write it as one {node.op_type} of two after the other." if len(node.input) > 2 else ""


_WRONG: dict[str, _Check] = {
    "Slice": _slice,
    "Resize": _resize,
    "Gather": _gather,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "LayerNormalization": _layer_normalization,
    **dict.fromkeys(("Max", "Min", "Sum", "Mean"), _two),
    **dict.fromkeys((f"Reduce{kind}" for kind in ("Sum", "Mean", "Max", "Min", "L1", "L2", "Prod")), _reduce),
    "SpaceToDepth": lambda *_: "Export it as slices and a Concat: its channels come in another order.",
}
