"""A smaller sample of docs/measurer.md: what is planted is found, and what isn't there is not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
TRACES, SEED = 4, 5


def _measurer() -> ModuleType:
    import sys

    spec = importlib.util.spec_from_file_location("measurer", ROOT / "benchmarks" / "measurer.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["measurer"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


MEASURER = _measurer()


@pytest.mark.parametrize("case", MEASURER.CASES, ids=lambda case: case.name)
def test_the_measurer_is_right_about_synthetic_runners(case: object) -> None:
    # At the rates that the page allows, more than one of so few would be wrong once in some hundred tries.
    found = MEASURER.score(case, TRACES, SEED)
    assert found.false_alarms <= 1
    assert (found.misses or 0) <= 1


def test_the_page_has_every_case_within_its_limits() -> None:
    page = (ROOT / "docs" / "measurer.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in page.splitlines() if line.count("|") == 6][2:]
    assert [row[0].strip() for row in rows] == [case.name for case in MEASURER.CASES]
    for _, _, traces, false_alarms, misses in rows:
        assert int(traces) >= 300
        assert int(false_alarms.split("(")[0]) <= 0.01 * int(traces)
        assert misses.strip() == "–" or int(misses.split("(")[0]) <= 0.05 * int(traces)
