"""Versions of packages, as `importlib.metadata` tells them."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from edgeproof.devices.packages import package_version


@pytest.mark.parametrize("name", ["edgeproof", "numpy", "Pillow", "onnxruntime", "simplejpeg", "pytest"])
def test_it_is_what_the_slow_way_tells(name: str) -> None:
    assert package_version(name) == metadata.version(name)


@pytest.mark.parametrize(
    ("text", "version"),
    [("Metadata-Version: 2.1\nName: p\nVersion: 1.2.3+cpu\n", "1.2.3+cpu"), ("Name: p\n", None), ("", None)],
)
def test_a_package_that_doesnt_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, version: str | None
) -> None:
    (tmp_path / "broken_package_p-1.dist-info").mkdir()
    (tmp_path / "broken_package_p-1.dist-info" / "METADATA").write_text(text)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert package_version("broken-package-p") == version


def test_one_that_isnt_there() -> None:
    assert package_version("no-such-package-anywhere") is None
