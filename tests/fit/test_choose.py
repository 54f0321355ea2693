"""Which candidate is shipped, and what is said of the others."""

from __future__ import annotations

import pytest

from edgeproof.core.budget import Budget
from edgeproof.fit.choose import choose, refuse_slower
from edgeproof.fit.result import Row
from fit.fit_rows import row


def _choose(rows: list[Row], budget: str) -> tuple[str | None, list[tuple[str, str, str]]]:
    refuse_slower(rows)
    chosen, verdicts = choose(rows, Budget.parse(budget))
    return chosen.id if chosen else None, [(v.clause, v.candidate, v.verdict) for v in verdicts]


def test_the_fastest_that_meets_every_clause_is_chosen() -> None:
    rows = [row("f32", 10), row("f32-clean", 8, lost=None), row("int8-mse", 4, size_mb=3)]
    assert _choose(rows, "p50<30ms, drop<2%") == (
        "ort-int8-mse-t1",
        [("p50<30ms", "ort-int8-mse-t1", "pass"), ("drop<2%", "ort-int8-mse-t1", "pass")],
    )


def test_one_that_was_not_measured_to_the_end_is_not_chosen() -> None:
    rows = [row("f32", 10), row("f32-clean", 8, lost=None), row("int8-mse", 8, size_mb=3, cold_s=(0.4,))]
    assert _choose(rows, "drop<2%")[0] == "ort-f32-clean-t1"


def test_a_slower_candidate_is_refused_and_says_how_much() -> None:
    rows = [row("f32", 10), row("int8-dynamic", 30)]
    assert _choose(rows, "drop<2%")[0] == "ort-f32-t1"
    assert rows[1].status == "refused"
    assert "slower than the original: 3.0" in (rows[1].reason or "")


@pytest.mark.parametrize("slower", [10.3, 10.5, 11])
def test_a_candidate_made_a_little_slower_is_never_chosen(slower: float) -> None:
    assert _choose([row("f32", 10), row("int8-mse", slower)], "drop<2%")[0] == "ort-f32-t1"


def test_what_was_measured_on_a_slower_machine_is_ranked_by_its_own_rounds() -> None:
    # The machine was three times slower in the first six rounds, the only ones of the last candidate.
    rows = [row("f32", 10), row("f32-clean", 5, lost=None), row("int8-mse", 4)]
    for one in rows:
        assert one.run is not None
        one.run.blocks[:6] = [[value * 3 for value in block] for block in one.run.blocks[:6]]
    assert rows[2].run is not None
    del rows[2].run.blocks[6:]
    assert _choose(rows, "drop<5%")[0] == rows[2].id


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        ([row("int8-mse", 4.0, size_mb=3), row("int8-minmax", 4.0, size_mb=2)], "ort-int8-minmax-t1"),
        ([row("int8-mse", 4.0, threads=2), row("int8-mse", 4.0)], "ort-int8-mse-t1"),
        ([row("int8-mse", 4.0, lost=2), row("int8-minmax", 4.0, lost=1)], "ort-int8-minmax-t1"),
        ([row("f32-clean", 10.0, lost=None)], "ort-f32-t1"),
    ],
    ids=["smaller file", "fewer threads", "smaller drop", "the original"],
)
def test_ties_in_speed(others: list[Row], chosen: str) -> None:
    assert _choose([row("f32", 10), *others], "drop<5%")[0] == chosen


def test_what_is_faster_but_not_proven_is_named_before_the_choice() -> None:
    rows = [row("f32", 10), row("f32-clean", 8, lost=None), row("int8-mse", 4, lost=3, limit=0.005)]
    rows[2].refuse("accuracy not proven")
    chosen, verdicts = _choose(rows, "drop<0.5%")
    assert chosen == "ort-f32-clean-t1"
    assert verdicts == [
        ("drop<0.5%", "ort-int8-mse-t1", "not enough evidence"),
        ("drop<0.5%", "ort-f32-clean-t1", "pass"),
    ]


@pytest.mark.parametrize(
    ("budget", "clause", "verdict", "reason"),
    [
        ("p50<2ms", "p50<2ms", "fail", "p50<2ms: "),
        ("size<1MB", "size<1MB", "fail", "size<1MB: 3 MB"),
        ("rss<50MB", "rss<50MB", "fail", "rss<50MB: 100 MB"),
        ("fps>1000", "fps>1000", "fail", "fps>1000: "),
        ("energy<5mJ", "energy<5mJ", "not measured", "energy<5mJ: not measured on this machine"),
        ("p999<50ms", "p999<50ms", "not enough evidence", "needs 6,636 runs, had 840"),
    ],
)
def test_an_infeasible_budget_shows_the_nearest_candidate(
    budget: str, clause: str, verdict: str, reason: str
) -> None:
    rows = [row("f32", 10, size_mb=9), row("int8-mse", 4, size_mb=3)]
    assert _choose(rows, budget) == (None, [(clause, "ort-int8-mse-t1", verdict)])
    assert rows[1].status == "refused"
    assert reason in (rows[1].reason or "")


def test_a_failed_candidate_takes_no_part() -> None:
    broken = row("int8-mse", 1)
    broken.status, broken.reason = "failed", "crashed: SIGABRT"
    assert _choose([row("f32", 10), broken], "drop<2%")[0] == "ort-f32-t1"
