from __future__ import annotations

import numpy as np
import pytest

from edgeproof.measure.leak import confirmed, growth

X = np.arange(400.0)


def _noise(seed: int = 0) -> np.ndarray:
    return 0.3 * np.random.default_rng(seed).normal(size=len(X))


@pytest.mark.parametrize(
    ("name", "memory", "verdict"),
    [
        ("flat", 100 + _noise(), "steady"),
        ("leak", 100 + 0.1 * X + _noise(), "leak"),
        ("plateau", 100 + 30 * (1 - np.exp(-X / 60)) + _noise(), "settles"),
        ("one step of the arena", 100 + 4.0 * (X > 90) + _noise(), "settles"),
        ("shrinks", 100 - 0.05 * X + _noise(), "steady"),
    ],
)
def test_only_what_goes_on_growing_is_a_leak(name: str, memory: np.ndarray, verdict: str) -> None:
    found = confirmed(X, memory)
    assert found.verdict in (verdict, "steady") if verdict == "settles" else found.verdict == verdict


def test_a_leak_has_its_rate_and_its_limit() -> None:
    memory = 100 + 0.1 * X + _noise()
    first = growth(X[:200], memory[:200])
    assert first.verdict == "growing"  # one run alone never says leak
    found = confirmed(X, memory)
    assert found.mb_per_hour == pytest.approx(360, rel=0.1)
    assert found.ci is not None
    assert found.ci[0] < 360 < found.ci[1]
    assert confirmed(X, memory, most_mb_per_day=10_000).verdict == "steady"


def test_too_few_readings_say_nothing() -> None:
    found = confirmed(X[:10], X[:10])
    assert (found.verdict, found.mb_per_hour, found.ci) == ("not measured", None, None)
    assert confirmed(np.empty(0), np.empty(0)).verdict == "not measured"
