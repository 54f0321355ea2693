"""What is tried, by what is installed and what the processor has."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from edgeproof.fit import candidates
from edgeproof.fit.candidates import plan


@pytest.mark.parametrize(
    ("installed", "isa", "openvino"),
    [
        (False, ["amx_bf16"], []),
        (True, ["avx2"], ["ov-f32-t1", "ov-int8-mse-t1"]),
        (True, ["avx2", "avx512_bf16"], ["ov-f32-t1", "ov-int8-mse-t1", "ov-bf16-t1"]),
        (True, ["asimd", "bf16"], ["ov-f32-t1", "ov-int8-mse-t1", "ov-bf16-t1"]),
    ],
)
def test_openvino_is_tried_where_it_is_and_bf16_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, installed: bool, isa: Sequence[str], openvino: list[str]
) -> None:
    monkeypatch.setattr(candidates, "find_spec", lambda _name: object() if installed else None)
    planned = plan([1], isa, None)
    assert planned[0].id == "ort-f32-t1"
    assert [one.id for one in planned if one.engine == "openvino"] == openvino
    assert all(one.id.startswith("ort-") for one in planned if one.engine == "onnxruntime")
    assert len({one.id for one in planned}) == len(planned)


def test_a_candidate_that_computes_otherwise_says_so_and_is_judged_by_a_wider_tolerance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(candidates, "find_spec", lambda _name: object())
    by_id = {one.id: one for one in plan([2], ["amx_bf16"], "N")}
    bf16, f32 = by_id["ov-bf16-t2"], by_id["ov-f32-t2"]
    assert (bf16.precision, bf16.options, f32.precision, f32.options) == (
        "bf16",
        {"precision": "bf16", "fixed_shape": "N=1"},
        "f32",
        {"fixed_shape": "N=1"},
    )
    assert bf16.tolerance > f32.tolerance
