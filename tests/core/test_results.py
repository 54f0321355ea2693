"""A result that can't be true can't be made."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from edgeproof.core.errors import InputError
from edgeproof.core.results import OrientationResult

GOOD: dict[str, Any] = {
    "turn": 90,
    "confidence": 0.7,
    "decision": "turn",
    "probabilities": np.array([0.1, 0.7, 0.1, 0.1]),
}


@pytest.mark.parametrize(
    "changed",
    [
        {"turn": 45},
        {"turn": -90},
        {"turn": 360},
        {"decision": "error"},
        {"confidence": 1.5},
        {"confidence": -0.1},
        {"confidence": math.nan},
        {"probabilities": np.array([0.5, 0.5])},
        {"probabilities": np.full((4, 1), 0.25)},
        {"probabilities": np.array([0.1, 0.7, 0.1, 0.2])},
        {"probabilities": np.array([1.5, -0.5, 0.0, 0.0])},
        {"probabilities": np.array([math.nan, 0.7, 0.1, 0.2])},
        {"probabilities": np.array([math.inf, -math.inf, 0.5, 0.5])},
    ],
    ids=str,
)
def test_an_impossible_result_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        OrientationResult(**{**GOOD, **changed})
    assert caught.value.hint


def test_results_are_values() -> None:
    result, same = OrientationResult(**GOOD), OrientationResult(**GOOD)
    assert result == same
    assert len({result, same}) == 1
    assert result != OrientationResult(**{**GOOD, "turn": 180})
    with pytest.raises(AttributeError):
        result.turn = 0  # type: ignore[misc]
