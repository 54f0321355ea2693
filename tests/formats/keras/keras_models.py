"""Small Keras models: an architecture as Keras writes it, weights in its order, and the answers of the ONNX form."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime

from edgeproof.formats import Imported
from edgeproof.formats.keras import translate
from edgeproof.formats.keras.layers import LAYERS
from edgeproof.formats.keras.network import read_architecture
from edgeproof.formats.keras.run import check_known
from edgeproof.formats.keras.schema import slots


def layer(kind: str, name: str = "", calls: list[Any] | None = None, **config: Any) -> dict[str, Any]:
    """A layer's entry; `calls` name the layers that it takes, one list for each call."""
    name = name or kind.lower()
    nodes = [[[each, 0, 0, {}] if isinstance(each, str) else each for each in call] for call in calls or []]
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}


def sequential(shape: tuple[int | None, ...], *layers: dict[str, Any]) -> dict[str, Any]:
    """A Sequential of Keras 2."""
    first = layer("InputLayer", "x", batch_input_shape=[None, *shape])
    return {"class_name": "Sequential", "config": {"name": "s", "layers": [first, *layers]}}


def functional(layers: list[dict[str, Any]], inputs: list[str], outputs: list[str]) -> dict[str, Any]:
    """A functional model of Keras 2."""
    ends = {
        side: [[name, 0, 0] for name in names]
        for side, names in (("input_layers", inputs), ("output_layers", outputs))
    }
    return {"class_name": "Model", "config": {"name": "m", "layers": layers, **ends}}


def imported(architecture: dict[str, Any], weights: list[Any] | None = None, keras: int = 2) -> Imported:
    """A model as ONNX, its weights given layer by layer."""
    model = read_architecture(architecture, "net.h5")
    check_known(model, LAYERS)
    left = list(weights or [])
    for each in model.walk():
        if each.inner is None:
            moving, fixed = slots(each)
            for slot in moving + fixed:
                each.weights[slot] = np.asarray(left.pop(0), np.float32)
    assert not left
    return translate(model, "net.h5", keras, 1 << 16)


def answers(network: Imported, *inputs: Any) -> list[np.ndarray[Any, Any]]:
    """What ONNX Runtime answers."""
    session = onnxruntime.InferenceSession(
        network.model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [each.name for each in session.get_inputs()]
    found: list[np.ndarray[Any, Any]] = session.run(None, dict(zip(names, inputs, strict=True)))
    return found


def answer(architecture: dict[str, Any], value: Any, weights: list[Any] | None = None, keras: int = 2) -> Any:
    """The one answer of a model with one input."""
    return answers(imported(architecture, weights, keras), np.asarray(value, np.float32))[0]
