"""The text of an ncnn .param file: what goes in and what comes out (ncnn wiki, "param and model file structure")."""

from __future__ import annotations

from typing import NamedTuple

from edgeproof.core.errors import ModelError

_MAGIC = "7767517"
_TOLD = "# edgeproof "


class ParamFile(NamedTuple):
    """Blob names, in the file's order; an input's shape, without a batch, is () where the file doesn't tell it."""

    inputs: dict[str, tuple[int, ...]]
    outputs: list[str]


class ToldShapes(NamedTuple):
    """Shapes of the network that a .param was made from, with its batch of 1, by name; empty where it tells none."""

    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]


def parse_param(text: str) -> ParamFile:
    """Read a .param file.

    Raises:
        ModelError: it isn't one, or a line doesn't hold what it counts.
    """
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) < 3 or lines[0] != [_MAGIC]:
        raise ModelError("It doesn't begin with ncnn's number 7767517.", hint="Give the .param file as text.")
    inputs: dict[str, tuple[int, ...]] = {}
    made: dict[str, None] = {}
    taken: set[str] = set()
    try:
        layers = int(lines[1][0])
        for words in lines[2:]:
            bottoms, tops = int(words[2]), int(words[3])
            names = words[4 : 4 + bottoms + tops]
            if len(names) != bottoms + tops or min(bottoms, tops) < 0:
                raise ValueError(" ".join(words[:2]))
            taken.update(names[:bottoms])
            made.update(dict.fromkeys(names[bottoms:]))
            if words[0] == "Input":
                settings = dict(word.split("=", 1) for word in words[4 + tops :])
                inputs[names[0]] = _shape(settings)
    except (ValueError, IndexError) as error:
        raise ModelError(
            f"A line of it can't be read: {error}.", hint="Convert the network again."
        ) from error
    if layers != len(lines) - 2:
        raise ModelError(
            f"It counts {layers} layers and holds {len(lines) - 2}.",
            hint="It is cut short: convert it again.",
        )
    outputs = [name for name in made if name not in taken]
    if not inputs or not outputs:
        raise ModelError("It has no input or no output.", hint="Convert the network again.")
    return ParamFile(inputs, outputs)


def told_shapes(text: str) -> ToldShapes:
    """What `edgeproof export` notes behind the layers, where ncnn doesn't read: `# edgeproof input NAME 1x3x8x8`.

    Raises:
        ModelError: such a line can't be read.
    """
    found: dict[str, dict[str, tuple[int, ...]]] = {"input": {}, "output": {}}
    for words in (line.split() for line in text.splitlines() if line.startswith(_TOLD)):
        try:
            _, _, kind, name, sizes = words
            shape = tuple(int(size) for size in sizes.split("x"))
            if min(shape) < 1:
                raise ValueError(sizes)
            found[kind][name] = shape
        except (ValueError, KeyError) as error:
            raise ModelError(
                f"A line of it can't be read: {' '.join(words)[:100]}.", hint="Convert the network again."
            ) from error
    return ToldShapes(found["input"], found["output"])


def _shape(settings: dict[str, str]) -> tuple[int, ...]:
    width, height, depth, channels = (int(settings.get(key, 0)) for key in ("0", "1", "11", "2"))
    return tuple(size for size in (channels, depth, height, width) if size > 0)
