"""`python -m edgeproof.verify.reference_process`: runs one original for `edgeproof.verify.reference`.

A JSON line each way. The first request opens it, {"kind", "source", "architecture"}; each one after that names a file
of inputs and where the outputs go, {"given", "made"}. Every answer is {"error": what went wrong, or null}.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.core.tensor import Array
from edgeproof.formats.tensors import npz_bytes

_BYTES = 16 << 30
_INNER = "Exception encountered:"
Run = Callable[[dict[str, Array]], dict[str, Array]]


def _keras(source: str, architecture: Any) -> Run:
    keras: Any = importlib.import_module("keras")
    # The architecture comes from our own reader, so Keras takes nothing but numbers from the file.
    kind = keras.Sequential if architecture["class_name"] == "Sequential" else keras.Model
    model = kind.from_config(architecture["config"])
    model.load_weights(source)

    # A dict of tensors is flat in the order of its keys, which the file need not have: its layers have names.
    ins, outs = [tensor.name for tensor in model.inputs], getattr(model, "output_names", ())
    structure = getattr(model, "_inputs_struct", None)  # not public; a Sequential has none

    def run(feeds: dict[str, Array]) -> dict[str, Array]:
        given = [feeds[name] for name in (ins if set(ins) == set(feeds) else feeds)]
        packed = given[0] if structure is None else keras.tree.pack_sequence_as(structure, given)
        made = keras.tree.flatten(model(packed, training=False))
        names = outs if len(set(outs)) == len(made) else map(str, range(len(made)))
        return {name: keras.ops.convert_to_numpy(values) for name, values in zip(names, made, strict=True)}

    return run


def _savedmodel(source: str, _: Any) -> Run:
    tf: Any = importlib.import_module("tensorflow")
    loaded = tf.saved_model.load(source)
    served = loaded.signatures["serving_default"]
    specs = served.structured_input_signature[1]

    def run(feeds: dict[str, Array]) -> dict[str, Array]:
        named = feeds if set(specs) == set(feeds) else dict(zip(specs, feeds.values(), strict=True))
        made = served(**{name: tf.constant(named[name], spec.dtype) for name, spec in specs.items()})
        return {name: made[name].numpy() for name in sorted(made)}

    run.loaded = loaded  # type: ignore[attr-defined]  # its variables go with it
    return run


_OPEN = {"keras": _keras, "savedmodel": _savedmodel}


def _reason(error: Exception) -> str:
    lines = [text.strip() for text in str(error).splitlines() if text.strip()]
    inner = [text for text in lines if text.startswith(_INNER)]  # behind all of a layer's settings
    reason = (inner or lines or [type(error).__name__])[0]
    return reason.removeprefix(_INNER).strip().rstrip(".")[:300]


def main() -> None:
    """Answer requests until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not look like an answer
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_DATA, (_BYTES, _BYTES))
    run: Run | None = None
    for line in sys.stdin:
        request, why = json.loads(line), None
        try:
            if run is None:
                run = _OPEN[request["kind"]](request["source"], request["architecture"])
            else:
                with np.load(request["given"], allow_pickle=False) as stored:
                    feeds = dict(stored)
                Path(request["made"]).write_bytes(npz_bytes(run(feeds)))
        except Exception as error:  # these libraries raise what they like
            why = _reason(error)
        with contextlib.suppress(OSError):
            answers.write(json.dumps({"error": why}) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
