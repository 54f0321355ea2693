"""`edgeproof faces embed|compare|verify`: CONTRACT's documents, exit codes, clear errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproof.cli.main import main
from imaging.picture_files import bomb, encode, scene

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["faces", *map(str, arguments)])
        captured = capsys.readouterr()
        return int(caught.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def networks(shared: Path) -> tuple[str, ...]:
    models = shared / "models"
    return (
        "--detector",
        str(models / "yunet-n-dynamic.onnx"),
        "--recognizer",
        str(models / "mobilefacenet-foamliu.onnx"),
    )


@pytest.fixture(scope="module")
def lfw(shared: Path) -> Path:
    return shared / "data" / "lfw" / "images"


def _document(out: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(out)
    assert out.count("\n") == 1
    return document


def test_embed_gives_each_face_a_vector(
    run: Run, networks: tuple[str, ...], lfw: Path, tmp_path: Path
) -> None:
    (tmp_path / "no face.png").write_bytes(encode(scene(120, 90), "PNG"))
    out = tmp_path / "faces.npz"
    code, text, said = run(
        "embed", lfw / "Abel_Pacheco", tmp_path, "--out", out, "--json", "--workers", 2, *networks
    )
    assert code == 0, said
    document = _document(text)
    rows = document["images"]
    assert [len(row["faces"]) for row in rows[:-1]] == [1] * (len(rows) - 1)
    assert rows[-1] == {
        "path": str(tmp_path / "no face.png"),
        "width": 120,
        "height": 90,
        "faces": [],
        "error": None,
    }
    face = rows[0]["faces"][0]
    assert set(face) == {"bbox", "kps", "score", "embedding", "quality"}
    assert np.linalg.norm(face["embedding"]) == pytest.approx(1, abs=1e-4)
    with np.load(out, allow_pickle=False) as saved:
        assert saved["embeddings"].shape == (len(rows) - 1, 128)
        assert saved["embeddings"][0] == pytest.approx(face["embedding"], abs=1e-6)
        assert list(saved["paths"]) == [row["path"] for row in rows]
        assert list(saved["image"]) == list(range(len(rows) - 1))
        assert str(saved["model"]) == document["model"]["sha256"]
    assert "without one" in said


def test_embed_reports_what_can_t_be_read_and_goes_on(
    run: Run, networks: tuple[str, ...], lfw: Path, tmp_path: Path
) -> None:
    (tmp_path / "bomb.png").write_bytes(bomb("PNG"))
    (tmp_path / "half.jpg").write_bytes(encode(scene(300, 300), "JPEG")[:2000])
    (tmp_path / "text.jpg").write_text("no picture")
    whole = sorted(lfw.glob("Abel_Pacheco/*.jpg"))[0]
    code, text, said = run("embed", tmp_path, whole, "--json", *networks)
    assert code == 1
    rows = _document(text)["images"]
    assert [row["error"] and row["error"]["code"] for row in rows] == [
        "image_too_large",
        "truncated_image",
        "not_an_image",
        None,
    ]
    assert len(rows[-1]["faces"]) == 1
    assert "3 errors" in said


def test_compare_says_whether_two_pictures_show_one_person(
    run: Run, networks: tuple[str, ...], lfw: Path
) -> None:
    one, two = sorted(lfw.glob("Abel_Pacheco/*.jpg"))[:2]
    other = sorted(lfw.glob("Akhmed_Zakayev/*.jpg"))[0]
    code, text, said = run("compare", one, two, "--json", *networks)
    document = _document(text)
    assert (code, document["same"], document["model"]) == (0, True, "mobilefacenet")
    assert document["threshold"] == pytest.approx(0.336)
    assert document["similarity"] > 0.4
    assert "The same person" in said
    code, text, said = run("compare", one, other, "--json", *networks)
    assert (code, _document(text)["same"]) == (0, False)
    assert "Two different people" in said
    code, text, _ = run("compare", one, one, "--threshold", "1", "--json", *networks)
    assert _document(text)["similarity"] == pytest.approx(1, abs=1e-4)
    assert _document(text)["threshold"] == 1


def test_compare_takes_the_largest_face_and_says_so(
    run: Run, networks: tuple[str, ...], lfw: Path, tmp_path: Path
) -> None:
    from PIL import Image

    one, other = sorted(lfw.glob("Abel_Pacheco/*.jpg"))[0], sorted(lfw.glob("Akhmed_Zakayev/*.jpg"))[0]
    both = Image.new("RGB", (750, 500))
    both.paste(Image.open(other), (0, 0))
    both.paste(Image.open(one).resize((500, 500)), (250, 0))
    both.save(tmp_path / "both.png")
    code, text, said = run("compare", tmp_path / "both.png", one, "--json", *networks)
    document = _document(text)
    assert (code, document["a"]["faces"], document["same"]) == (0, 2, True)
    assert "has 2 faces; the largest was compared" in said


def test_a_picture_without_a_face_can_t_be_compared(
    run: Run, networks: tuple[str, ...], lfw: Path, tmp_path: Path
) -> None:
    (tmp_path / "scene.png").write_bytes(encode(scene(200, 200), "PNG"))
    code, text, said = run(
        "compare", sorted(lfw.glob("Abel_Pacheco/*.jpg"))[0], tmp_path / "scene.png", *networks
    )
    assert (code, text) == (1, "")
    assert "There is no face in" in said
    assert "Traceback" not in said


def test_verify_gives_contract_s_document(
    run: Run, networks: tuple[str, ...], shared: Path, tmp_path: Path
) -> None:
    lines = (shared / "data" / "lfw" / "pairs.csv").read_text().splitlines()
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("\n".join([lines[0], *lines[1::75]]))
    arguments = ("verify", "--pairs", pairs, "--images", shared / "data" / "lfw" / "images", *networks)
    code, text, said = run(*arguments, "--json")
    document = _document(text)
    assert code == 0
    assert {"accuracy", "std", "threshold", "tar_at_far", "pairs", "failed"} <= set(document)
    assert set(document["tar_at_far"]) == {"0.01", "0.001"}
    assert (document["pairs"], document["failed"], len(document["folds"])) == (16, 0, 2)
    assert "n/a: too few pairs" in said


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["embed"], 2, "Missing argument"),
        (["embed", "nowhere.jpg"], 2, "nowhere.jpg"),
        (["embed", ".", "--out", "faces.csv"], 2, "ends in .npz"),
        (["embed", ".", "--scales", "big"], 2, "--scales"),
        (["embed", ".", "--engine-option", "x"], 2, "NAME=VALUE"),
        (["compare", "one.jpg"], 2, "Missing argument"),
        (["compare", "a", "b", "--threshold", "7"], 2, "threshold"),
        (["verify", "--pairs", "x.csv"], 2, "--images"),
        (["verify", "--pairs", "nowhere.csv", "--images", "."], 2, "nowhere.csv"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    found, text, said = run(*arguments)
    assert (found, text) == (code, "")
    assert words in said
    assert "Traceback" not in said


def test_models_that_are_not_installed_are_named_with_the_command_that_fetches_them(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEPROOF_HOME", str(tmp_path / "home"))
    (tmp_path / "a.png").write_bytes(encode(scene(), "PNG"))
    code, _, said = run("compare", tmp_path / "a.png", tmp_path / "a.png")
    assert code == 1
    assert "edgeproof models pull" in said
