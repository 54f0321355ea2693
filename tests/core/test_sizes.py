"""Amounts of memory as people write them."""

from __future__ import annotations

import pytest

from edgeproof.core.errors import BudgetError
from edgeproof.core.sizes import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("160MB", 160_000_000),
        ("160", 160_000_000),
        (" 0.5 gb ", 500_000_000),
        ("512MiB", 512 << 20),
        (".5kB", 500),
        ("7b", 7),
    ],
)
def test_it_reads_what_people_write(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "MB", "0", "0MB", "-5MB", "160 MBs", "1e3MB", "nan", "inf", "9" * 400, "0.1b"]
)
def test_nonsense_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BudgetError, match="such as 160MB"):
        parse_size(text)
