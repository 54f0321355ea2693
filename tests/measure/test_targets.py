"""From what a user names to what is measured: files, shapes, batches and what feeds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproof.core.errors import EdgeproofError, InputError, UnknownNameError, UsageError
from edgeproof.core.tensor import TensorSpec
from edgeproof.measure.inputs import by_chance, known_shapes, of_pictures, picture_axes
from edgeproof.measure.targets import Wishes, network_variants
from edgeproof.tasks.orientation import builtin_model

PICTURES = TensorSpec("x", ("N", 3, "height", "width"), "float32")
FIXED = TensorSpec("x", (1, 3, 32, 48), "float32")


@pytest.mark.parametrize(
    ("spec", "given", "batch", "side", "expected"),
    [
        (FIXED, {}, None, None, (1, 3, 32, 48)),
        (FIXED, {}, 1, None, (1, 3, 32, 48)),
        (PICTURES, {}, None, 64, (1, 3, 64, 64)),
        (PICTURES, {}, 4, 64, (4, 3, 64, 64)),
        (PICTURES, {"x": (2, 3, 8, 16)}, None, 64, (2, 3, 8, 16)),
        (PICTURES, {"x": ("N", 3, 8, 16)}, 5, None, (5, 3, 8, 16)),
        (TensorSpec("x", (), "float32"), {"x": (1, 3)}, None, None, (1, 3)),
        (TensorSpec("x", ("N", 5), "int64"), {}, 3, None, (3, 5)),
    ],
)
def test_shapes(
    spec: TensorSpec, given: dict[str, Any], batch: int | None, side: int | None, expected: tuple[int, ...]
) -> None:
    assert known_shapes([spec], given, batch, side) == {"x": expected}


@pytest.mark.parametrize(
    ("spec", "given", "batch", "kind", "says"),
    [
        (PICTURES, {}, None, UsageError, "--input-shape"),
        (TensorSpec("x", (), "float32"), {}, None, UsageError, "--input-shape"),
        (FIXED, {}, 4, InputError, "fixed at 1"),
        (FIXED, {"x": (1, 3, 64, 64)}, None, InputError, "1x3x64x64"),
        (PICTURES, {"x": (1, 3, 100_000, 100_000)}, None, EdgeproofError, "gigabyte"),
    ],
)
def test_shapes_that_are_open_or_wrong(
    spec: TensorSpec, given: dict[str, Any], batch: int | None, kind: type[EdgeproofError], says: str
) -> None:
    with pytest.raises(kind) as caught:
        known_shapes([spec], given, batch, None)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [("float32", 0, 1), ("uint8", 0, 255), ("int8", -128, 127), ("int64", 0, 1), ("bool", 0, 1)],
)
def test_values_by_chance_are_the_same_for_a_seed(dtype: str, low: float, high: float) -> None:
    spec = TensorSpec("x", ("N", 3, 16, 16), dtype)
    one, again, other = (by_chance([spec], {"x": (2, 3, 16, 16)}, seed)["x"] for seed in (1, 1, 2))
    assert one.dtype == dtype
    assert one.shape[1:] == (2, 3, 16, 16)
    assert low <= one.min() < one.max() <= high
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_inputs_are_few_where_they_are_large() -> None:
    rows = by_chance([FIXED], {"x": (1, 3, 640, 640)}, 0)["x"]
    assert rows.nbytes < 5_000_000


@pytest.mark.parametrize(
    ("shape", "axes"), [((1, 3, 8, 9), (2, 3)), ((1, 8, 9, 3), (1, 2)), ((1, 7, 8, 9), None), ((1, 3), None)]
)
def test_where_a_picture_lies(shape: tuple[int, ...], axes: tuple[int, int] | None) -> None:
    assert picture_axes(shape) == axes


@pytest.mark.parametrize("shape", [(2, 3, 8, 12), (2, 8, 12, 3), (1, 1, 8, 12)])
def test_pictures_feed_what_takes_them(shape: tuple[int, ...]) -> None:
    red = np.zeros((40, 60, 3), np.uint8)
    red[..., 0] = 255
    rows = of_pictures([TensorSpec("x", shape, "float32")], {"x": shape}, [red], 0)["x"]
    assert rows.shape[1:] == shape
    assert rows.max() == 1.0
    assert rows.mean() == pytest.approx(1.0 if shape[1] == 1 else 1 / 3)
    with pytest.raises(UsageError, match="No input"):
        of_pictures([TensorSpec("x", (1, 5), "float32")], {"x": (1, 5)}, [red], 0)


def test_every_combination_is_a_variant(tmp_path: Path) -> None:
    wishes = Wishes(engines=["onnxruntime"], threads=[1, 2], batches=[1, 4])
    found = network_variants(str(builtin_model()), "net", wishes, tmp_path)
    assert [one.variant.id for one in found] == [
        "net onnxruntime t1",
        "net onnxruntime t2",
        "net onnxruntime t1 b4",
        "net onnxruntime t2 b4",
    ]
    for one in found:
        rows = np.load(next(iter(one.variant.inputs.values())))
        assert rows.shape[1:] == (one.variant.batch, 3, 192, 192)
        assert one.about["notes"] == [f"inputs by chance (seed 0): {one.variant.batch}x3x192x192"]


def test_an_engine_that_is_none_is_told_at_once() -> None:
    with pytest.raises(UnknownNameError):
        Wishes(engines=["nope"])
