"""Inputs and outputs as an ncnn .param file tells them; whatever it holds, nothing but ModelError."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproof.core.errors import ModelError
from edgeproof.engines.ncnn_param import parse_param, told_shapes

GOOD = """7767517
4 5
Input     in   0 1 data 0=5 1=6 2=3
Split     two  1 2 data a b
ReLU      r    1 1 a y
Sigmoid   s    1 1 b z
"""


def test_inputs_and_outputs_in_order() -> None:
    assert parse_param(GOOD) == ({"data": (3, 6, 5)}, ["y", "z"])


@pytest.mark.parametrize(
    ("settings", "shape"),
    [("", ()), ("0=3", (3,)), ("0=3 1=2", (2, 3)), ("0=1 1=2 11=3 2=4", (4, 3, 2, 1)), ("0=-1", ())],
)
def test_an_inputs_shape_has_the_width_last(settings: str, shape: tuple[int, ...]) -> None:
    text = f"7767517\n2 2\nInput in 0 1 x {settings}\nReLU r 1 1 x y\n"
    assert parse_param(text).inputs == {"x": shape}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "7767517"),
        (GOOD.replace("7767517", "7767518"), "7767517"),
        (GOOD.replace("4 5", "5 5"), "counts 5"),
        (GOOD.replace("1 2 data a b", "1 3 data a b"), "can't be read"),
        (GOOD.replace("Input ", "Memory "), "no input"),
        (GOOD.replace("0=5", "0=five"), "can't be read"),
    ],
)
def test_what_is_wrong_is_told(text: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        parse_param(text)


@given(st.integers(0, len(GOOD) - 1), st.text(max_size=3))
def test_a_changed_file_is_read_or_refused(place: int, piece: str) -> None:
    try:
        parse_param(GOOD[:place] + piece + GOOD[place + 1 :])
    except ModelError as error:
        assert error.hint  # noqa: PT017 - most changes leave a file that can be read


TOLD = GOOD + "# edgeproof input data 1x3x6x5\n# edgeproof output z 1x90\n# edgeproof output y 1x3x6x5\n"


def test_shapes_told_behind_the_layers_in_their_order() -> None:
    assert parse_param(TOLD) == parse_param(GOOD)
    told = told_shapes(TOLD)
    assert told == ({"data": (1, 3, 6, 5)}, {"z": (1, 90), "y": (1, 3, 6, 5)})
    assert list(told.outputs) == ["z", "y"]
    assert told_shapes(GOOD) == ({}, {})


@pytest.mark.parametrize(
    "line", ["input data", "input data 1xa", "input data 0x3", "middle data 1x3", "input a b 1"]
)
def test_told_shapes_that_cant_be_read(line: str) -> None:
    with pytest.raises(ModelError, match="can't be read"):
        told_shapes(f"{GOOD}# edgeproof {line}\n")
