"""`edgeproof attributes` and `edgeproof attributes evaluate`: CONTRACT's documents, exit codes, clear errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeproof.cli.main import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return int(caught.value.code or 0), captured.out, captured.err

    return call


def test_the_document_of_attributes(run: Run, shared: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    photo = shared / "data/facedet/images/maksssksksss123.jpg"
    code, out, err = run(
        "attributes", photo, tmp_path, "--json", "--detector", shared / "models/yunet-n-dynamic.onnx"
    )
    good, bad = json.loads(out)["images"]
    assert code == 1
    assert good["path"] == str(photo)
    for face in good["faces"]:
        assert face.keys() >= {"bbox", "age", "gender", "unsure"}
        assert face["age"].keys() == {"bucket", "years", "low", "high", "probability"}
        assert face["age"]["low"] <= face["age"]["years"] <= face["age"]["high"]
        assert face["gender"].keys() == {"label", "probability"}
    assert (bad["faces"], bad["error"]["code"]) == ([], "not_an_image")
    assert "2 pictures: 2 faces" in err


def test_the_document_of_evaluate(run: Run, shared: Path, tmp_path: Path) -> None:
    lines = (shared / "data/fairface/val.csv").read_text().splitlines()[:21]
    (tmp_path / "few.csv").write_text("\n".join(lines))
    given = ("attributes", "evaluate", "--csv", tmp_path / "few.csv", "--images", shared / "data/fairface")
    code, out, err = run(*given, "--json")
    document = json.loads(out)
    assert code == 0
    assert document.keys() >= {"gender_accuracy", "age_exact", "age_within_one", "n", "by_group"}
    assert document["n"] == 20
    assert list(document["by_group"]["gender"]) == ["Male", "Female"]
    assert "all but the unsure" in err
    code, out, _ = run(*given, "--json", "--threshold", "1", "--share", "1")
    assert json.loads(out)["sure"]["share"] < document["sure"]["share"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["attributes", "{}/nowhere.jpg"], 2, "isn't there"),
        (["attributes", "{}"], 1, "There is no picture"),
        (["attributes", "{}/x.png", "--threshold", "0.2"], 2, "threshold is 0.2"),
        (["attributes", "{}/x.png", "--model", "{}/none.onnx"], 2, "none.onnx"),
        (["attributes", "evaluate", "--csv", "{}/none.csv", "--images", "{}"], 2, "isn't there"),
    ],
)
def test_one_clear_line_and_the_right_exit_code(
    run: Run, tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    if any("x.png" in argument for argument in arguments):
        (tmp_path / "x.png").write_bytes(b"x")
    exit_code, out, err = run(*(argument.format(tmp_path) for argument in arguments))
    assert (exit_code, out) == (code, "")
    assert says in err
    assert "Traceback" not in err


def test_without_the_detector_it_says_how_to_get_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEPROOF_HOME", str(tmp_path / "home"))
    (tmp_path / "x.png").write_bytes(b"x")
    code, out, err = run("attributes", tmp_path / "x.png")
    assert (code, out) == (1, "")
    assert "edgeproof models pull yunet" in err
