"""The architecture in a Keras file: layers and what each call of them takes, models inside models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from edgeproof.core.errors import ModelError
from edgeproof.core.tensor import Array
from edgeproof.formats.keras.settings import AGAIN, Settings

MODELS = ("Functional", "Model", "Sequential")
_MOST_LAYERS, _MOST_DEPTH, _MOST_CALLS = 20_000, 16, 100_000
_FRESH = "Build the network with the functional API or Sequential, and save it again."


@dataclass(frozen=True)
class Ref:
    """The `tensor`-th output of the `call`-th call of a layer."""

    layer: str
    call: int
    tensor: int


# What a call takes: what another call made, or a number that stands in the file.
Argument = Ref | float | list[float]


@dataclass
class Layer:
    """One layer of a model.

    Attributes:
        name: its own, in its model.
        kind: its class in Keras.
        settings: its `config`.
        calls: the arguments of each call, in order; empty for the layers of a Sequential.
        inner: the model that it is, for the kinds of `MODELS`.
        weights: its stored values by what they are for; filled by `weights.py`.
    """

    name: str
    kind: str
    settings: Settings
    calls: list[list[Argument]] = field(default_factory=list)
    inner: Model | None = None
    weights: dict[str, Array] = field(default_factory=dict)


@dataclass
class Model:
    """A model: its layers, and what goes in and comes out; `sequential`: each takes what the one before it made."""

    name: str
    layers: list[Layer]
    inputs: list[Ref]
    outputs: list[Ref]
    sequential: bool

    def walk(self) -> Iterator[Layer]:
        """Every layer, those of models inside too."""
        for layer in self.layers:
            yield layer
            if layer.inner is not None:
                yield from layer.inner.walk()


def read_architecture(architecture: Any, file: str) -> Model:
    """The model that a parsed JSON architecture describes.

    Raises:
        ModelError: it describes none, or one that Python code makes up (a subclass of Model).
    """
    if not isinstance(architecture, dict) or "class_name" not in architecture:
        raise ModelError(f"{file} holds no Keras architecture.", hint=AGAIN)
    kind = architecture["class_name"]
    if kind not in MODELS:
        raise ModelError(
            f"{file} is a {str(kind)[:60]!r}, a model that Python code makes up: its layers aren't in the file.",
            hint=_FRESH,
        )
    return _model(architecture, file, 0)


def _model(entry: dict[str, Any], file: str, depth: int) -> Model:
    if depth > _MOST_DEPTH:
        raise ModelError(f"{file} has models inside models {depth} deep.", hint=AGAIN)
    config = entry.get("config")
    if isinstance(config, list):  # Sequential before Keras 2.2.3
        config = {"layers": config}
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        raise ModelError(
            f"{file}: the model {str(entry.get('class_name'))[:60]!r} has no list of layers.", hint=_FRESH
        )
    if len(config["layers"]) > _MOST_LAYERS:
        raise ModelError(
            f"{file} has {len(config['layers'])} layers.", hint=f"At most {_MOST_LAYERS} are read."
        )
    sequential = entry["class_name"] == "Sequential"
    name = str(config.get("name", "model"))[:200]
    layers = [_layer(each, file, depth) for each in config["layers"]]
    (double, count), *_ = Counter(layer.name for layer in layers).most_common(1) or [("", 0)]
    if count > 1:
        raise ModelError(f"{file}: two layers of {name!r} are called {double[:60]!r}.", hint=AGAIN)
    if sequential:
        return Model(name, _with_input(config, layers, file), [], [], True)
    inputs, outputs = (
        _refs(config.get(side), f"{file}: {side}") for side in ("input_layers", "output_layers")
    )
    if not inputs or not outputs:
        raise ModelError(f"{file}: the model {name!r} has no inputs or no outputs.", hint=_FRESH)
    return Model(name, layers, inputs, outputs, False)


def _layer(entry: Any, file: str, depth: int) -> Layer:
    if not isinstance(entry, dict) or not isinstance(entry.get("class_name"), str):
        raise ModelError(f"{file}: an entry of its layers describes no layer.", hint=AGAIN)
    kind = _clean(entry["class_name"])
    # A class of the user's own is written as PACKAGE>NAME.
    config = entry.get("config", {})
    name = entry.get("name") or (config.get("name") if isinstance(config, dict) else None) or kind
    where = f"{file}: layer {str(name)[:60]!r} ({kind[:60]})"
    inner = _model(entry, file, depth + 1) if kind in MODELS else None
    if not isinstance(config, dict):
        config = {}
    settings = Settings(config, where)
    # Keras calls its preprocessing layers with training = True, to no effect; of these two it is meant.
    ignored = () if kind == "BatchNormalization" or "Dropout" in kind else ("training",)
    nodes = entry.get("inbound_nodes", [])
    if not isinstance(nodes, list) or len(nodes) > _MOST_CALLS:
        raise settings.error("has calls that can't be read")
    return Layer(_clean(str(name)), kind, settings, [_call(node, settings, ignored) for node in nodes], inner)


def _with_input(config: dict[str, Any], layers: list[Layer], file: str) -> list[Layer]:
    """The layers of a Sequential, which may leave its InputLayer out."""
    if layers and layers[0].kind == "InputLayer":
        return layers
    if not layers:
        raise ModelError(f"{file}: a Sequential has no layers.", hint=_FRESH)
    first = layers[0]
    if first.inner is not None:
        return layers  # the model inside says it
    table = first.settings.table
    shape = table.get("batch_input_shape") or table.get("batch_shape") or config.get("build_input_shape")
    shown = {"batch_shape": shape, "dtype": "float32"}
    return [Layer("input", "InputLayer", Settings(shown, f"{file}: the input of a Sequential")), *layers]


def _refs(value: Any, where: str) -> list[Ref]:
    """The tensors named by [layer, call, tensor], alone or in lists and tables of any depth."""
    found: list[Ref] = []
    waiting = [value]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, dict):
            waiting.extend(reversed(entry.values()))
        elif isinstance(entry, list) and entry and isinstance(entry[0], str):
            found.append(_ref(entry, where))
        elif isinstance(entry, list):
            waiting.extend(reversed(entry))
        else:
            raise ModelError(f"{where} can't be read.", hint=AGAIN)
    return found


def _ref(entry: list[Any], where: str) -> Ref:
    if len(entry) < 3 or not all(isinstance(number, int) for number in entry[1:3]):
        raise ModelError(f"{where} names a tensor in a way that can't be read.", hint=AGAIN)
    return Ref(_clean(entry[0]), int(entry[1]), int(entry[2]))


def _clean(name: str) -> str:
    """A name that any encoding takes: JSON can hold halves of characters (lone surrogates)."""
    return name.encode("utf-8", errors="replace").decode()


def _call(node: Any, settings: Settings, ignored: tuple[str, ...]) -> list[Argument]:
    """What one call takes, in order. Keras 3: {"args", "kwargs"}; before: [[layer, call, tensor, kwargs], ...]."""
    found: list[Argument] = []
    if isinstance(node, dict):
        _arguments(
            [node.get("args", []), _kwargs(node.get("kwargs", {}), settings, ignored)], found, settings
        )
        return found
    if not isinstance(node, list):
        raise settings.error("has a call that can't be read")
    for entry in [node] if node and isinstance(node[0], str) else node:
        if not isinstance(entry, list) or len(entry) < 3 or not isinstance(entry[0], str):
            raise settings.error("has a call that can't be read")
        if entry[0] == "_CONSTANT_VALUE":
            _arguments([entry[2]], found, settings)
        else:
            found.append(_ref(entry, settings.where))
        _arguments([_kwargs(entry[3] if len(entry) > 3 else {}, settings, ignored)], found, settings)
    return found


def _kwargs(table: Any, settings: Settings, ignored: tuple[str, ...]) -> list[Any]:
    """What is given by name: the second operand of an operation; the rest must not matter."""
    if not isinstance(table, dict):
        raise settings.error("has a call that can't be read")
    for name, value in table.items():
        if name not in ("y", "x2", "name", *ignored) and value is not None and value is not False:
            raise settings.error(
                f"is called with {str(name)[:60]} = {str(value)[:60]}, which isn't read",
                "Build the network without it, and save it again.",
            )
    return [table[name] for name in ("y", "x2") if table.get(name) is not None]


def _arguments(given: Any, found: list[Argument], settings: Settings) -> None:
    waiting = [given]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, dict) and entry.get("class_name") == "__keras_tensor__":
            config = entry.get("config")
            history = config.get("keras_history") if isinstance(config, dict) else None
            if not isinstance(history, list) or not history or not isinstance(history[0], str):
                raise settings.error("has a call that can't be read")
            found.append(_ref(history, settings.where))
        elif isinstance(entry, list) and entry and isinstance(entry[0], str):
            found.append(_ref(entry, settings.where))
        elif isinstance(entry, list):
            waiting.extend(reversed(entry))
        elif isinstance(entry, int | float) and not isinstance(entry, bool):
            found.append(float(entry))
        elif entry is not None:
            raise settings.error(
                f"is called with {str(entry)[:60]!r}, which isn't read", "Save the network without it."
            )
