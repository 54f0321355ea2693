"""ONNX to ncnn: a .param with its .bin beside it, made by pnnx, ncnn's own converter (BSD-3-Clause).

pnnx is a program: it runs as a child process in a folder of its own, with a time limit, and nothing of the Python that
it also writes is run. What it is known to get wrong without a word is refused before it is asked.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgeproof.core.extras import require
from edgeproof.core.files import storage_error
from edgeproof.formats.to_ncnn.convert import converter, run_converter
from edgeproof.formats.to_ncnn.prepare import prepare
from edgeproof.formats.to_ncnn.refuse import refused
from edgeproof.formats.to_ncnn.rewrite import rewrite_param, unknown_layers

if TYPE_CHECKING:
    import onnx

_BATCH = "ncnn has no batch axis: the rows of a batch run one after another."


def write(model: onnx.ModelProto, path: Path) -> tuple[str, ...]:
    """Write a network for ncnn, its weights in float32; gives notes.

    Arguments:
        model: the network, all in one piece: float32 in and out, every size but the batch fixed.
        path: of the .param; the .bin comes beside it. Either both are there in the end, or what was there before.

    Raises:
        ModelError: naming every node that can't be taken, and what can be done.
        MissingExtraError: onnx, ncnn or pnnx is not installed.
        StorageError: disk full, or no permission.
    """
    library = require("ncnn", extra="to-ncnn", purpose="Exporting to ncnn")
    program = converter()
    prepared = prepare(model)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".edgeproof-", dir=path.parent) as folder:
            made = run_converter(program, prepared, Path(folder))
            text = made.param.read_text(encoding="utf-8")
            if missing := unknown_layers(
                text, prepared, lambda kind: bool(library.layer_to_index(kind) >= 0)
            ):
                raise refused(missing)
            made.param.write_text(rewrite_param(text, made, prepared), encoding="utf-8")
            # The weights first: a .param whose .bin isn't there yet can't be opened.
            made.weights.replace(path.with_suffix(".bin"))
            made.param.replace(path)
    except OSError as error:
        raise storage_error(path, error) from error
    return (_BATCH, *prepared.notes)
