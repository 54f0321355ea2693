"""TorchScript: a network with its program, in a language of PyTorch's own."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

from edgeproof.core.errors import ModelError
from edgeproof.core.pytorch.archive import AGAIN, pack_members

# The language has no imports, no attributes by name and none of Python's functions; of the operators registered in
# PyTorch these read or write files (torch._C._jit_get_all_schemas(), every one with a file's name as an argument).
_FILES = re.compile(rb"\b(save|from_file|load_tensor)\b")
_CLASSES = re.compile(rb"torch\.classes\.(?!quantized\.|xnnpack\.|mkldnn\.)([\w.]+)")


def is_script(members: dict[str, bytes] | None) -> bool:
    """Whether an archive is TorchScript: it has code beside its constants."""
    return members is not None and "constants.pkl" in members and any(n.startswith("code/") for n in members)


def load_script(torch: Any, path: Path, members: dict[str, bytes]) -> Any:
    """The ScriptModule in an archive, on the processor, in evaluation mode.

    torch.jit.load compiles the archive's code for PyTorch's own interpreter, and its objects come from PyTorch's
    C++ unpickler, which makes tensors, plain containers and the archive's own classes, never a Python object. A
    class may have a program that runs while it is loaded, so what could touch files is looked for before.

    Raises:
        ModelError: damaged, or its program reads or writes files.
    """
    for name, text in members.items():
        if name.startswith("code/") and name.endswith(".py"):
            found = _FILES.search(text) or _CLASSES.search(text)
            if found:
                raise ModelError(
                    f"{path}: its program ({name}) uses {found[1].decode()!r}, with which it could touch files.",
                    hint="A network needs no such thing. Rename it where it is an attribute of your own, or remove it.",
                )
    # The archive's debug symbols are pickles too, only used in messages.
    kept = {name: data for name, data in members.items() if not name.endswith(".debug_pkl")}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated: the files stay
            return torch.jit.load(pack_members(kept), map_location="cpu").eval()
    except Exception as error:  # RuntimeError mostly, and what the C++ unpickler raises otherwise
        raise ModelError(f"{path} can't be loaded by TorchScript: {_reason(error)}.", hint=AGAIN) from error


def _reason(error: Exception) -> str:
    lines = (line.strip().rstrip(".") for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)[:300]


def script_inputs(script: Any) -> list[str]:
    """The names of the tensors that a ScriptModule's forward() needs.

    Raises:
        ModelError: it has no forward(), or needs something else than tensors.
    """
    schema = getattr(getattr(script, "forward", None), "schema", None)
    if schema is None:
        raise ModelError(
            "The TorchScript has no forward().",
            hint="Save a whole network: torch.jit.script(model).save(FILE)",
        )
    needed = [one for one in schema.arguments[1:] if not one.has_default_value()]
    for one in needed:
        if str(one.type) != "Tensor":
            raise ModelError(
                f"The TorchScript's input {one.name!r} is of the type {one.type}.",
                hint="Only tensors can be given: wrap the network in one whose forward() takes tensors.",
            )
    return [one.name for one in needed]


def flat_outputs(torch: Any, value: Any) -> dict[str, Any]:
    """A network's answer as tensors by name: a dict's keys, else `output`, or `output_0` and so on.

    Raises:
        ModelError: there is something else than tensors in it.
    """
    if isinstance(value, torch.Tensor):
        return {"output": value}
    if isinstance(value, dict) and all(isinstance(one, torch.Tensor) for one in value.values()):
        return {str(name): one for name, one in value.items()}
    flat = torch.utils._pytree.tree_leaves(value)
    if not flat or not all(isinstance(one, torch.Tensor) for one in flat):
        kinds = ", ".join(sorted({type(one).__name__ for one in flat})) or "nothing"
        raise ModelError(
            f"The network answers {kinds}.", hint="Let forward() return tensors, a tuple or a dict of them."
        )
    return {f"output_{place}": one for place, one in enumerate(flat)}
