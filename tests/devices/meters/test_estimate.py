"""An estimate says that it is one, and is never found."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from boards import BOARDS
from edgeproof.core.errors import UsageError
from edgeproof.devices.meters import Estimate, present_meters


def test_an_estimate_is_labelled_everywhere() -> None:
    meter = Estimate(6.5)
    meter.start()
    energy = meter.stop()
    assert energy.joules == pytest.approx(6.5 * energy.seconds)
    assert energy.estimated
    assert "estimate" in meter.name
    assert "not measured" in meter.scope
    assert energy.rate_hz is None


@pytest.mark.parametrize("watts", [0, -1, math.nan, math.inf])
def test_what_is_no_power_is_refused(watts: float) -> None:
    with pytest.raises(UsageError):
        Estimate(watts)


def test_stopping_first_is_told() -> None:
    with pytest.raises(UsageError):
        Estimate(1).stop()


@pytest.mark.parametrize("build", BOARDS)
def test_no_board_has_one_by_itself(tmp_path: Path, build) -> None:  # type: ignore[no-untyped-def]
    board = build(tmp_path)
    assert not any(isinstance(meter, Estimate) for meter in present_meters(board.root, board.run))
