"""What all tests share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what goes on in the background so, and our children would inherit it: tests that interrupt
    # them would wait for what never comes.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of published weights and images; skips where it is absent."""
    folder = Path(os.environ.get("EDGEPROOF_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"needs the test images, not found at {folder} (set EDGEPROOF_SHARED)")
    return folder
