"""Reading PyTorch: a module that the user's own code makes, exported programs, TorchScript, known weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edgeproof.core.errors import ModelError, UsageError
from edgeproof.core.extras import require
from edgeproof.core.pytorch.archive import read_members
from edgeproof.core.pytorch.program import load_program
from edgeproof.core.pytorch.script import is_script, load_script
from edgeproof.core.pytorch.weights import load_weights
from edgeproof.formats import Imported, is_factory
from edgeproof.formats.graph import onnx_for
from edgeproof.formats.pytorch.convert import Shape, from_module, from_program, from_script
from edgeproof.formats.pytorch.factory import call_factory
from edgeproof.formats.pytorch.ir_backbone import ir_backbone, is_ir_backbone
from edgeproof.formats.pytorch.retinaface import is_retinaface, retinaface

_FACES = (1, 3, 640, 640)


def read(source: Path, *, input_shape: Mapping[str, Shape] | None = None) -> Imported:
    """Read a PyTorch network into ONNX.

    Arguments:
        source: `package.module:factory`, whose code is run; or a .pt2, TorchScript or state-dict file, in which nothing
            is (see `edgeproof.core.pytorch`).
        input_shape: the shape of each input by name, the batch first, "N" for any; "input" stands for the only one.
            Needed for factories and TorchScript.

    Raises:
        NotFoundError, StorageError: a file isn't there, or can't be read.
        UsageError: a shape is missing, or given for a file that tells its own; no such factory.
        ModelError: damaged, holds Python objects, has weights only, or can't be exported.
        MissingExtraError: torch, onnxscript or onnx is not installed.
    """
    onnx_for("Importing a PyTorch network")
    require("onnxscript", extra="torch", purpose="Importing a PyTorch network")
    torch = require("torch", extra="torch", purpose="Importing a PyTorch network")
    if is_factory(source):
        return from_module(torch, call_factory(torch, str(source)), input_shape, str(source))
    members = read_members(source)
    if source.suffix.lower() == ".pt2":
        if input_shape:
            raise UsageError(f"{source} has its own input shapes.", hint="Leave --input-shape out.")
        return from_program(torch, load_program(torch, source, members), str(source))
    if is_script(members):
        assert members is not None
        return from_script(torch, load_script(torch, source, members), input_shape, str(source))
    weights = load_weights(torch, source, members)
    found = _tensors(torch, weights)
    if is_retinaface(found):
        network = retinaface(torch, found, str(source))
        made = from_module(torch, network, input_shape or {"input": _FACES}, str(source))
        return replace(made, notes=(f"RetinaFace, known by its weights: {network.description}.",))
    if is_ir_backbone(found):
        network = ir_backbone(torch, found, str(source))
        made = from_module(
            torch, network, input_shape or {"input": ("N", 3, network.side, network.side)}, str(source)
        )
        return replace(made, notes=(f"An IR backbone, known by its weights: {network.description}.",))
    raise _weights_only(source, found)


def _tensors(torch: object, value: object) -> dict[str, object]:
    """The tensors of a state dict by name, also where a checkpoint keeps it beside other things."""
    if not isinstance(value, Mapping):
        return {}
    inner = next(
        (value[key] for key in ("state_dict", "model", "net") if isinstance(value.get(key), Mapping)), value
    )
    tensors = {str(name): one for name, one in inner.items() if isinstance(one, torch.Tensor)}  # type: ignore[attr-defined]
    # DataParallel writes its own name before each.
    return {name.removeprefix("module."): one for name, one in tensors.items()}


def _weights_only(source: Path, tensors: dict[str, object]) -> ModelError:
    if not tensors:
        return ModelError(
            f"{source} holds no network and no state dict.",
            hint="Give an exported program (.pt2), TorchScript, or package.module:factory.",
        )
    return ModelError(
        f"{source} holds weights only ({len(tensors)} tensors, the first: {next(iter(tensors))}); "
        "the network's code is needed.",
        hint="Write a function that builds the network and loads them, say in net.py, and import net:build "
        "--input-shape 1x3x224x224:\n"
        "  def build():\n"
        f"      m = Net(); m.load_state_dict(torch.load({source.name!r}, weights_only=True)); return m",
    )
