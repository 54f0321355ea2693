from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edgeproof.core.errors import DataError, UsageError
from edgeproof.measure.pairing import compare_files
from measure.runs_files import HOST, measured, runs_file


def test_variants_pair_by_id_and_the_second_is_told_against_the_first() -> None:
    a = runs_file([measured("x", 10), measured("y", 10), measured("only here", 10)])
    b = runs_file([measured("y", 30, 1), measured("x", 5, 1)])
    found = compare_files(a, b)
    assert [(one.id, two.id, result.verdict) for one, two, result in found.pairs] == [
        ("x", "x", "faster"),
        ("y", "y", "slower"),
    ]
    assert found.pairs[0][2].ratio == pytest.approx(0.5, rel=0.05)
    assert found.unpaired == ["only here"]
    assert found.notes == []


def test_one_file_compares_with_its_first() -> None:
    found = compare_files(runs_file([measured("a", 10), measured("b", 5), measured("c", 10, 3)]), None)
    assert [(one.id, two.id, result.verdict) for one, two, result in found.pairs] == [
        ("a", "b", "faster"),
        ("a", "c", "can't tell"),
    ]
    with pytest.raises(DataError, match="fewer than two"):
        compare_files(runs_file([measured()]), None)


def test_single_variants_and_ways_of_one_target_pair_whatever_their_names() -> None:
    one = compare_files(runs_file([measured("fp32 t1", 10)]), runs_file([measured("int8 t1", 4)]))
    assert one.pairs[0][2].verdict == "faster"

    def file(target: str, ms: float) -> Any:
        return runs_file([measured(f"{target} t{n}", ms / n, target=target, threads=n) for n in (1, 2)])

    pairs = compare_files(file("fp32", 10), file("int8", 4)).pairs
    assert [(one.id, two.id) for one, two, _ in pairs] == [("fp32 t1", "int8 t1"), ("fp32 t2", "int8 t2")]


def test_files_without_anything_in_common_are_refused() -> None:
    a = runs_file([measured("a"), measured("b", target="other")])
    with pytest.raises(DataError, match="No variant"):
        compare_files(a, runs_file([measured("c"), measured("d", target="third")]))
    with pytest.raises(DataError, match="No variant"):
        compare_files(a, runs_file([measured("a", blocks=[])]))


@pytest.mark.parametrize(
    "change",
    [{"processor": "Another"}, {"cores": 2}, {"isa": []}, {"board": "A board"}, {"memory_limit_mb": 512}],
)
def test_other_machines_are_refused_unless_asked_for(change: dict[str, Any]) -> None:
    a, b = runs_file([measured()]), runs_file([measured(seed=1)], host={**HOST, **change})
    with pytest.raises(UsageError, match="different machines") as caught:
        compare_files(a, b)
    assert "--across-hosts" in caught.value.hint
    found = compare_files(a, b, across_hosts=True)
    assert found.pairs
    assert "Different machines" in found.notes[0]


def test_another_library_is_told_and_compared() -> None:
    newer = {**HOST, "libraries": {"onnxruntime": "1.21.0"}, "kernel": "6.2", "memory_mb": 8010}
    found = compare_files(runs_file([measured()]), runs_file([measured(seed=1)], host=newer))
    assert len(found.pairs) == 1
    assert found.notes == ["Another kernel: 6.1 and 6.2.", "Another onnxruntime: 1.20.0 and 1.21.0."]


def test_a_machine_that_was_busy_with_one_of_them_is_not_called_a_difference() -> None:
    a = runs_file([measured(ms=10)], reference_ms=1.0)
    b = runs_file([measured(ms=16)], reference_ms=1.6)
    found = compare_files(a, b).pairs[0][2]
    assert found.moved == pytest.approx(1.6)
    assert found.verdict == "can't tell"
    assert compare_files(a, runs_file([measured(ms=16)])).pairs[0][2].verdict == "slower"


def test_one_that_waited_for_cores_is_not_called_slower_for_that() -> None:
    def file(ms: float, waited: float) -> Any:
        variant = measured(ms=ms)
        variant.blocks = [msgspec.structs.replace(block, waited=waited) for block in variant.blocks]
        return runs_file([variant])

    assert compare_files(file(10, 0.0), file(15, 0.4)).pairs[0][2].verdict == "can't tell"
    assert compare_files(file(10, 0.4), file(15, 0.4)).pairs[0][2].verdict == "slower"


def test_a_fixed_rate_is_not_compared_with_runs_one_after_another() -> None:
    a, b = runs_file([measured()]), runs_file([measured()], settings={"rate_hz": 30.0})
    with pytest.raises(UsageError, match="fixed rate"):
        compare_files(a, b)


def test_an_early_end_is_told() -> None:
    found = compare_files(runs_file([measured()], complete=False), runs_file([measured(seed=1)]))
    assert "ended early" in found.notes[0]
