"""`edgeproof rotate` and `edgeproof rotate evaluate`: CONTRACT's documents, exit codes, clear errors."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bundles.sample_bundles import packed
from edgeproof.cli.main import main
from edgeproof.imaging.decode import decode
from imaging.picture_files import bomb, encode, scene

Run = Callable[..., tuple[int, str, str]]
_PHOTO_KEYS = {"path", "turn", "confidence", "decision", "exif_orientation", "error"}
_SUMMARY_KEYS = {"photos", "keep", "turn", "unsure", "errors", "seconds"}
_EVALUATE_KEYS = {"accuracy", "photos", "views", "per_turn", "harm", "coverage", "threshold"}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return int(caught.value.code or 0), captured.out, captured.err

    return call


def _document(out: str) -> dict[str, Any]:
    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is no JSON")

    assert out.endswith("}\n")
    document: dict[str, Any] = json.loads(out, parse_constant=refuse)
    return document


@pytest.fixture
def album(tmp_path: Path) -> Path:
    (tmp_path / "album").mkdir()
    for name in ("a.png", "ü 日本.png"):
        (tmp_path / "album" / name).write_bytes(encode(scene(200, 150), "PNG"))
    return tmp_path / "album"


def test_the_document_of_rotate(run: Run, album: Path) -> None:
    code, out, err = run("rotate", album, "--json")
    document = _document(out)
    assert code == 0
    assert [Path(row["path"]).name for row in document["photos"]] == ["a.png", "ü 日本.png"]
    for row in document["photos"]:
        assert row.keys() >= _PHOTO_KEYS
        assert row["turn"] in (0, 90, 180, 270)
        assert 0 <= row["confidence"] <= 1
        assert row["decision"] in ("keep", "turn", "unsure")
        assert (row["exif_orientation"], row["error"]) == (1, None)
    summary = document["summary"]
    assert summary.keys() >= _SUMMARY_KEYS
    assert summary["photos"] == summary["keep"] + summary["turn"] + summary["unsure"] == 2
    assert "2 photos" in err


def test_the_document_of_evaluate(run: Run, album: Path) -> None:
    code, out, err = run("rotate", "evaluate", album, "--json", "--turns", "4", "--threshold", "0.5")
    document = _document(out)
    assert code == 0
    assert document.keys() >= _EVALUATE_KEYS
    assert list(document["per_turn"]) == ["0", "90", "180", "270"]
    assert (document["photos"], document["views"], document["threshold"]) == (2, 8, 0.5)
    assert "accuracy" in err


def test_without_json_stdout_stays_empty_and_quiet_is_quiet(run: Run, album: Path) -> None:
    assert run("rotate", album)[1] == ""
    assert run("rotate", album, "--quiet") == (0, "", "")
    code, out, err = run("rotate", album, "--quiet", "--json")
    assert (code, err, _document(out)["summary"]["photos"]) == (0, "", 2)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not_an_image"),
        (b"these are words", "not_an_image"),
        (encode(scene(), "JPEG")[:-300], "truncated_image"),
        (bomb("PNG"), "image_too_large"),
        (bomb("JPEG"), "image_too_large"),
    ],
    ids=["empty", "text", "cut", "png bomb", "jpeg bomb"],
)
def test_a_broken_photo_is_a_row_and_the_others_are_done(
    run: Run, album: Path, data: bytes, code: str
) -> None:
    (album / "b.jpg").write_bytes(data)
    exit_code, out, err = run("rotate", album, "--json", "--out", album.parent / "out")
    rows = {Path(row["path"]).name: row for row in _document(out)["photos"]}
    assert exit_code == 1
    assert rows["b.jpg"]["decision"] == "error"
    assert rows["b.jpg"]["error"].keys() == {"code", "message", "hint"}
    assert rows["b.jpg"]["error"]["code"] == code
    assert rows["b.jpg"]["error"]["hint"]
    assert (rows["b.jpg"]["turn"], rows["b.jpg"]["confidence"]) == (None, None)
    assert sorted(path.name for path in (album.parent / "out").iterdir()) == ["a.png", "ü 日本.png"]
    assert "b.jpg" in err
    assert "Traceback" not in err


def test_a_broken_photo_is_skipped_by_evaluate_and_told(run: Run, album: Path) -> None:
    (album / "b.jpg").write_bytes(b"")
    code, out, err = run("rotate", "evaluate", album, "--json")
    assert (code, _document(out)["photos"]) == (1, 2)
    assert "b.jpg" in err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["rotate", "{}/nowhere"], 2, "nowhere isn't there"),
        (["rotate", "{}/album", "{}/nowhere.jpg"], 2, "nowhere.jpg isn't there"),
        (["rotate", "evaluate", "{}/nowhere"], 2, "nowhere isn't there"),
        (["rotate", "{}/empty"], 1, "There is no photo in"),
        (["rotate", "evaluate", "{}/empty"], 1, "There is no photo"),
        (["rotate", "{}/album", "--model", "{}/nowhere.onnx"], 2, "nowhere.onnx"),
        (["rotate", "{}/album", "--model", "{}/half.onnx"], 1, "can't be opened"),
        (["rotate", "{}/album", "--model", "{}/bad.edge"], 1, "not the file that was sealed"),
        (["rotate", "{}/album", "--threshold", "2"], 2, "threshold is 2.0"),
        (["rotate", "{}/album", "--threshold", "nan"], 2, "threshold is nan"),
    ],
)
@pytest.mark.parametrize("json_wanted", [True, False])
def test_one_clear_line_and_the_right_exit_code(
    run: Run, album: Path, arguments: list[str], code: int, says: str, json_wanted: bool
) -> None:
    root = album.parent
    (root / "empty").mkdir()
    (root / "half.onnx").write_bytes(b"\x08\x08\x12")
    packed(root / "bad.edge").model.write_bytes(b"another")
    given = [argument.format(root) for argument in arguments] + ["--json"] * json_wanted
    exit_code, out, err = run(*given)
    assert (exit_code, out) == (code, "")
    assert err.startswith("edgeproof: ")
    assert err.count("\n") == 1
    assert says in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_photo_without_permission_is_a_row(run: Run, album: Path) -> None:
    (album / "a.png").chmod(0)
    code, out, _ = run("rotate", album, "--json")
    assert code == 1
    assert _document(out)["photos"][0]["error"]["code"] == "storage"


def test_out_that_is_a_file_is_an_error_for_each(run: Run, album: Path) -> None:
    (album.parent / "out").write_text("mine")
    code, out, _ = run("rotate", album, "--out", album.parent / "out", "--json")
    assert code == 1
    assert {row["decision"] for row in _document(out)["photos"]} == {"error"}
    assert (album.parent / "out").read_text() == "mine"


def test_the_exif_files_give_one_decision_and_one_picture(run: Run, shared: Path, tmp_path: Path) -> None:
    code, out, _ = run("rotate", shared / "data/exif", "--json", "--out", tmp_path / "out")
    rows = _document(out)["photos"]
    assert code == 0
    assert len(rows) == 10
    landscape = [row for row in rows if "Landscape" in row["path"]]
    assert {(row["turn"], row["decision"]) for row in landscape} == {(0, "keep")}
    assert [row["exif_orientation"] for row in landscape] == [1, 1, 2, 3, 4, 5, 6, 7, 8]
    for row in rows:
        copy = tmp_path / "out" / Path(row["path"]).name
        assert np.array_equal(decode(copy, cover=200).pixels, decode(row["path"], cover=200).pixels)


def test_turned_photos_are_found_and_their_copies_are_upright(run: Run, shared: Path, tmp_path: Path) -> None:
    pixels = decode(shared / "data/exif/Landscape_1.jpg", cover=288).pixels
    (tmp_path / "in").mkdir()
    for k in range(4):
        for name in ("JPEG", "PNG"):
            data = encode(np.ascontiguousarray(np.rot90(pixels, k)), name)
            (tmp_path / "in" / f"{k}.{name.lower()}").write_bytes(data)
    code, out, _ = run("rotate", tmp_path / "in", "--json", "--out", tmp_path / "out", "--threshold", "0.5")
    found = [row["turn"] for row in _document(out)["photos"]]
    assert (code, found) == (0, [0, 0, 90, 90, 180, 180, 270, 270])
    for k in range(4):
        assert np.array_equal(decode(tmp_path / "out" / f"{k}.png").pixels, pixels)
        assert decode(tmp_path / "out" / f"{k}.jpeg").pixels.shape == pixels.shape
    assert [row["turn"] for row in _document(run("rotate", tmp_path / "out", "--json")[1])["photos"]] == [
        0
    ] * 8


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--engine-option", "arena=false", "--engine-option", "graph_level=basic"], 0, "2 photos"),
        (["--engine-option", "arena"], 2, "Write NAME=VALUE"),
        (["--engine-option", "arenas=false"], 2, "Did you mean arena"),
        (["--engine-option", "arena=2"], 2, "Expected bool"),
        (["--engine", "onnxruntim"], 2, "Did you mean onnxruntime"),
    ],
)
def test_the_engine_and_its_options(
    album: Path, run: Run, arguments: list[str], code: int, says: str
) -> None:
    done, _, err = run("rotate", album, *arguments)
    said = " ".join(err.split())
    assert (done, says in said, "Traceback" in said) == (code, True, False), said
