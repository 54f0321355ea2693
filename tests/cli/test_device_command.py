"""`edgeproof device`: CONTRACT's document, and a page for people."""

from __future__ import annotations

import json

import pytest

from edgeproof.cli.main import main

_KEYS = {
    "board", "processor", "isa", "cores", "memory_mb", "memory_limit_mb", "meters", "thermal", "engines", "checks",
}  # fmt: skip


def test_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["device", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert not done.value.code
    assert set(document) >= _KEYS
    assert document["cores"] >= 1
    engines = {engine["name"]: engine for engine in document["engines"]}
    assert "cpu" in engines["onnxruntime"]["devices"]
    assert "CPUExecutionProvider" in engines["onnxruntime"]["providers"]
    assert engines["onnxruntime"]["install"] is None
    for check in document["checks"]:
        assert check["state"] in ("ok", "warn")
        assert (check["fix"] is None) == (check["state"] == "ok")


def test_people_read_what_is_not_verified(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(
        "onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    with pytest.raises(SystemExit):
        main(["device"])
    assert "cuda (not verified on hardware)" in capsys.readouterr().err
