"""Weights alone: state dicts (.pt, .pth), as a zip archive or as the pickle of before PyTorch 1.6."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

from edgeproof.core.errors import ModelError
from edgeproof.core.files import storage_error
from edgeproof.core.pytorch.archive import AGAIN, pack_members

_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")


def load_weights(torch: Any, path: Path, members: dict[str, bytes] | None) -> Any:
    """What `torch.load` finds, read by its restricted unpickler (weights_only): tensors and plain containers.

    Arguments:
        torch: the library.
        path: the file.
        members: what is in it where it is an archive (`read_members`); None for a pickle.

    Raises:
        ModelError: damaged, no file of PyTorch's, or it asks for any Python object beside tensors, which is named.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source = path if members is None else pack_members(members)
            return torch.load(source, map_location="cpu", weights_only=True)
    except OSError as error:
        raise storage_error(path, error) from error
    except (
        Exception
    ) as error:  # UnpicklingError, RuntimeError, and whatever damaged bytes lead its unpickler to
        wanted = _GLOBAL.search(str(error))
        if wanted:
            raise ModelError(
                f"{path} asks for the Python object {wanted[1]} beside its tensors; nothing of it was run.",
                hint="Where you trust the file, load it yourself and save its tensors: "
                "torch.save(model.state_dict(), FILE).",
            ) from error
        raise ModelError(f"{path} is no file of PyTorch's, or it is damaged.", hint=AGAIN) from error
