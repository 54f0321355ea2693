"""Logits to probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgeproof.core.errors import UsageError
from edgeproof.core.softmax import log_softmax, softmax

LOGITS = arrays(np.float64, (3, 4), elements=st.floats(-1e4, 1e4))


@pytest.mark.parametrize(
    ("logits", "temperature", "probabilities"),
    [
        ([0.0, 0.0, 0.0, 0.0], 1.0, [0.25] * 4),
        ([math.log(3), 0.0], 1.0, [0.75, 0.25]),
        ([2 * math.log(3), 0.0], 2.0, [0.75, 0.25]),
        ([1e6, 0.0], 1.0, [1.0, 0.0]),
        ([-1e6, 0.0], 1.0, [0.0, 1.0]),
    ],
)
def test_known_values(logits: list[float], temperature: float, probabilities: list[float]) -> None:
    assert softmax(logits, temperature) == pytest.approx(probabilities)


@given(LOGITS, st.floats(0.01, 100))
def test_probabilities_sum_to_1_and_keep_the_order(
    logits: np.ndarray[tuple[int, ...], np.dtype[np.float64]], temperature: float
) -> None:
    found = softmax(logits, temperature)
    assert found.sum(axis=-1) == pytest.approx(1.0)
    assert np.isfinite(log_softmax(logits, temperature)).all()
    assert (np.take_along_axis(found, logits.argmax(-1)[:, None], -1)[:, 0] == found.max(-1)).all()
    assert softmax(logits + 7.0, temperature) == pytest.approx(found, abs=1e-8)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_a_temperature_that_means_nothing_is_refused(temperature: float) -> None:
    with pytest.raises(UsageError):
        softmax([1.0, 2.0], temperature)


def test_float32_is_reckoned_in_float64() -> None:
    assert softmax(np.zeros(4, np.float32)).dtype == np.float64
