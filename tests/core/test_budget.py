"""The budget grammar: what is meant is read, what isn't clear is refused with what to write instead."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproof.core.budget import METRICS, Budget
from edgeproof.core.errors import BudgetError, EdgeproofError, NotFoundError, UsageError


@pytest.mark.parametrize(
    ("text", "metric", "limit"),
    [
        ("p99<35ms", "p99", 35.0),
        ("P99 < 35ms", "p99", 35.0),
        ("p99 <= 35 ms", "p99", 35.0),
        ("p50<800us", "p50", 0.8),
        ("p50<800µs", "p50", 0.8),
        ("cold<2s", "cold", 2000.0),
        ("rss<200MB", "rss", 200.0),
        ("rss<1GiB", "rss", 1073.741824),
        ("size<500kB", "size", 0.5),
        ("fps>30", "fps", 30.0),
        ("fps>=29.97fps", "fps", 29.97),
        ("fps>.5/s", "fps", 0.5),
        ("energy<1e-2J", "energy", 10.0),
        ("drop<1%", "drop", 0.01),
        ("drop<0.5pt", "drop", 0.005),
    ],
)
def test_one_clause(text: str, metric: str, limit: float) -> None:
    (clause,) = Budget.parse(text)
    assert (clause.metric, clause.limit) == (metric, pytest.approx(limit))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("p98<35ms", "Did you mean p9"),
        ("latency<35ms", "has no clause 'latency'"),
        ("p99<35", "one of these units: us, µs, ms, s"),
        ("p99<35MB", "one of these units"),
        ("p99<fastms", "Can't read the limit"),
        ("p99>35ms", "Write p99<35ms"),
        ("p99=35ms", "Write p99<35ms"),
        ("fps<30", "Write fps>30"),
        ("drop<1", "one of these units: %"),
        ("p99<0ms", "above 0"),
        ("p99<-1ms", "Can't read the limit"),
        ("p99<1e999ms", "above 0"),
        ("p99<nanms", "Can't read the limit"),
        ("p99", "Can't read the budget clause 'p99'"),
        ("p99<35ms p50<2ms", "Can't read"),
        ("p99<35ms, p99<30ms", "bounds p99 twice"),
        ("p99<35ms; rss<2MB", "Can't read"),
    ],
)
def test_an_unclear_clause_is_refused_with_what_to_write(text: str, says: str) -> None:
    with pytest.raises(BudgetError) as caught:
        Budget.parse(text)
    assert says in str(caught.value)
    assert caught.value.hint


def test_clauses_keep_their_order_and_can_be_written_out_and_read_again() -> None:
    budget = Budget.parse("p99<35ms, rss < 200 MB,size<2MB, fps>30,, drop<1%")
    assert [clause.metric for clause in budget] == ["p99", "rss", "size", "fps", "drop"]
    assert Budget.parse(str(budget)) == budget
    assert not list(Budget.parse(""))
    clause = budget.get("rss")
    assert clause is not None
    assert clause.limit == 200.0
    assert budget.get("cold") is None


def test_a_default_clause_gives_way_to_the_users_own() -> None:
    assert str(Budget.parse("drop<3%").with_default("drop<1%")) == "drop<3%"
    assert str(Budget.parse("p99<3ms").with_default("drop<1%")) == "p99<3ms, drop<1%"


@pytest.mark.parametrize(
    ("text", "value", "margin"),
    [("p99<40ms", 30.0, 0.25), ("p99<40ms", 50.0, -0.25), ("fps>20", 30.0, 0.5), ("fps>20", 10.0, -0.5)],
)
def test_the_margin_is_positive_inside_the_limit(text: str, value: float, margin: float) -> None:
    (clause,) = Budget.parse(text)
    assert clause.margin(value) == pytest.approx(margin)


@pytest.mark.parametrize("head", ["[budget]\n", ""])
def test_a_toml_file_means_the_same(tmp_path: Path, head: str) -> None:
    file = tmp_path / "budget.toml"
    file.write_text(head + 'p99 = "<35ms"\nrss = "< 200MB"\nfps = ">30"\n')
    assert Budget.parse(str(file)) == Budget.parse("p99<35ms, rss<200MB, fps>30")


@pytest.mark.parametrize(
    "content",
    [
        b"p99 = 35",
        b"budget = 3",
        b"[budget]\np99 = {max = 3}",
        b"p99 <",
        b"\xff\xfe",
        b'p98 = "<35ms"',
        b"a = " + b"[" * 30_000,
        b"#" * 70_000,
    ],
)
def test_a_toml_file_that_is_no_budget_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b.toml").write_bytes(content)
    with pytest.raises(BudgetError):
        Budget.parse(str(tmp_path / "b.toml"))


@pytest.mark.parametrize("name", ["nowhere.toml", "nul\0.toml"])
def test_a_toml_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        Budget.parse(str(tmp_path / name))
    assert isinstance(caught.value, NotFoundError)


@given(st.text(alphabet="p95<>=,. 0123456789emsMB%/fdrop\x00é\n", max_size=40))
def test_any_text_is_a_budget_or_a_budget_error(text: str) -> None:
    with contextlib.suppress(BudgetError):
        assert all(clause.limit > 0 for clause in Budget.parse(text))


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(METRICS)), st.floats(1e-6, 1e6)), unique_by=lambda pair: pair[0]
    )
)
def test_what_a_budget_prints_is_read_as_the_same_budget(pairs: list[tuple[str, float]]) -> None:
    text = ", ".join(
        f"{name}{METRICS[name].bound}{value!r}{next(iter(METRICS[name].units))}" for name, value in pairs
    )
    budget = Budget.parse(text)
    assert Budget.parse(str(budget)) == budget
    assert len(budget.clauses) == len(pairs)


def test_every_refusal_is_ours() -> None:
    with pytest.raises(EdgeproofError):
        Budget.parse("x" * 5000 + ".toml")
