"""The architecture in a Keras file made safe for Keras itself, which a copy is compared with."""

from __future__ import annotations

import re
from collections.abc import Container
from pathlib import Path
from typing import Any

from edgeproof.core.errors import ModelError
from edgeproof.formats.keras.network import MODELS
from edgeproof.formats.keras.source import open_source

# Where Keras keeps what a network is made of. It imports any module that a file names, and its own (keras.utils)
# can fetch and unpack files.
_MODULES = re.compile(
    r"keras(\.src)?\.(activations|constraints|dtype_policies|initializers|layers|models|ops|regularizers)(\.\w+)*"
)
_CODE = frozenset({"Lambda", "__lambda__", "function"})
_SHORT = frozenset({"mixed_float16", "mixed_bfloat16", "float16", "bfloat16"})
_OF_KERAS = frozenset({*MODELS, "DTypePolicy"})
# Kinds that Keras 2 wrote an argument for which Keras 3 doesn't know.
_UNGROUPED = frozenset({"Conv1DTranspose", "Conv2DTranspose", "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D",
                        "SeparableConv2D"})  # fmt: skip


def architecture_to_run(path: Path) -> Any:
    """The architecture of a file as Keras takes it, every layer in float32, as the copy computes.

    Raises:
        NotFoundError, StorageError: a file isn't there, or can't be read.
        ModelError: damaged; or it names code, which is not run, or a module that is no part of a network.
    """
    source = open_source(path)
    waiting = [source.architecture]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, dict):
            if source.keras < 3:
                _bring_up(entry)
            _check_entry(entry, path)
            for key in ("dtype", "dtype_policy"):
                if key in entry:
                    entry[key] = _in_float32(entry[key])
            waiting.extend(entry.values())
        elif isinstance(entry, list):
            waiting.extend(entry)
    return source.architecture


def _bring_up(entry: dict[str, Any]) -> None:
    """Take out what Keras 3 trips over in an entry of Keras 2: modules that are gone, an argument with one value."""
    kind = entry.get("class_name")
    if not isinstance(kind, str):
        return
    for key in ("module", "registered_name", "build_config"):  # classes are found by their names alone
        entry.pop(key, None)
    config = entry.get("config")
    if kind in _UNGROUPED and isinstance(config, dict) and config.get("groups") == 1:
        del config["groups"]
    if kind in MODELS and isinstance(config, dict) and "output_layers" in config:
        _count_from_0(config)


def _count_from_0(config: dict[str, Any]) -> None:
    """Count the calls of models inside from 0: Keras 2 counts the one that built them, Keras 3 only at the outputs."""
    found = config.get("layers")
    layers = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    kinds = {str(each.get("name")): each["class_name"] for each in layers if each.get("class_name") in MODELS}
    taken = _calls_of([each.get("inbound_nodes") for each in layers], kinds)
    outputs = _calls_of(config["output_layers"], kinds)
    built = {call[0] for call in (*taken, *outputs)} - {call[0] for call in (*taken, *outputs) if call[1] < 1}
    for call in taken:
        call[1] -= call[0] in built
    for call in outputs:
        call[1] -= call[0] in built and kinds[call[0]] == "Sequential"


def _calls_of(value: Any, names: Container[str]) -> list[list[Any]]:
    """Each [layer, call, tensor, ...] of one of these layers, in lists and tables of any depth."""
    found, waiting = [], [value]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, list) and len(entry) > 2 and isinstance(entry[0], str) and type(entry[1]) is int:
            found.extend([entry] if entry[0] in names else [])
        elif isinstance(entry, list | dict):
            waiting.extend(entry.values() if isinstance(entry, dict) else entry)
    return found


def _check_entry(entry: dict[str, Any], path: Path) -> None:
    kind, module = entry.get("class_name"), entry.get("module")
    if isinstance(kind, str) and kind.rpartition(">")[2] in _CODE:
        raise ModelError(
            f"{path} has a Lambda layer, which is code that is not run."
            if "ambda" in kind
            else f"{path} names a Python function, which is code that is not run.",
            hint="Compare some answers with the program it came from.",
        )
    known = (
        module is None or _MODULES.fullmatch(str(module)) or (module == "keras" and str(kind) in _OF_KERAS)
    )
    if "class_name" in entry and not known:
        raise ModelError(
            f"{path} names the Python module {str(module)[:60]!r}, which is no part of a network and is not loaded.",
            hint="Compare some answers with the program it came from.",
        )


def _in_float32(policy: Any) -> Any:
    if isinstance(policy, dict):
        config = policy.get("config")
        policy_name = config.get("name") if isinstance(config, dict) else None
        return "float32" if isinstance(policy_name, str) and policy_name in _SHORT else policy
    return "float32" if isinstance(policy, str) and policy in _SHORT else policy
