"""A soak: what a steady network, and one that fails, look like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgeproof
from boards import bare
from edgeproof.core.errors import UsageError
from edgeproof.measure.runs import Variant
from edgeproof.measure.soak import document, soak

NETWORK = Path(edgeproof.__file__).parent / "data" / "orientation.onnx"


def _variant(tmp_path: Path, model: Path) -> Variant:
    rows = tmp_path / "rows.npy"
    np.save(rows, np.zeros((1, 1, 3, 192, 192), np.float32))
    return Variant("net", model, inputs={"input": rows}, whole=True)


def test_a_soak_keeps_its_series_and_says_what_it_can(tmp_path: Path) -> None:
    board = bare(tmp_path / "machine")
    seen = soak(_variant(tmp_path, NETWORK), {}, minutes=0.03, root=board.root, runner=board.run)
    told = document(seen)
    assert told["runs"] == seen.runs > 0
    assert (
        len(told["series"]["seconds"])
        == len(told["series"]["rss_mb"])
        == len(told["series"]["latency_ms"])
        > 0
    )
    assert told["memory"]["rss"]["verdict"] == "not measured"  # two seconds say nothing about a leak
    assert told["throttle"]["verdict"] == "not measured"
    assert told["sensors"]["mhz"] is None
    assert told["verdict"] == "not enough evidence"


def test_a_network_that_cannot_load_is_a_failed_soak(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    told = document(soak(_variant(tmp_path, broken), {}, minutes=1))
    assert told["verdict"] == "failed"
    assert told["error"]["code"] == "model"
    assert told["latency_ms"]["p50"] is None


@pytest.mark.parametrize("minutes", [0.0, -3.0, float("nan"), float("inf")])
def test_minutes_that_make_no_sense_are_refused(tmp_path: Path, minutes: float) -> None:
    with pytest.raises(UsageError):
        soak(_variant(tmp_path, NETWORK), {}, minutes=minutes)
