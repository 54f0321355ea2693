"""PyTorch's own exporters, from each of the forms in which it keeps a network."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeproof.core.errors import EdgeproofError, ModelError, UnknownNameError, UsageError, did_you_mean
from edgeproof.core.pytorch.program import batch_symbol, output_names
from edgeproof.core.pytorch.script import flat_outputs, script_inputs
from edgeproof.formats import Imported
from edgeproof.formats.graph import first_line, onnx_for
from edgeproof.formats.onnx import check_model
from edgeproof.formats.padding import keep_padding

if TYPE_CHECKING:
    import onnx

Shape = tuple[int | str, ...]
# The lowest that PyTorch's exporter writes, so that the most runtimes take it; TorchScript's knows one less.
_OPSET, _SCRIPT_OPSET = 18, 17
# A batch of 1 would be taken for a constant.
_BATCH = 2


def from_module(torch: Any, module: Any, shapes: Mapping[str, Shape] | None, source: str) -> Imported:
    """An nn.Module as ONNX, in evaluation mode, through torch.export; `shapes` as in `read`.

    Raises:
        UsageError, ModelError: as `read`; or its exported program doesn't answer as the module itself.
    """
    module = module.eval()
    parameters = inspect.signature(module.forward).parameters.values()
    needed = [one.name for one in parameters if one.default is one.empty and one.kind is not one.VAR_KEYWORD]
    examples = _examples(
        torch, _named(shapes, needed, [one.name for one in parameters], source), _dtype(torch, module)
    )
    free = {
        name: {0: torch.export.Dim("N")} if "N" in shape else None for name, (shape, _) in examples.items()
    }
    feeds = {name: values for name, (_, values) in examples.items()}
    with _quiet(f"{source} can't be exported"), torch.no_grad():
        wanted = flat_outputs(torch, module(**feeds))
        program = torch.export.export(module, (), feeds, dynamic_shapes=free if any(free.values()) else None)
        found = flat_outputs(torch, program.module()(**feeds))
    for one, other in zip(wanted.values(), found.values(), strict=True):
        # Above any rounding: dropout that stays on in evaluation, or another use of chance.
        if not torch.allclose(one, other, rtol=1e-3, atol=1e-4, equal_nan=True):
            raise ModelError(
                f"{source} answers the same input with different values.",
                hint="Make it deterministic in evaluation mode: no dropout or noise in forward().",
            )
    return from_program(torch, program, source, save_original=partial(_save, torch, program))


def _save(torch: Any, program: Any, path: Path) -> None:
    torch.export.save(program, path)


def from_program(
    torch: Any, program: Any, source: str, *, save_original: Callable[[Path], None] | None = None
) -> Imported:
    """An exported program as ONNX; see `read`."""
    names = list(program.graph_signature.user_inputs)
    with _quiet(f"{source} can't be turned into ONNX"):
        made = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            opset_version=_OPSET,
            input_names=names,
            output_names=output_names(program),
        ).model_proto
    if symbol := batch_symbol(program):
        _rename_size(made.graph, symbol, "N")
    return Imported(_finished(made, source), save_original=save_original)


def from_script(torch: Any, script: Any, shapes: Mapping[str, Shape] | None, source: str) -> Imported:
    """TorchScript as ONNX, by the exporter of its time: torch.export takes no ScriptModule."""
    names = script_inputs(script)
    examples = _examples(torch, _named(shapes, names, names, source), torch.float32)
    feeds = tuple(examples[name][1] for name in names)
    more = tuple(_larger(torch, *examples[name]) for name in names)
    buffer = io.BytesIO()
    with _quiet(f"{source} can't be turned into ONNX"), torch.no_grad():
        outputs = flat_outputs(torch, script(*feeds))
        free = {name: {0: "N"} for name, (shape, _) in examples.items() if "N" in shape}
        for name, one, other in zip(
            outputs, outputs.values(), flat_outputs(torch, script(*more)).values(), strict=True
        ):
            free[name] = {axis: "N" for axis, size in enumerate(one.shape) if size != other.shape[axis]}
        torch.onnx.export(
            script,
            feeds,
            buffer,
            dynamo=False,
            opset_version=_SCRIPT_OPSET,
            input_names=names,
            output_names=list(outputs),
            dynamic_axes={name: axes for name, axes in free.items() if axes},
        )
    onnx = onnx_for("Importing TorchScript")
    return Imported(_finished(onnx.load_model_from_string(buffer.getvalue()), source))


def _named(
    shapes: Mapping[str, Shape] | None, needed: Sequence[str], known: Sequence[str], source: str
) -> dict[str, Shape]:
    """The shapes by the names of forward()'s arguments, in its order."""
    given = dict(shapes or {})
    if set(given) == {"input"} and len(needed) == 1:
        given = {needed[0]: given["input"]}
    for name in given:
        if name not in known:
            raise UnknownNameError(f"{source} has no input {name!r}.", hint=did_you_mean(name, known))
    missing = [name for name in needed if name not in given]
    if missing:
        example = "1x3x224x224" if len(needed) == 1 else ",".join(f"{name}=1x3x224x224" for name in needed)
        raise UsageError(
            f"{source} doesn't tell the shape of its input {missing[0]!r}.",
            hint=f"Give it, the batch first (N for any): edgeproof import {source} --input-shape {example}",
        )
    return {name: given[name] for name in known if name in given}


