"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of published weights and images; skips where it is absent."""
    folder = Path(os.environ.get("EDGEPROOF_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"needs the test images, not found at {folder} (set EDGEPROOF_SHARED)")
    return folder
