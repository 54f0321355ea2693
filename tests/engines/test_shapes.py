"""Shapes given by hand: what is read, and what is asked for otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from edgeproof.core.errors import EdgeproofError, InputError, ModelError, UnknownNameError, UsageError
from edgeproof.core.tensor import TensorSpec
from edgeproof.engines.shapes import Shape, check_elements, check_symbols, parse_shapes


@pytest.mark.parametrize(
    ("text", "names", "shapes"),
    [
        ("", ["x"], {}),
        ("1x3x300x300", ["x"], {"x": (1, 3, 300, 300)}),
        ("Nx3", [], {"input": ("N", 3)}),
        ("a=Nx3, b=5", ["a", "b"], {"a": ("N", 3), "b": (5,)}),
        ("in=put:0=1x2", [], {"in=put:0": (1, 2)}),
    ],
)
def test_what_is_read(text: str, names: list[str], shapes: dict[str, Shape]) -> None:
    assert parse_shapes(text, names) == shapes


@pytest.mark.parametrize(
    ("text", "names", "error"),
    [
        ("1x3", ["a", "b"], UsageError),
        ("c=1x3", ["a", "b"], UnknownNameError),
        ("0x3", ["a"], UsageError),
        ("1x-3", ["a"], UsageError),
        ("3xN", ["a"], UsageError),
        ("a=", ["a"], UsageError),
        ("1x9999999999", ["a"], UsageError),
    ],
)
def test_what_is_refused(text: str, names: list[str], error: type[EdgeproofError]) -> None:
    with pytest.raises(error) as caught:
        parse_shapes(text, names)
    assert caught.value.hint


def test_more_than_a_gigabyte_is_refused() -> None:
    check_elements("x", ("N", 3, 4096, 4096))
    with pytest.raises(ModelError, match="gigabyte"):
        check_elements("x", ("N", 3, 99999, 99999))


def test_one_symbol_has_one_value() -> None:
    specs = [TensorSpec("a", ("N", 3), "float32"), TensorSpec("b", ("N", "M"), "float32")]
    check_symbols(specs, {"a": np.ones((2, 3)), "b": np.ones((2, 9))})
    with pytest.raises(InputError, match="size N is 2 in input 'a' and 5 in 'b'"):
        check_symbols(specs, {"a": np.ones((2, 3)), "b": np.ones((5, 9))})
