"""The verbs of a gallery as a user types them: documents, exit codes, clear errors."""

from __future__ import annotations

import base64
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeproof.cli.main import main
from gallery.fake_faces import FakeFaces, picture

pytest.importorskip("cryptography", reason="needs the extra `gallery`")

Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """`edgeproof faces ARGUMENTS --json` in a home of its own; the exit code, the document and the words."""
    for name in ("", "_KEY", "_KEY_FILE", "_PASSPHRASE"):
        monkeypatch.delenv(f"EDGEPROOF_GALLERY{name}", raising=False)
    monkeypatch.delenv("EDGEPROOF_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("edgeproof.library.faces.faces.Faces", FakeFaces)

    def call(*arguments: str | Path) -> tuple[int, Any, str]:
        with pytest.raises(SystemExit) as caught:
            main(["faces", *map(str, arguments), "--json"])
        captured = capsys.readouterr()
        return int(caught.value.code or 0), json.loads(captured.out or "null"), captured.err

    return call


@pytest.fixture
def enrolled(run: Run, tmp_path: Path) -> None:
    for number, name in enumerate(("Ada", "Bea", "Cleo")):
        picture(tmp_path / "pictures" / f"{name}.png", 2 * number)
        code, _, said = run("enroll", name, tmp_path / "pictures" / f"{name}.png", "--keep-crops")
        assert code == 0, said


@pytest.mark.usefixtures("enrolled")
def test_search_has_the_document_of_the_contract(run: Run, tmp_path: Path) -> None:
    path = picture(tmp_path / "party.png", 2, faces=2, like=90)
    code, document, err = run("search", path, "--top", "2")
    assert code == 0
    assert "Bea" in err
    assert [face["decision"] for face in document["faces"]] == ["Bea", "Bea"]
    for face in document["faces"]:
        assert len(face["bbox"]) == 4
        assert face["candidates"][0]["name"] == "Bea"
        assert face["candidates"][0]["similarity"] == pytest.approx(0.9, abs=1e-5)
    _, document, _ = run("search", path, "--threshold", "0.95")
    assert {face["decision"] for face in document["faces"]} == {"unknown"}


@pytest.mark.usefixtures("enrolled")
def test_from_enrolling_to_forgetting(run: Run, tmp_path: Path) -> None:
    code, document, _ = run("people")
    assert [(person["name"], person["templates"]) for person in document["people"]] == [
        ("Ada", 1),
        ("Bea", 1),
        ("Cleo", 1),
    ]
    code, document, _ = run("export", "ada", "--out", tmp_path / "ada.zip")
    assert (code, document["templates"], document["crops"]) == (0, 1, 1)
    with zipfile.ZipFile(tmp_path / "ada.zip") as archive:
        names = archive.namelist()
        kept = json.loads(archive.read("person.json"))
    assert len(names) == 2
    assert (kept["name"], len(kept["templates"][0]["embedding"])) == ("Ada", 16)
    assert kept["templates"][0]["crop"] in names
    assert (tmp_path / "ada.zip").stat().st_mode & 0o777 == 0o600
    code, _, err = run("export", "Ada", "--out", tmp_path / "ada.zip")
    assert code == 1
    assert "there already" in err
    assert run("export", "Ada", "--out", tmp_path / "folder")[0] == 0
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == sorted(names)
    code, document, _ = run("forget", "ADA", "--yes")
    assert (code, document["scrubbed"]) == (0, True)
    assert run("forget", "Ada", "--yes")[0] == 2
    _, document, _ = run("settings", "--retain", "365d")
    assert document["retain_s"] == 365 * 86_400
    assert [row["action"] for row in document["log"]][-4:] == ["export", "export", "forget", "settings"]


def test_pictures_that_are_refused_make_the_exit_code_1(run: Run, tmp_path: Path) -> None:
    picture(tmp_path / "p" / "good.png", 1)
    picture(tmp_path / "p" / "none.png", 1, faces=0)
    code, document, err = run("enroll", "Ada", tmp_path / "p")
    assert code == 1
    assert document["summary"] == {"enrolled": 1, "refused": 1, "errors": 0}
    assert "no face" in err


@pytest.mark.usefixtures("enrolled")
def test_report_says_when_the_pairs_prove_too_little(run: Run, tmp_path: Path) -> None:
    code, document, err = run("report")
    assert (code, document["proposed"], document["impostor_pairs"]) == (1, None, 3)
    assert "30,000" in err
    picture(tmp_path / "double.png", 4, like=90)
    assert run("enroll", "Dora", tmp_path / "double.png")[0] == 1
    assert run("enroll", "Dora", tmp_path / "double.png", "--force")[0] == 0
    code, document, err = run("report", "--far", "0.5", "--apply")
    assert code == 0
    assert (document["alike"][0]["first"], document["alike"][0]["second"]) == ("Cleo", "Dora")
    assert run("settings")[1]["threshold"] == pytest.approx(document["proposed"]["threshold"])


@pytest.mark.usefixtures("enrolled")
def test_another_model_and_another_key(run: Run, tmp_path: Path) -> None:
    path = picture(tmp_path / "who.png", 2)
    code, _, err = run("search", path, "--recognizer", "other")
    assert code == 1
    assert "faces migrate" in err
    assert run("migrate", "--recognizer", "other")[1]["templates"] == 3
    assert run("search", path, "--recognizer", "other")[0] == 0
    key = tmp_path / "stick" / "key"
    assert run("rekey", "--new-key-file", key)[0] == 0
    code, _, err = run("people")
    assert code == 1
    assert "not the key" in err
    assert len(run("people", "--key-file", key)[1]["people"]) == 3


@pytest.mark.usefixtures("enrolled")
def test_a_wrong_key_in_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPROOF_GALLERY_KEY", base64.b64encode(bytes(32)).decode())
    code, document, err = run("people")
    assert (code, document) == (1, None)
    assert "nothing was opened" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("people",), 2, "no gallery"),
        (("search", "none.png"), 2, "no gallery"),
        (("search", "none.png", "--threshold", "7"), 2, "threshold"),
        (("search", "none.png", "--margin", "nan"), 2, "margin"),
        (("enroll", "Ada", "none.png"), 2, "isn't there"),
        (("enroll", "Ada", "none.png", "--retain", "soon"), 2, "no time"),
        (("forget",), 2, "Whom"),
        (("forget", "Ada", "--person", "1"), 2, "Whom"),
        (("rekey",), 2, "Which key"),
        (("people", "--gallery", "postgresql://nobody@127.0.0.1:1/none"), 1, "Can't use|psycopg"),
    ],
)
def test_mistakes_are_one_line(run: Run, arguments: tuple[str, ...], code: int, words: str) -> None:
    found, document, err = run(*arguments)
    assert (found, document) == (code, None)
    assert any(word in err for word in words.split("|"))
    assert "Traceback" not in err
