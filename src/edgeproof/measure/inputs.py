"""What a network is fed while it is measured: a bundle's golden inputs, pictures, or values by chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import InputError, UsageError
from edgeproof.core.tensor import Array, TensorSpec
from edgeproof.engines.shapes import Shape, check_elements
from edgeproof.imaging.letterbox import letterbox

_MOST_BYTES = 4_000_000  # of all rows: they count in the memory of the process that is measured
MOST_ROWS = 8
_CHANNELS = (1, 3)


def known_shapes(
    inputs: Sequence[TensorSpec], given: Mapping[str, Shape], batch: int | None, side: int | None
) -> dict[str, tuple[int, ...]]:
    """Each input's shape with every size known.

    Arguments:
        inputs: with the shape () where the file tells none.
        given: shapes by hand, by input name; "N" stands for the batch.
        batch: pictures in one run; None for what the network has, or 1.
        side: of a picture, where the network takes any size; None if nobody knows.

    Raises:
        InputError: the network's batch is fixed at another number, or a given shape doesn't fit the network.
        UsageError: a size is open, and nothing tells what it is.
    """
    shapes = {}
    for spec in inputs:
        shape = given.get(spec.name, spec.shape)
        if spec.shape and not TensorSpec(spec.name, spec.shape, spec.dtype).accepts(
            [batch or 1 if size == "N" else int(size) for size in shape]
            if spec.name in given
            else _ones(shape)
        ):
            raise InputError(
                f"The input {spec} doesn't take the shape {'x'.join(map(str, shape))}.",
                hint="Give --input-shape sizes that it takes, N for the batch.",
            )
        found = _with_batch(spec, shape, batch)
        found = _with_side(found, side)
        open_ = [str(size) for size in found if not isinstance(size, int)]
        if open_ or (not spec.shape and spec.name not in given):
            raise UsageError(
                f"The sizes of the input {spec} are open.",
                hint=f'Say what to measure with: --input-shape "{_example(inputs, spec)}"',
            )
        check_elements(spec.name, found)
        shapes[spec.name] = tuple(int(size) for size in found)
    return shapes


def _ones(shape: Shape) -> list[int]:
    return [size if isinstance(size, int) else 1 for size in shape]


def _with_batch(spec: TensorSpec, shape: Shape, batch: int | None) -> Shape:
    if not shape:
        return shape
    first = shape[0]
    if isinstance(first, str):
        return (batch or 1, *shape[1:])
    if batch is not None and batch != first and len(shape) > 1:
        raise InputError(
            f"The batch of the input {spec} is fixed at {first}, not {batch}.",
            hint="Leave --batch out, or export the network with an open batch.",
        )
    return shape


def _with_side(shape: Shape, side: int | None) -> Shape:
    picture = picture_axes(shape)
    if side is None or picture is None:
        return shape
    return tuple(
        side if place in picture and isinstance(size, str) else size for place, size in enumerate(shape)
    )


def picture_axes(shape: Shape) -> tuple[int, int] | None:
    """The axes of height and width of a batch of pictures, None for what is none: a guess by the channels' place."""
    if len(shape) != 4:
        return None
    if shape[1] in _CHANNELS:
        return 2, 3
    return (1, 2) if shape[3] in _CHANNELS else None


def _example(inputs: Sequence[TensorSpec], spec: TensorSpec) -> str:
    sizes = "x".join(str(size) if isinstance(size, int) else "640" for size in spec.shape[1:]) or "3x224x224"
    return f"1x{sizes}" if len(inputs) == 1 else f"{spec.name}=1x{sizes}"


def by_chance(
    inputs: Sequence[TensorSpec], shapes: Mapping[str, tuple[int, ...]], seed: int
) -> dict[str, Array]:
    """Rows (K, *shape) for each input: floats from 0 to 1, bytes from 0 to 255, other whole numbers 0 or 1."""
    rng = np.random.default_rng(seed)
    count = _rows(inputs, shapes)
    return {spec.name: _chance(rng, np.dtype(spec.dtype), (count, *shapes[spec.name])) for spec in inputs}


def _chance(rng: np.random.Generator, kind: np.dtype[np.generic], shape: tuple[int, ...]) -> Array:
    if kind.kind == "f":
        return rng.random(shape, np.float32).astype(kind)
    if kind.itemsize == 1 and kind.kind in "ui":
        limits = np.iinfo(kind)  # type: ignore[type-var]
        return rng.integers(limits.min, limits.max, shape, kind, endpoint=True)
    return rng.integers(0, 2, shape).astype(kind)


def _rows(inputs: Sequence[TensorSpec], shapes: Mapping[str, tuple[int, ...]]) -> int:
    each = sum(int(np.prod(shapes[spec.name])) * np.dtype(spec.dtype).itemsize for spec in inputs)
    return int(np.clip(_MOST_BYTES // max(each, 1), 1, MOST_ROWS))


def of_pictures(
    inputs: Sequence[TensorSpec],
    shapes: Mapping[str, tuple[int, ...]],
    pictures: Sequence[NDArray[np.uint8]],
    seed: int,
) -> dict[str, Array]:
    """Rows of pictures, stretched to the network's size: bytes as they are, floats from 0 to 1; other inputs by chance.

    Arguments:
        pictures: uint8 (H, W, 3) RGB, one or more; they are taken in turn.

    Raises:
        UsageError: the network has no input that takes pictures.
    """
    rows = by_chance(inputs, shapes, seed)
    fed = False
    for spec in inputs:
        shape = shapes[spec.name]
        axes = picture_axes(shape)
        if axes is None:
            continue
        fed = True
        count, batch = len(rows[spec.name]), shape[0]
        frames = [
            _frame(pictures[i % len(pictures)], shape, axes) for i in range(min(count * batch, len(pictures)))
        ]
        stacked = np.stack([frames[i % len(frames)] for i in range(count * batch)])
        scaled = stacked if np.dtype(spec.dtype).kind in "ui" else stacked / np.float32(255)
        rows[spec.name] = scaled.reshape(count, *shape).astype(spec.dtype)
    if not fed:
        raise UsageError(
            f"No input of the network takes pictures: {', '.join(map(str, inputs))}.",
            hint="Leave --input out.",
        )
    return rows


def _frame(pixels: NDArray[np.uint8], shape: tuple[int, ...], axes: tuple[int, int]) -> NDArray[np.uint8]:
    high, wide = (shape[axis] for axis in axes)
    frame, _ = letterbox(pixels, wide, high, stretch=True)
    if axes == (2, 3):
        return np.ascontiguousarray(frame.transpose(2, 0, 1)[: shape[1]])
    return np.ascontiguousarray(frame[..., : shape[3]])


def of_golden(
    golden: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]], inputs: Sequence[TensorSpec]
) -> dict[str, Array]:
    """Rows of a bundle's golden inputs, taken in turn where a batch needs more than there are."""
    count = _rows(inputs, shapes)
    rows = {}
    for name, shape in shapes.items():
        values = golden[name]
        wanted = np.arange(count * shape[0]) % len(values)
        rows[name] = values[wanted].reshape(count, *shape)
    return rows


def write_rows(rows: Mapping[str, Array], folder: Path, label: str) -> dict[str, Path]:
    """Write rows where measuring processes find them."""
    files = {}
    for number, (name, values) in enumerate(rows.items()):
        files[name] = folder / f"{label}-{number}.npy"
        np.save(files[name], values)
    return files
