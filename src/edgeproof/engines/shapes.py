"""Input shapes given by hand, for the runtimes whose files don't tell them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from edgeproof.core.errors import InputError, ModelError, UnknownNameError, UsageError, did_you_mean
from edgeproof.core.tensor import Tensors, TensorSpec

Shape = tuple[int | str, ...]
_MAX_ELEMENTS = 1 << 28  # 1 GB of float32 in one input: beyond, a size was misread or miswritten
_SIZES = re.compile(r"^(?:[1-9]\d{0,8}|N)(?:x[1-9]\d{0,8})*$")


def parse_shapes(text: str, names: Sequence[str]) -> dict[str, Shape]:
    """Read `"Nx3x300x300"`, or `"data=1x3x300x300,info=1x3"` where there are several inputs.

    Arguments:
        text: sizes with x between them, the batch first; N is a batch of any size. Empty: no shapes.
        names: the network's inputs; empty where the file doesn't tell them (any name is then taken, and
            a shape without one belongs to `input`).

    Raises:
        UsageError: it can't be read, or doesn't say which input it is for.
        UnknownNameError: no input of that name.
    """
    shapes: dict[str, Shape] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, sizes = part.rpartition("=")  # a tensor's name may hold any other character
        if not _SIZES.match(sizes):
            raise UsageError(
                f"input_shape is {text!r}.", hint='Expected sizes like "1x3x300x300", or "Nx3" for any batch.'
            )
        if not equals:
            if len(names) > 1:
                raise UsageError(
                    f"input_shape {text!r} doesn't say which input it is for.",
                    hint=f'Write "NAME={sizes}" for each of: {", ".join(names)}.',
                )
            name = names[0] if names else "input"
        if names and name not in names:
            raise UnknownNameError(f"The network has no input {name!r}.", hint=did_you_mean(name, names))
        shapes[name] = tuple(size if size == "N" else int(size) for size in sizes.split("x"))
    return shapes


def check_elements(name: str, shape: Shape) -> None:
    """Refuse an input of more than 2**28 elements, counting one row of a batch of any size.

    Raises:
        ModelError: naming the input.
    """
    if math.prod(size for size in shape if isinstance(size, int)) > _MAX_ELEMENTS:
        raise ModelError(
            f"Input {name!r} has the shape {list(shape)}, more than a gigabyte.",
            hint="Check the option input_shape, or the file.",
        )


def check_symbols(specs: Sequence[TensorSpec], feeds: Tensors) -> None:
    """Refuse feeds that give one symbolic size, like the batch N, two values.

    Arguments:
        specs: the inputs.
        feeds: arrays that fit them one by one (`check_feeds`).

    Raises:
        InputError: naming both inputs and their sizes.
    """
    seen: dict[str, tuple[str, int]] = {}
    for spec in specs:
        for symbol, size in zip(spec.shape, feeds[spec.name].shape, strict=True):
            if isinstance(symbol, str):
                name, first = seen.setdefault(symbol, (spec.name, size))
                if first != size:
                    raise InputError(
                        f"The size {symbol} is {first} in input {name!r} and {size} in {spec.name!r}.",
                        hint="Give each the same size.",
                    )


def known_sizes(text: str, inputs: Iterable[TensorSpec]) -> dict[str, int]:
    """Read the option fixed_shape: "N=1,height=640" says what symbolic sizes of the inputs are.

    Raises:
        UsageError: it isn't written so.
        UnknownNameError: no input has a size of that name.
    """
    symbols = {size for spec in inputs for size in spec.shape if isinstance(size, str)}
    sizes = {}
    for part in filter(None, text.split(",")):
        name, _, size = part.strip().rpartition("=")
        if not name or not size.isdecimal() or not int(size):
            raise UsageError(
                f"The option fixed_shape is {text!r}.",
                hint='Write the names of symbolic sizes and what they are: "N=1,height=640".',
            )
        if name not in symbols:
            raise UnknownNameError(
                f"The network's inputs have no symbolic size {name!r}.", hint=did_you_mean(name, symbols)
            )
        sizes[name] = int(size)
    return sizes
