"""How a candidate stands to each clause."""

from __future__ import annotations

import pytest

from edgeproof.core.budget import Budget
from edgeproof.fit.verdicts import judge
from fit.fit_rows import row


@pytest.mark.parametrize(
    ("clause", "verdict", "value"),
    [
        ("p50<20ms", "pass", 11.5),
        ("p50<11.5ms", "not enough evidence", 11.5),
        ("p50<5ms", "fail", 11.5),
        ("p99<30ms", "pass", 13.4),
        ("fps>20", "pass", 87),
        ("fps>500", "fail", 87),
        ("cold<2s", "pass", 500),
        ("cold<550ms", "not enough evidence", 500),
        ("cold<100ms", "fail", 500),
        ("rss<200MB", "pass", 100),
        ("size<10.5MB", "pass", 10),
        ("size<10MB", "fail", 10),
        ("drop<2%", "pass", 0),
        ("energy<50mJ", "not measured", None),
    ],
)
def test_each_clause(clause: str, verdict: str, value: float | None) -> None:
    (found,) = judge(row("f32", 10), Budget.parse(clause))
    assert (found.clause, found.verdict) == (clause, verdict)
    assert found.value == (None if value is None else pytest.approx(value, rel=0.03))
    assert (found.margin is None) == (value is None)
    if found.ci and found.value is not None:
        assert found.ci[0] <= found.value <= found.ci[1]


def test_unmeasured_memory_is_not_zero() -> None:
    (found,) = judge(row("f32", 10, rss_mb=None), Budget.parse("rss<200MB"))
    assert (found.value, found.verdict) == (None, "not measured")


def test_a_drop_that_is_not_proven_says_how_many_photos_would_do() -> None:
    (found,) = judge(row("int8-mse", 4, photos=40), Budget.parse("drop<2%"))
    assert found.verdict == "not enough evidence"
    assert found.needed is not None
    assert found.needed.endswith("photos, had 40")
    assert found.value == 0
