"""The service with networks of the catalogue, as it really runs."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from cli.processes import ENVIRONMENT, start
from serve.real_server import running
from serve.served_models import face_photo, install


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store without a network."""
    monkeypatch.setitem(ENVIRONMENT, "EDGEPROOF_HOME", str(tmp_path / "home"))
    return tmp_path


def _refused(*options: str) -> str:
    process = start("serve", "--port", "0", *options)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 1, said
    assert len(said.strip().splitlines()) == 1
    return said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "edgeproof models pull yunet"),
        (["--task", "embeddings"], "edgeproof models pull"),
        (["--task", "detect"], "--model detect=FILE"),
    ],
)
def test_a_network_that_is_missing_stops_the_start(store: Path, options: list[str], words: str) -> None:
    assert words in _refused(*options)


def test_attributes_are_what_is_served_first(
    store: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(shared, store, monkeypatch, "yunet")
    with running(task="") as server:
        assert server.facts["tasks"] == ["attributes", "orientation"]
        assert server.facts["memory_bytes"] < server.facts["memory_budget_bytes"]
        answer = httpx.post(f"{server.url}/predict", files={"image": face_photo(shared)}, timeout=60)
        assert (answer.json()["task"], len(answer.json()["result"]["faces"])) == ("attributes", 2)
        turn = httpx.post(f"{server.url}/v1/orientation", files={"image": face_photo(shared)}, timeout=60)
        assert turn.json()["images"][0]["result"]["turn"] == 0
        code, said = server.end()
    assert (code, "Traceback" in said) == (0, False)


def test_a_budget_that_no_picture_fits_in_is_refused(
    store: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside yolox-nano's 40 MB for a run: the networks fit, and every picture would be refused."""
    said = start(
        "serve", "--port", "0", "--mem-budget", "130MB",
        "--task", "orientation", "--model", f"detect={shared / 'models/yolox-nano.onnx'}",
    ).communicate(timeout=120)[1]  # fmt: skip
    assert "Give at least" in said
    assert "to look at a picture" in said


@pytest.mark.parametrize("name", ["yunet-n-dynamic.onnx", "imagenet-labels.txt"])
def test_a_network_for_something_else_stops_the_start(store: Path, shared: Path, name: str) -> None:
    said = _refused("--task", "orientation", "--model", f"detect={shared / 'models' / name}")
    assert "not for detect" in said
