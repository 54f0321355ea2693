"""Going through the layers of a model in an order in which each finds what it takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edgeproof.core.errors import ModelError, did_you_mean
from edgeproof.formats.graph import first_line
from edgeproof.formats.keras.graph import Builder, Value, constant
from edgeproof.formats.keras.network import Argument, Layer, Model, Ref
from edgeproof.formats.keras.settings import AGAIN

Translator = Callable[[Builder, Layer, Sequence[Value]], Value]
_REPLACE = "Else end the network before it, or replace it by layers that are known, and save it again."


def check_known(model: Model, known: Mapping[str, Translator]) -> None:
    """Refuse a network with a layer that isn't read, before anything is done.

    Raises:
        ModelError: naming the layers, and what can be done.
    """
    unknown = [
        layer
        for layer in model.walk()
        if layer.kind not in known and layer.inner is None and layer.kind != "InputLayer"
    ]
    if not unknown:
        return
    first = unknown[0]
    others = ", ".join(dict.fromkeys(f"{layer.name[:60]} ({layer.kind[:60]})" for layer in unknown[1:6]))
    raise first.settings.error(
        "is of a kind that can't be read" + (f"; nor can {others}" if others else ""),
        f"{did_you_mean(first.kind[:60], known)} {_REPLACE}",
    )


def run_model(
    builder: Builder, model: Model, inputs: Sequence[Value], layers: Mapping[str, Translator]
) -> list[Value]:
    """Write the nodes of a model, given its inputs; gives its outputs.

    Raises:
        ModelError: a layer that doesn't fit what it takes, or layers that wait for each other.
    """
    if model.sequential:
        value = list(inputs)
        for layer in model.layers:
            if layer.kind != "InputLayer":
                value = _apply(builder, layer, value, layers)
        return value
    if len(inputs) != len(model.inputs):
        raise builder.error(f"takes {len(model.inputs)} inputs, and gets {len(inputs)}")
    made = dict(zip(model.inputs, inputs, strict=True))
    first = _first_numbers(model) if builder.keras < 3 else {}
    calls = [
        _Call(layer, number, call)
        for layer in model.layers
        if layer.kind != "InputLayer"
        for number, call in enumerate(layer.calls, start=first.get(layer.name, 0))
    ]
    _check_named(builder, model, calls)
    takers: dict[Ref, list[_Call]] = {}
    for each in calls:
        missing = {ref for ref in each.arguments if isinstance(ref, Ref) and ref not in made}
        each.missing = len(missing)
        for ref in missing:
            takers.setdefault(ref, []).append(each)
    ready = deque(each for each in calls if not each.missing)
    while ready:
        each = ready.popleft()
        taken = [made[entry] if isinstance(entry, Ref) else constant(entry) for entry in each.arguments]
        for place, answer in enumerate(_apply(builder, each.layer, taken, layers)):
            ref = Ref(each.layer.name, each.number, place)
            made[ref] = answer
            for taker in takers.get(ref, ()):
                taker.missing -= 1
                if not taker.missing:
                    ready.append(taker)
    stuck = next((each for each in calls if each.missing), None)
    if stuck is not None:
        raise stuck.layer.settings.error(
            "waits for a tensor that isn't made before it: the layers form a cycle, or it has no such output"
        )
    outputs = _outputs(model, builder.keras)
    lost = [ref for ref in outputs if ref not in made]
    if lost:
        raise ModelError(
            f"{builder.file}: nothing makes the output {lost[0].layer[:60]!r} of {model.name[:60]!r}.",
            hint=AGAIN,
        )
    return [made[ref] for ref in outputs]


@dataclass(eq=False)
class _Call:
    """The `number`-th call of a layer, and how many of the tensors it takes aren't there yet."""

    layer: Layer
    number: int
    arguments: list[Argument]
    missing: int = 0


def _first_numbers(model: Model) -> dict[str, int]:
    """The models inside whose calls are counted from 1: Keras 2.2 to 2.15 counts the one that built them as 0."""
    inner = {
        layer.name: len(layer.calls) for layer in model.layers if layer.inner is not None and layer.calls
    }
    taken = [ref for layer in model.layers for call in layer.calls for ref in call if isinstance(ref, Ref)]
    numbers: dict[str, set[int]] = {}
    for ref in (*taken, *model.outputs):
        if ref.layer in inner:
            numbers.setdefault(ref.layer, set()).add(ref.call)
    return {name: 1 for name, found in numbers.items() if inner[name] in found and 0 not in found}


def _outputs(model: Model, keras: int) -> list[Ref]:
    """The outputs, each call by its number; Keras 3 counts those of a model inside from 1 here, and only here."""
    counted = {layer.name for layer in model.layers if layer.inner is not None and layer.kind != "Sequential"}
    return [
        Ref(ref.layer, ref.call - 1, ref.tensor) if keras >= 3 and ref.layer in counted and ref.call else ref
        for ref in model.outputs
    ]


def _check_named(builder: Builder, model: Model, calls: list[_Call]) -> None:
    inputs = {layer.name for layer in model.layers if layer.kind == "InputLayer"}
    made = {(each.layer.name, each.number) for each in calls}
    for ref in (ref for each in calls for ref in each.arguments if isinstance(ref, Ref)):
        if ref.layer not in inputs and (ref.layer, ref.call) not in made:
            raise ModelError(
                f"{builder.file}: a layer of {model.name[:60]!r} takes what nothing makes: "
                f"call {ref.call} of {ref.layer[:60]!r}.",
                hint=AGAIN,
            )


def _apply(
    builder: Builder, layer: Layer, taken: list[Value], layers: Mapping[str, Translator]
) -> list[Value]:
    before = builder.layer
    builder.enter(layer)
    try:
        if layer.inner is not None:
            return run_model(builder, layer.inner, taken, layers)
        if not taken:
            raise builder.error("takes nothing")
        return [layers[layer.kind](builder, layer, taken)]
    except (LookupError, ValueError, TypeError, ArithmeticError, AssertionError) as error:
        # The file is well formed, but what the layer takes is not what its kind has.
        raise builder.error(f"doesn't fit what it takes ({first_line(error)})") from error
    finally:
        builder.layer = before
