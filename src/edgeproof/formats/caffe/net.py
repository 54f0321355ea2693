"""From the parsed text to a list of layers, as they stand in the test phase."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

from edgeproof.core.errors import ModelError, did_you_mean
from edgeproof.formats.caffe.prototxt import Field, Message
from edgeproof.formats.caffe.schema import LAYER, NETWORK, PARAMETERS, TRAINING, V1_TYPES

_Choice = TypeVar("_Choice", bound=str)
_MAX_LAYERS = 20_000
_MAX_ELEMENTS = 2**31 - 1
_CORRECT = "Correct the prototxt; what each field means is in Caffe's caffe.proto."


@dataclass(frozen=True)
class Params:
    """The fields of one message, read with a type and a bound each."""

    message: Message
    where: str

    def error(self, what: str, hint: str = _CORRECT) -> ModelError:
        """An error that names the layer and its line."""
        return ModelError(f"{self.where}: {what}.", hint=hint)

    def has(self, name: str) -> bool:
        """Whether the field is written."""
        return bool(self.message.all(name))

    def text(self, name: str, default: str = "") -> str:
        """The last value given, as Caffe takes it."""
        found = self.message.all(name)
        if not found:
            return default
        return self._text(found[-1])

    def _text(self, entry: Field) -> str:
        if isinstance(entry.value, Message):
            raise self.error(f"{entry.name} on line {entry.line} is a block in braces, not a value")
        return entry.value

    def texts(self, name: str) -> list[str]:
        """All values, in order."""
        return [self._text(entry) for entry in self.message.all(name)]

    def integers(self, name: str, *, low: int = 0, high: int = 2**31 - 1) -> list[int]:
        """All values as whole numbers of `low` to `high`."""
        found = []
        for text in self.texts(name):
            try:
                value = int(text, 0) if text.lower().startswith("0x") else int(text)
            except ValueError:
                raise self.error(f"{name} is {text!r}, not a whole number") from None
            if not low <= value <= high:
                raise self.error(f"{name} is {value}, not of {low} to {high}")
            found.append(value)
        return found

    def integer(self, name: str, default: int, *, low: int = 0, high: int = 2**31 - 1) -> int:
        """The last value as a whole number."""
        return ([default, *self.integers(name, low=low, high=high)])[-1]

    def numbers(self, name: str) -> list[float]:
        """All values as finite numbers."""
        found = []
        for text in self.texts(name):
            try:
                value = float(text.rstrip("fF"))
            except ValueError:
                raise self.error(f"{name} is {text!r}, not a number") from None
            if not abs(value) < 3.4e38:
                raise self.error(f"{name} is {text}, not a finite number")
            found.append(value)
        return found

    def number(self, name: str, default: float) -> float:
        """The last value as a finite number."""
        return ([default, *self.numbers(name)])[-1]

    def flag(self, name: str, default: bool) -> bool:
        """true or false."""
        text = self.text(name, "true" if default else "false")
        if text not in ("true", "false", "1", "0", "t", "f", "True", "False"):
            raise self.error(f"{name} is {text!r}, not true or false")
        return text in ("true", "1", "t", "True")

    def choice(self, name: str, known: tuple[_Choice, ...]) -> _Choice:
        """One of `known`, by name or by its number; the first is the default."""
        text = self.text(name, known[0])
        for number, value in enumerate(known):
            if text in (value, str(number)):
                return value
        raise self.error(f"{name} is {text!r}", f"Known: {', '.join(known)}.")

    def inside(self, name: str) -> Params:
        """The fields of a message inside this one; none where it isn't written."""
        inner = Message(self.message.line)
        for entry in self.message.all(name):
            if not isinstance(entry.value, Message):
                raise self.error(f"{name} on line {entry.line} is a value, not a block in braces")
            inner.fields.extend(entry.value.fields)
        return Params(inner, self.where)


@dataclass(frozen=True)
class Layer:
    """One layer: what it takes, what it makes, and its parameters."""

    name: str
    kind: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    params: Params


@dataclass(frozen=True)
class Net:
    """A network in the test phase: the shapes of its inputs, and its layers in order."""

    name: str
    inputs: dict[str, tuple[int, ...]]
    layers: list[Layer]


def read_net(root: Message, file: str) -> Net:
    """The layers of a parsed prototxt.

    Raises:
        ModelError: no layers, an unknown layer or field, an input without a shape; naming the line.
    """
    top = Params(root, file)
    for entry in root.fields:
        if entry.name not in NETWORK:
            raise ModelError(
                f"{file} line {entry.line}: a network has no field {entry.name[:60]!r}.",
                hint=f"{did_you_mean(entry.name[:60], NETWORK)} A solver or mean file is not a network.",
            )
    blocks = [entry for entry in root.fields if entry.name in ("layer", "layers")]
    if not blocks:
        raise ModelError(f"{file} holds no layers.", hint="Give the deploy.prototxt of the network.")
    if len(blocks) > _MAX_LAYERS:
        raise ModelError(f"{file} has {len(blocks)} layers.", hint=f"At most {_MAX_LAYERS} are read.")
    inputs = _declared_inputs(top)
    layers = []
    for block in blocks:
        layer = _layer(block, file)
        if layer is None:
            continue
        if layer.kind == "Input":
            inputs.update(_input_layer(layer))
        else:
            layers.append(layer)
    if not inputs:
        raise ModelError(
            f"{file} declares no input.",
            hint="Give the deploy.prototxt; it has an Input layer or `input:` lines.",
        )
    return Net(top.text("name", "network") or "network", inputs, layers)


