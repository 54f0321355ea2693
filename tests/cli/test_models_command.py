"""`edgeproof models`: CONTRACT's document, exit codes, and what people read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from edgeproof.bundles import download
from edgeproof.bundles.catalogue import catalogue
from edgeproof.cli.main import main

_KEYS = {"name", "task", "licence", "commercial", "bytes", "sha256", "installed", "source", "files"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of its own, and nothing from outside."""
    monkeypatch.setenv("EDGEPROOF_HOME", str(tmp_path / "home"))
    for name in ("EDGEPROOF_MIRROR", "EDGEPROOF_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "_open", lambda *_: pytest.fail("the network was used"))
    return tmp_path / "home" / "models"


class Told:
    """What a run printed and how it ended."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        with pytest.raises(SystemExit) as done:
            main(["models", *arguments])
        self.code = done.value.code or 0
        self.out, self.err = capsys.readouterr()

    @property
    def models(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in json.loads(self.out)["models"]}


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    models = Told(capsys, "list", "--json").models
    assert models.keys() == catalogue().keys()
    for row in models.values():
        assert row.keys() >= _KEYS
        assert row["installed"] is False
    assert models["retinaface-wider"]["bytes"] == sum(
        file["bytes"] for file in models["retinaface-wider"]["files"]
    )
    assert models["curricularface-ir101"]["sha256"] is None


@pytest.mark.parametrize(
    ("options", "there", "absent"),
    [
        (["--task", "face-detection"], "yunet", "mobilefacenet"),
        (["--commercial-only"], "yunet", "scrfd-10g"),
        (["--task", "face-recognition", "--commercial-only"], "auraface", "arcface-r50"),
    ],
)
@pytest.mark.parametrize("verb", ["list", "licences"])
def test_a_choice(
    capsys: pytest.CaptureFixture[str], verb: str, options: list[str], there: str, absent: str
) -> None:
    names = Told(capsys, verb, *options, "--json").models
    assert there in names
    assert absent not in names
    shown = Told(capsys, verb, *options).err
    assert there in shown
    assert absent not in shown


def test_pull_verify_and_mend(capsys: pytest.CaptureFixture[str], shared: Path, home: Path) -> None:
    mirror = ("--mirror", str(shared / "models"))
    told = Told(capsys, "pull", "yunet", "mobilefacenet", *mirror)
    assert told.code == 0
    assert "Apache-2.0" in told.err
    assert "Not for commercial use" in told.err
    assert catalogue()["yunet"].files[0].sha256 in told.err  # type: ignore[operator]
    assert "intact" in Told(capsys, "pull", "yunet").err
    assert Told(capsys, "list", "--json").models["yunet"]["installed"] is True

    verified = Told(capsys, "verify", "--json")
    assert (verified.code, set(verified.models)) == (0, {"yunet", "mobilefacenet"})
    os.truncate(home / "yunet" / "yunet-n-dynamic.onnx", 1000)
    verified = Told(capsys, "verify", "--json")
    assert (verified.code, verified.models["yunet"]["state"]) == (1, "damaged")
    assert "edgeproof models pull yunet" in Told(capsys, "verify").err
    row = Told(capsys, "pull", "yunet", *mirror, "--json").models["yunet"]
    assert row["fetched"] is True
    assert row["installed"] is True
    assert Told(capsys, "verify", "yunet").code == 0


def test_verify_without_models(capsys: pytest.CaptureFixture[str]) -> None:
    told = Told(capsys, "verify")
    assert (told.code, "No model is installed" in told.err) == (0, True)
    assert Told(capsys, "verify", "yunet").code == 1


def test_one_that_fails_does_not_stop_the_others(
    capsys: pytest.CaptureFixture[str], shared: Path, tmp_path: Path
) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "yunet-n-dynamic.onnx").symlink_to(shared / "models" / "yunet-n-dynamic.onnx")
    told = Told(capsys, "pull", "ultraface", "yunet", "--mirror", str(mirror), "--json")
    assert told.code == 1
    assert told.models["ultraface"]["error"]["code"] == "download"
    assert told.models["yunet"]["installed"] is True


def test_a_whole_task(capsys: pytest.CaptureFixture[str], shared: Path) -> None:
    told = Told(
        capsys,
        "pull",
        "--task",
        "attributes",
        "--commercial-only",
        "--mirror",
        str(shared / "models"),
        "--json",
    )
    assert told.code == 0
    assert set(told.models) == {"face-api-age-gender", "ssrnet-age"}


def test_an_unknown_digest_is_shown_when_it_is_taken(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "yolov5n.pt").write_bytes(b"weights")
    mirror = ("--mirror", str(tmp_path))
    refused = Told(capsys, "pull", "yolov5n", *mirror)
    assert (refused.code, "--accept-unknown-digest" in refused.err) == (2, True)
    told = Told(capsys, "pull", "yolov5n", *mirror, "--accept-unknown-digest")
    assert "was not known, and is held to from now on" in told.err
    row = Told(capsys, "list", "--json").models["yolov5n"]
    assert row["installed"] is True
    assert row["sha256"] in told.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["pull"], 2, "nothing to pull"),
        (["pull", "yunt"], 2, "Did you mean yunet?"),
        (["pull", "yunet", "--offline"], 1, "no network may be used"),
        (["pull", "yunet", "--mirror", "http://example.com"], 2, "not https"),
        (["pull", "yunet", "--mirror", "/no/such/folder"], 2, "no folder"),
        (["pull", "yunet", "mobilefacenet", "--commercial-only"], 2, "mobilefacenet: not for commercial use"),
        (["pull", "yunet", "--task", "detect"], 2, "not for the task"),
        (["list", "--task", "face"], 2, "Known: attributes"),
        (["verify", "x"], 2, "no model 'x'"),
    ],
)
def test_mistakes(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str) -> None:
    told = Told(capsys, *arguments)
    assert told.code == code
    assert words in told.err
    assert "Traceback" not in told.err


def test_offline_by_variable(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPROOF_OFFLINE", "1")
    assert "no network may be used" in Told(capsys, "pull", "yunet").err
