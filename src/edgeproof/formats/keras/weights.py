"""Which stored array is which weight of which layer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgeproof.core.errors import ModelError
from edgeproof.core.tensor import Array
from edgeproof.formats.keras.hdf5 import HDF5, Value
from edgeproof.formats.keras.network import Layer, Model
from edgeproof.formats.keras.schema import slots

_BESIDE = "Use the weights that were saved from this very architecture."


def fill_weights(model: Model, store: HDF5, file: str) -> None:
    """Give each layer its weights.

    Two forms are known: `layer_names` and `weight_names` (Keras 1 and 2, and .h5 of Keras 3), which is read in
    order as Keras does; and `layers/KIND_N/vars/M` (Keras 3, and .keras of Keras 2.12 and later).

    Raises:
        ModelError: a layer without its weights, or weights without a layer.
    """
    root = store.find(store.root, "model_weights") or store.root
    names = _texts(store.attributes(root), "layer_names")
    if names is not None:
        _by_order(model, store, root, names, file)
    elif any(part in store.members(root) for part in _CONTAINERS):
        _by_path(model, store, root, file)
    else:
        raise ModelError(f"{file} holds no weights of a Keras network.", hint=_BESIDE)


def _texts(attributes: dict[str, Value], name: str) -> list[str] | None:
    """A list of names, which Keras splits into name0, name1 .. where it would be over 64 KB."""
    if name in attributes:
        pieces = [attributes[name]]
    elif f"{name}0" in attributes:
        pieces = [attributes[f"{name}{n}"] for n in range(len(attributes)) if f"{name}{n}" in attributes]
    else:
        return None
    found: list[str] = []
    for piece in pieces:
        if isinstance(piece, str):
            found.append(piece)
        elif isinstance(piece, list):
            found.extend(piece)
        # An empty list is stored as an array of no numbers.
    return found


def _order(layer: Layer) -> Iterator[tuple[Layer, str, bool]]:
    """The weights of a layer and of the layers in it, and whether training moves each."""
    if layer.inner is not None:
        for each in layer.inner.layers:
            yield from _order(each)
        return
    moving, fixed = slots(layer)
    frozen = layer.settings.table.get("trainable") is False
    yield from ((layer, slot, not frozen) for slot in moving)
    yield from ((layer, slot, False) for slot in fixed)


def _by_order(model: Model, store: HDF5, root: int, names: list[str], file: str) -> None:
    stored = []
    for name in names:
        group = store.find(root, name)
        paths = _texts(store.attributes(group), "weight_names") if group is not None else None
        if group is None or paths is None:
            raise ModelError(f"{file} names the layer {name[:60]!r}, but doesn't hold it.", hint=_BESIDE)
        if paths:
            stored.append((name, group, paths))
    layers = [layer for layer in model.layers if any(True for _ in _order(layer))]
    if len(layers) != len(stored):
        raise ModelError(
            f"{file} has weights for {len(stored)} layers, and its architecture has {len(layers)} that take some.",
            hint=_BESIDE,
        )
    for layer, (name, group, paths) in zip(layers, stored, strict=True):
        wanted = list(_order(layer))
        # Keras stores what training moves first: for a model inside, over all of its layers.
        wanted = [each for each in wanted if each[2]] + [each for each in wanted if not each[2]]
        if len(wanted) != len(paths):
            raise layer.settings.error(
                f"takes {len(wanted)} weights, and the file has {len(paths)} for {name[:60]!r}", _BESIDE
            )
        for (owner, slot, _), path in zip(wanted, paths, strict=True):
            _put(owner, slot, store, store.find(group, path), path)


_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")


def _by_path(model: Model, store: HDF5, group: int, file: str) -> None:
    held = next((part for part in _CONTAINERS if part in store.members(group)), None)
    counts: dict[str, int] = {}
    for layer in model.layers:
        kind = _snake_case(layer.kind)
        number = counts.get(kind, 0)
        counts[kind] = number + 1
        wanted = list(_order(layer))
        if not wanted:
            continue
        name = f"{kind}_{number}" if number else kind
        place = store.find(group, f"{held}/{name}") if held else None
        if place is None:
            raise layer.settings.error(f"has no weights: the file doesn't hold {name!r}", _BESIDE)
        if layer.inner is not None:
            _by_path(layer.inner, store, place, file)
            continue
        for index, (owner, slot, _) in enumerate(wanted):
            _put(owner, slot, store, store.find(place, f"vars/{index}"), f"{name}/vars/{index}")


def _snake_case(kind: str) -> str:
    kind = re.sub(r"\W+", "", kind)
    kind = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", kind)
    return re.sub("([a-z])([A-Z])", r"\1_\2", kind).lower()


def _put(layer: Layer, slot: str, store: HDF5, header: int | None, path: str) -> None:
    if header is None:
        raise layer.settings.error(f"has no {slot}: the file doesn't hold {path[:100]!r}", _BESIDE)
    values: Array = store.array(header)
    if values.dtype.kind not in "fiu":
        raise layer.settings.error(f"has the {slot} as {values.dtype}, not as numbers")
    layer.weights[slot] = values
