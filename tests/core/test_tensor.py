"""What a network takes is checked before it gets it, and what didn't fit is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeproof.core.errors import InputError, ModelError
from edgeproof.core.tensor import TensorSpec, check_feeds

SPECS = (TensorSpec("image", ("N", 3, 8, 8), "float32"), TensorSpec("size", ("N",), "int64"))


def _feeds(**changed: Any) -> Any:
    good = {"image": np.zeros((2, 3, 8, 8), np.float32), "size": np.zeros(2, np.int64)}
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


@pytest.mark.parametrize(
    ("spec", "shape", "accepted"),
    [
        (("N", 3), (1, 3), True),
        (("N", 3), (7, 3), True),
        (("N", 3), (0, 3), False),
        (("N", 3), (1, 4), False),
        (("N", 3), (3,), False),
        (("N", 3), (1, 3, 1), False),
        ((1, 3), (2, 3), False),
        ((), (), True),
        ((0,), (0,), True),
    ],
)
def test_accepts(spec: tuple[int | str, ...], shape: tuple[int, ...], accepted: bool) -> None:
    assert TensorSpec("x", spec, "float32").accepts(shape) is accepted


def test_good_feeds_pass() -> None:
    check_feeds(SPECS, _feeds())
    check_feeds((), {})


@pytest.mark.parametrize(
    ("feeds", "says"),
    [
        (_feeds(imagee=np.zeros(1)), ["no input 'imagee'", "Did you mean image?"]),
        (_feeds(size=None), ["'size' is missing", "size int64[N]"]),
        (_feeds(image=[[1.0]]), ["is a list", "image float32[N, 3, 8, 8]"]),
        (_feeds(image=np.zeros((2, 3, 8, 8))), ["has dtype float64, expected float32", "astype('float32')"]),
        (_feeds(image=np.zeros((2, 3, 8, 8), ">f4")), ["dtype >f4, expected float32"]),
        (_feeds(image=np.zeros((3, 8, 8), np.float32)), ["shape [3, 8, 8]", "float32[N, 3, 8, 8]"]),
        (_feeds(image=np.zeros((0, 3, 8, 8), np.float32)), ["shape [0, 3, 8, 8]"]),
        ({1: np.zeros(1)}, ["no input 1"]),
        (np.zeros((2, 3, 8, 8), np.float32), ["ndarray", "image"]),
        (None, ["NoneType", "image"]),
    ],
)
def test_feeds_that_dont_fit_are_told_what_was_expected(feeds: Any, says: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        check_feeds(SPECS, feeds)
    assert not [part for part in says if part not in str(caught.value)], str(caught.value)


@pytest.mark.parametrize(("name", "shape"), [("", (1,)), ("x", (-1,))])
def test_a_tensor_without_name_or_with_a_negative_size_is_no_network(
    name: str, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ModelError):
        TensorSpec(name, shape, "float32")


def test_a_spec_reads_as_people_write_it() -> None:
    assert str(SPECS[0]) == "image float32[N, 3, 8, 8]"