def _dtype(torch: Any, module: Any) -> Any:
    """What a module computes in: the type of its weights."""
    floats = (weight.dtype for weight in module.parameters() if weight.dtype.is_floating_point)
    return next(floats, torch.float32)


def _examples(torch: Any, shapes: Mapping[str, Shape], dtype: Any) -> dict[str, tuple[Shape, Any]]:
    chance = torch.Generator().manual_seed(0)
    return {
        name: (
            shape,
            torch.rand([_BATCH if size == "N" else int(size) for size in shape], generator=chance).to(dtype),
        )
        for name, shape in shapes.items()
    }


def _larger(torch: Any, shape: Shape, values: Any) -> Any:
    return torch.cat([values, values[:1]]) if "N" in shape else values


@contextlib.contextmanager
def _quiet(what: str) -> Iterator[None]:
    """Silence PyTorch's exporters, and turn whatever they raise into a ModelError that begins with `what`.

    What they warn of is their own future (deprecated forms, torchvision's operators), nothing of the network.
    """
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    except EdgeproofError:
        raise
    except Exception as error:  # the network's own code runs in it, and may raise anything
        cause = error.__cause__ or error
        raise ModelError(
            f"{what}: {type(cause).__name__}: {first_line(cause) if isinstance(cause, Exception) else cause}.",
            hint="Check the input's shape. A network whose steps depend on its input's values can't be exported: "
            "https://docs.pytorch.org/docs/stable/export.html",
        ) from error
    finally:
        logger.setLevel(level)


def _rename_size(graph: onnx.GraphProto, symbol: str, name: str) -> None:
    word = re.compile(rf"\b{symbol}\b")
    for info in (*graph.input, *graph.output, *graph.value_info):
        for size in info.type.tensor_type.shape.dim:
            if size.dim_param:
                size.dim_param = word.sub(name, size.dim_param)


def _finished(model: onnx.ModelProto, source: str) -> onnx.ModelProto:
    """Without where each node came from in somebody's files; shapes inferred, checked."""
    onnx = onnx_for("Importing a PyTorch network")
    del model.metadata_props[:]
    for entry in (*model.graph.node, *model.graph.value_info, *model.graph.initializer, model.graph):
        entry.ClearField("metadata_props")
        if entry is not model.graph:
            entry.ClearField("doc_string")
    try:
        model = onnx.shape_inference.infer_shapes(model)
    except Exception as error:  # onnx's own InferenceError, or RuntimeError from its C++
        raise ModelError(
            f"{source}: the shapes inside it can't be inferred: {first_line(error)}.",
            hint="Report it with the network.",
        ) from error
    keep_padding(model)
    check_model(model, source)
    return model