def _layer(block: Field, file: str) -> Layer | None:
    place = f"{file} line {block.line}"
    if not isinstance(block.value, Message):
        raise ModelError(f"{place}: {block.name} is a value, not a block in braces.", hint=_CORRECT)
    bare = Params(block.value, place)
    if bare.has("layer"):
        raise bare.error(
            "this is the oldest layer format (V0)",
            "Upgrade it with Caffe's own tools, upgrade_net_proto_text and upgrade_net_proto_binary.",
        )
    if not _in_test_phase(bare):
        return None
    kind = bare.text("type")
    kind = V1_TYPES.get(kind, kind) if block.name == "layers" else kind
    name = bare.text("name")
    here = Params(block.value, f"{place}, layer {name[:60]!r} ({kind[:60]})")
    if kind not in PARAMETERS:
        raise _unknown(name, kind, place)
    own, known = PARAMETERS[kind]
    for entry in block.value.fields:
        if entry.name not in LAYER and not entry.name.endswith("_param"):
            raise here.error(
                f"there is no field {entry.name[:60]!r} (line {entry.line})",
                did_you_mean(entry.name[:60], {*LAYER, own}),
            )
    params = here.inside(own) if own else Params(Message(block.line), here.where)
    fields = known.split()
    for entry in params.message.fields:
        if entry.name not in fields:
            raise here.error(
                f"{own} has no field {entry.name[:60]!r} (line {entry.line}) that is known here",
                did_you_mean(entry.name[:60], fields),
            )
    return Layer(name, kind, tuple(here.texts("bottom")), tuple(here.texts("top")), params)


def _unknown(name: str, kind: str, place: str) -> ModelError:
    if kind in TRAINING:
        hint = "It belongs to training: give the deploy.prototxt instead, or remove the layer."
    elif kind == "Python":
        hint = "It is a program of its own: end the network before it, and do its step in the task."
    else:
        hint = (
            f"{did_you_mean(kind[:60], PARAMETERS)} Else end the network before it, or replace it by layers "
            "that are known."
        )
    return ModelError(
        f"{place}: layer {name[:60]!r} is of type {kind[:60]!r}, which can't be imported.", hint=hint
    )


def _in_test_phase(layer: Params) -> bool:
    # The state of a deployed network: phase TEST, level 0, no stages (NetStateRule in caffe.proto).
    rules = [_rule_holds(layer, entry) for entry in layer.message.all("include")]
    return (not rules or any(rules)) and not any(
        _rule_holds(layer, entry) for entry in layer.message.all("exclude")
    )


def _rule_holds(layer: Params, entry: Field) -> bool:
    if not isinstance(entry.value, Message):
        raise layer.error(f"{entry.name} on line {entry.line} is a value, not a block in braces")
    rule = Params(entry.value, layer.where)
    return (
        rule.text("phase", "TEST") in ("TEST", "1")
        and not rule.has("stage")
        and rule.integer("min_level", 0, low=-(2**31)) <= 0
        and rule.integer("max_level", 0, low=-(2**31)) >= 0
    )


def _checked(params: Params, name: str, sizes: list[int]) -> tuple[int, ...]:
    if not 1 <= len(sizes) <= 8 or math.prod(sizes) > _MAX_ELEMENTS:
        raise params.error(f"input {name[:60]!r} has the shape {sizes[:8]}", "Expected 1 to 8 sizes.")
    return tuple(sizes)


def _declared_inputs(top: Params) -> dict[str, tuple[int, ...]]:
    names = top.texts("input")
    shapes: list[list[int]] = []
    for entry in top.message.all("input_shape"):
        if not isinstance(entry.value, Message):
            raise top.error(f"input_shape on line {entry.line} is a value, not a block in braces")
        shapes.append(Params(entry.value, top.where).integers("dim", low=1))
    if not shapes:
        flat = top.integers("input_dim", low=1)
        shapes = [flat[at : at + 4] for at in range(0, len(flat), 4)]
    if len(names) != len(shapes):
        raise top.error(
            f"there are {len(names)} inputs and {len(shapes)} shapes for them",
            "Each `input:` needs four `input_dim:` lines or an `input_shape { dim: ... }`.",
        )
    return {name: _checked(top, name, shape) for name, shape in zip(names, shapes, strict=True)}


def _input_layer(layer: Layer) -> dict[str, tuple[int, ...]]:
    shapes = []
    for entry in layer.params.message.all("shape"):
        if not isinstance(entry.value, Message):
            raise layer.params.error("shape is a value, not a block in braces")
        shapes.append(Params(entry.value, layer.params.where).integers("dim", low=1))
    if len(shapes) == 1:
        shapes = shapes * min(len(layer.tops), 64)  # one shape stands for all tops
    if len(shapes) != len(layer.tops):
        raise layer.params.error(f"{len(layer.tops)} tops and {len(shapes)} shapes for them")
    return {name: _checked(layer.params, name, shape) for name, shape in zip(layer.tops, shapes, strict=True)}
