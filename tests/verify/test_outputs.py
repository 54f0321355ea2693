from __future__ import annotations

import math

import numpy as np
import pytest

from edgeproof.core.errors import ModelError
from edgeproof.verify.outputs import OutputDifference, compare_outputs

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("reference", "candidate", "max_abs", "max_rel", "cosine"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0, 0.0, 1.0),
        ([3.0, 4.0], [4.0, 3.0], 1.0, 0.25, 0.96),
        ([1.0, 0.0], [-1.0, 0.0], 2.0, 2.0, -1.0),
        ([1e-9, 10.0], [1e-3, 10.0], 1e-3, 1e-4, 1.0),  # relative to the largest, not to the 1e-9
        ([0.0, 0.0], [0.0, 0.0], 0.0, 0.0, 1.0),
        ([0.0, 0.0], [0.0, 1.0], 1.0, INF, 0.0),
        ([1.0, 0.0], [0.0, 0.0], 1.0, 1.0, 0.0),
        ([1.0, NAN], [1.0, 2.0], INF, INF, 0.0),
        ([1.0, 2.0], [1.0, NAN], INF, INF, 0.0),
        ([1.0, NAN], [1.0, NAN], INF, INF, 0.0),
        ([1.0, INF], [1.0, 2.0], INF, INF, 0.0),
        ([1.0, INF], [1.0, -INF], INF, INF, 0.0),
        ([2.0, -INF], [1.0, -INF], 1.0, 0.5, 1.0),  # a mask of -inf in both agrees
        ([1e308, 0.0], [-1e308, 0.0], INF, INF, 0.0),
        ([1e200, 1e200], [1e200, 0.0], 1e200, 1.0, math.sqrt(0.5)),
        ([], [], 0.0, 0.0, 1.0),
        ([INF], [INF], 0.0, 0.0, 1.0),
    ],
)
def test_differences(
    reference: list[float], candidate: list[float], max_abs: float, max_rel: float, cosine: float
) -> None:
    (found,) = compare_outputs({"y": np.array(reference)}, {"y": np.array(candidate)})
    assert found.output == "y"
    assert (found.max_abs, found.max_rel, found.cosine) == pytest.approx((max_abs, max_rel, cosine), abs=1e-8)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint8", "int64"])
def test_another_dtype_is_compared_by_value(dtype: str) -> None:
    wanted = np.array([[1, 2], [3, 4]], np.float32)
    assert compare_outputs({"y": wanted}, {"y": wanted.astype(dtype)}) == [
        OutputDifference("y", 0.0, 0.0, 1.0)
    ]


def test_unsigned_bytes_do_not_wrap_around() -> None:
    (found,) = compare_outputs({"y": np.array([1], np.uint8)}, {"y": np.array([2], np.uint8)})
    assert found.max_abs == 1.0


def test_outputs_come_in_the_order_of_the_reference() -> None:
    one = np.ones(2)
    assert [d.output for d in compare_outputs({"b": one, "a": one}, {"a": one, "b": one})] == ["b", "a"]


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        ({"y": np.zeros((1, 3))}, r"'y' has shape \[1, 3\], expected \[1, 2\]"),
        ({"y": np.zeros(2)}, "shape"),
        ({}, "outputs differ"),
        ({"z": np.zeros((1, 2))}, "outputs differ"),
        ({"y": np.zeros((1, 2)), "z": np.zeros(1)}, "outputs differ"),
        ({"y": np.array([["a", "b"]])}, "no real numbers"),
        ({"y": np.array([[1j, 1j]])}, "no real numbers"),
    ],
)
def test_another_network_is_refused(candidate: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        compare_outputs({"y": np.zeros((1, 2))}, candidate)
