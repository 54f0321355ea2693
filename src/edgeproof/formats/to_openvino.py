"""ONNX to OpenVINO's own format, the IR: an .xml with its .bin beside it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from edgeproof.core.errors import ModelError
from edgeproof.core.extras import require_openvino
from edgeproof.core.files import storage_error
from edgeproof.formats.onnx import save_model

if TYPE_CHECKING:
    import onnx


def write(model: onnx.ModelProto, path: Path) -> tuple[str, ...]:
    """Write a network as IR, its weights in the precision that they have; gives notes, here none.

    Arguments:
        model: the network, all in one piece.
        path: of the .xml; the .bin comes beside it. Either both are there in the end, or what was there before.

    Raises:
        ModelError: OpenVINO can't read it; `edgeproof.formats.support` says which nodes it is.
        MissingExtraError: openvino is not installed.
        StorageError: disk full, or no permission.
    """
    openvino = require_openvino("Exporting to OpenVINO")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".edgeproof-", dir=path.parent) as folder:
            source, made = Path(folder) / "model.onnx", Path(folder) / "model.xml"
            save_model(model, source)
            _convert(openvino, source, made)
            # The weights first: an .xml whose .bin isn't there yet can't be opened.
            made.with_suffix(".bin").replace(path.with_suffix(".bin"))
            made.replace(path)
    except OSError as error:
        raise storage_error(path, error) from error
    return ()


def _convert(openvino: ModuleType, source: Path, made: Path) -> None:
    try:
        # Not openvino.convert_model: for an ONNX file it does the same, and reports to a statistics server.
        openvino.save_model(openvino.Core().read_model(str(source)), str(made), compress_to_fp16=False)
    except Exception as error:  # RuntimeError mostly; its frontends let others through
        raise ModelError(
            f"OpenVINO can't read the network: {openvino_reason(error)}.",
            hint="Ask which nodes it is: edgeproof ops MODEL --for openvino",
        ) from error


def openvino_reason(error: Exception) -> str:
    """The last line of OpenVINO's message, without its full stop: above it stand places in its own source."""
    lines = [line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
