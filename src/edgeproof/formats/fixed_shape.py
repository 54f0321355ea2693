"""Giving a network's inputs fixed sizes, as most device compilers ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgeproof.core.errors import ModelError, UnknownNameError, UsageError, did_you_mean
from edgeproof.formats.graph import copy_of, first_line, onnx_for

if TYPE_CHECKING:
    import onnx


def fed_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """The inputs that have to be fed: not the stored weights that old files list among them."""
    stored = {tensor.name for tensor in model.graph.initializer}
    return [entry for entry in model.graph.input if entry.name not in stored]


def fix_shapes(
    model: onnx.ModelProto, shapes: Mapping[str, Sequence[int | str]], *, batch: int | None = None
) -> onnx.ModelProto:
    """A copy whose inputs have the given sizes, with the shapes inside it inferred anew.

    Arguments:
        model: the network.
        shapes: sizes by input name; a str leaves a size as the network has it.
        batch: what the first size of an input becomes where it is open and `shapes` doesn't tell it; None: it
            stays open.

    Raises:
        UnknownNameError: no input of that name.
        UsageError: another number of axes, a size that the network has fixed otherwise, or two values for one symbol.
        ModelError: the operators contradict these sizes.
    """
    onnx = onnx_for("Fixing the shapes of a network")
    copy = copy_of(model)
    inputs = {entry.name: entry for entry in fed_inputs(copy)}
    for name in shapes:
        if name not in inputs:
            raise UnknownNameError(f"The network has no input {name!r}.", hint=did_you_mean(name, inputs))
    known: dict[str, int] = {}
    for name, entry in inputs.items():
        _fix(entry, shapes.get(name), batch, known)
    for entry in copy.graph.output:
        for dim in entry.type.tensor_type.shape.dim:
            if dim.dim_param in known:
                dim.dim_value = known[dim.dim_param]
    del copy.graph.value_info[:]  # they speak of the sizes that were open
    try:
        return onnx.shape_inference.infer_shapes(copy, data_prop=True, strict_mode=_is_sound(onnx, model))
    except Exception as error:  # onnx's own InferenceError, or RuntimeError from its C++
        raise ModelError(
            f"The network can't have inputs of these sizes: {first_line(error)}.",
            hint="Use the size that it was trained on, or export it again for this one.",
        ) from error


def _is_sound(onnx: Any, model: onnx.ModelProto) -> bool:
    # Only where the shapes could be inferred with open sizes does a failure with fixed ones mean that those don't fit.
    try:
        onnx.shape_inference.infer_shapes(model, data_prop=True, strict_mode=True)
    except Exception:
        return False
    return True


def _fix(
    entry: onnx.ValueInfoProto, wanted: Sequence[int | str] | None, batch: int | None, known: dict[str, int]
) -> None:
    shape = entry.type.tensor_type.shape
    if wanted is not None and not entry.type.tensor_type.HasField("shape"):
        shape.dim.extend(type(shape)().dim.add() for _ in wanted)
    if wanted is not None and len(wanted) != len(shape.dim):
        raise UsageError(
            f"Input {entry.name!r} has {len(shape.dim)} axes, and {len(wanted)} sizes are given for it.",
            hint=f"Its sizes: {'x'.join(map(_size, shape.dim))}.",
        )
    for axis, dim in enumerate(shape.dim):
        size: int | str | None = wanted[axis] if wanted is not None else None
        if not isinstance(size, int):
            size = batch if axis == 0 else None
            if size is None or _is_fixed(dim):
                continue
        _set(entry.name, dim, size, known)


def _set(name: str, dim: Any, size: int, known: dict[str, int]) -> None:
    if _is_fixed(dim):
        if dim.dim_value != size:
            raise UsageError(
                f"Input {name!r} has the fixed size {dim.dim_value} where {size} is asked for.",
                hint="Export the network again for that size, or with open sizes.",
            )
        return
    symbol = dim.dim_param
    if symbol and known.setdefault(symbol, size) != size:
        raise UsageError(
            f"The size {symbol} is {size} in input {name!r} and {known[symbol]} elsewhere.",
            hint="Give all inputs that share it the same size.",
        )
    dim.dim_value = size


def check_fixed(model: onnx.ModelProto, whose: str) -> None:
    """Check that no size is open but the batch of each input.

    Arguments:
        whose: what needs fixed sizes, like "ncnn".

    Raises:
        ModelError: naming the inputs and their sizes.
    """
    still = [
        _described(entry)
        for entry in fed_inputs(model)
        if not entry.type.tensor_type.HasField("shape")
        or not all(map(_is_fixed, entry.type.tensor_type.shape.dim[1:]))
    ]
    if still:
        raise ModelError(
            f"{whose} needs fixed sizes, and some are open: {', '.join(still)}.",
            hint='Give them: --input-shape "1x3x224x224", or "NAME=1x3x224x224" for each of several inputs.',
        )


def _described(entry: onnx.ValueInfoProto) -> str:
    return f"{entry.name} ({'x'.join(map(_size, entry.type.tensor_type.shape.dim)) or 'no shape'})"


def has_open_batch(model: onnx.ModelProto) -> bool:
    """Whether the first size of an input is open."""
    dims = [entry.type.tensor_type.shape.dim for entry in fed_inputs(model)]
    return any(not _is_fixed(sizes[0]) for sizes in dims if sizes)


def _is_fixed(dim: Any) -> bool:
    # Some exporters write 0 for "any".
    return bool(dim.HasField("dim_value")) and dim.dim_value > 0


def _size(dim: Any) -> str:
    return str(dim.dim_value) if _is_fixed(dim) else dim.dim_param or "?"
