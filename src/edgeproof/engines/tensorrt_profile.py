"""Optimisation profiles: the smallest, the usual and the largest shape of each input whose sizes are free."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from edgeproof.core.errors import UnknownNameError, UsageError, did_you_mean

Shape = tuple[int, ...]
_SIZES = re.compile(r"[1-9]\d{0,8}(?:x[1-9]\d{0,8})*")
_EXAMPLE = (
    'Expected "NAME=1x3x224x224:4x3x224x224:8x3x224x224": the smallest, the usual and the largest shape.'
)


class Profile(NamedTuple):
    """The shapes of one input."""

    smallest: Shape
    usual: Shape
    largest: Shape


def parse_profile(text: str, inputs: Mapping[str, Shape]) -> dict[str, Profile]:
    """Read `"x=1x3x224x224:4x3x224x224:8x3x224x224"`, inputs with a comma between; one shape stands for all three.

    Arguments:
        text: the profile; empty where all sizes are fixed.
        inputs: the network's inputs, with -1 for a free size.

    Raises:
        UsageError: it can't be read, doesn't fit the network, or leaves a free size open.
        UnknownNameError: no input of that name.
    """
    profiles: dict[str, Profile] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, shapes = part.rpartition("=")
        if not equals and len(inputs) == 1:
            name = next(iter(inputs))
        elif not equals:
            raise UsageError(f"The profile {part!r} doesn't say which input it is for.", hint=_EXAMPLE)
        if name not in inputs:
            raise UnknownNameError(f"The network has no input {name!r}.", hint=did_you_mean(name, inputs))
        if name in profiles:
            raise UsageError(f"The profile tells the input {name!r} twice.", hint=_EXAMPLE)
        profiles[name] = _read(part, name, shapes, inputs[name])
    for name, shape in inputs.items():
        if -1 in shape and name not in profiles:
            sizes = "x".join("?" if size < 0 else str(size) for size in shape)
            raise UsageError(
                f"The input {name!r} has free sizes ({sizes}), and TensorRT has to know their range.",
                hint="Export the network with fixed sizes, or give their range with the option profile, like "
                f'"{_suggestion(name, shape)}".',
            )
    return {name: profile for name, profile in profiles.items() if -1 in inputs[name]}


def _read(part: str, name: str, text: str, wanted: Shape) -> Profile:
    sizes = text.split(":")
    if len(sizes) not in (1, 3) or not all(map(_SIZES.fullmatch, sizes)):
        raise UsageError(f"The profile {part!r} can't be read.", hint=_EXAMPLE)
    shapes = [tuple(int(size) for size in one.split("x")) for one in sizes]
    profile = Profile(*(shapes if len(shapes) == 3 else shapes * 3))
    for shape in profile:
        if len(shape) != len(wanted) or any(
            size >= 0 and size != given for size, given in zip(wanted, shape, strict=True)
        ):
            free = "x".join("?" if size < 0 else str(size) for size in wanted)
            raise UsageError(
                f"The profile {part!r} doesn't fit the input {name!r}, which is {free}.", hint=_EXAMPLE
            )
    if any(not low <= mid <= high for low, mid, high in zip(*profile, strict=True)):
        raise UsageError(f"The sizes of the profile {part!r} don't go up.", hint=_EXAMPLE)
    return profile


def _suggestion(name: str, shape: Shape) -> str:
    return (
        name
        + "="
        + ":".join(
            "x".join(
                str(batch if axis == 0 else 224) if size < 0 else str(size) for axis, size in enumerate(shape)
            )
            for batch in (1, 4, 8)
        )
    )
