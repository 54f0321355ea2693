"""A missing library is named with what to install; a broken one keeps its own words."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeproof.core.errors import MissingExtraError
from edgeproof.core.extras import require


def test_a_library_that_is_there_is_imported() -> None:
    assert require("json.decoder", extra="x", purpose="Reading").__name__ == "json.decoder"


@pytest.mark.parametrize("module", ["edgeproof_absent", "edgeproof_absent.inner"])
def test_a_missing_library_says_what_to_install(module: str) -> None:
    with pytest.raises(MissingExtraError) as caught:
        require(module, extra="fit", purpose="Optimising a network")
    assert caught.value.message.startswith("Optimising a network needs the Python package edgeproof_absent,")
    assert 'pip install "edgeproof[fit]"' in caught.value.hint


def test_a_library_that_is_itself_broken_says_so_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "edgeproof_broken.py").write_text("import edgeproof_absent\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="edgeproof_absent"):
        require("edgeproof_broken", extra="fit", purpose="Optimising")
