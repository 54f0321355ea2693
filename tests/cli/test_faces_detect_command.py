"""`edgeproof faces detect` and `edgeproof faces evaluate`: CONTRACT's documents, exit codes, clear errors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeproof.cli.main import main
from edgeproof.imaging.decode import decode
from imaging.picture_files import bomb, encode, scene

Run = Callable[..., tuple[int, str, str]]
ONE = "maksssksksss660.jpg"
TEN = "maksssksksss556.jpg"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], shared: Path) -> Run:
    def call(*arguments: str | Path, model: bool = True) -> tuple[int, str, str]:
        chosen = ["--model", str(shared / "models/yunet-n-dynamic.onnx")] if model else []
        with pytest.raises(SystemExit) as caught:
            main(["faces", *map(str, arguments), *chosen])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return int(caught.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def portrait(shared: Path) -> np.ndarray:
    return decode(shared / "data/facedet/images" / ONE).pixels


def _rows(out: str) -> dict[str, dict[str, Any]]:
    document: dict[str, Any] = json.loads(out)
    return {Path(row["path"]).name: row for row in document["images"]}


def test_the_document(run: Run, shared: Path) -> None:
    images = shared / "data/facedet/images"
    code, out, err = run("detect", images / ONE, images / TEN, "--json")
    rows = _rows(out)
    assert code == 0
    assert list(rows) == [ONE, TEN]
    assert {key: rows[ONE][key] for key in ("width", "height", "error")} == {
        "width": 301,
        "height": 400,
        "error": None,
    }
    assert (len(rows[ONE]["faces"]), len(rows[TEN]["faces"])) == (1, 10)
    for face in rows[TEN]["faces"]:
        assert face.keys() == {"bbox", "kps", "score"}
        x1, y1, x2, y2 = face["bbox"]
        assert 0 <= x1 < x2 <= 400
        assert 0 <= y1 < y2 <= 198
        assert np.array(face["kps"]).shape == (5, 2)
        assert 0.7 <= face["score"] <= 1
    assert "11 faces" in err


def test_without_json_stdout_stays_empty(run: Run, shared: Path) -> None:
    image = shared / "data/facedet/images" / ONE
    assert run("detect", image)[1] == ""
    assert run("detect", image, "--quiet") == (0, "", "")


def _files(portrait: np.ndarray) -> dict[str, bytes]:
    image = Image.fromarray(portrait)
    grey = (np.asarray(image.convert("L")).astype(np.uint16) << 8).astype(np.uint16)
    frames = [image, Image.new("RGB", image.size)]
    return {
        "cmyk.jpg": encode(image.convert("CMYK"), "JPEG", quality=95),
        "deep.png": encode(Image.fromarray(grey), "PNG"),
        "moving.gif": encode(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "alpha.png": encode(image.convert("RGBA"), "PNG"),
        "picture.webp": encode(image, "WEBP", quality=95),
        "picture.tiff": encode(image, "TIFF"),
    }


def test_pictures_of_every_kind_have_their_face(run: Run, tmp_path: Path, portrait: np.ndarray) -> None:
    for name, data in _files(portrait).items():
        (tmp_path / name).write_bytes(data)
    code, out, _ = run("detect", tmp_path, "--json", "--draw", tmp_path / "drawn")
    rows = _rows(out)
    assert code == 0
    assert {name: len(row["faces"]) for name, row in rows.items()} == dict.fromkeys(rows, 1)
    drawn = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert drawn == [
        "alpha.png",
        "cmyk.jpg",
        "deep.png",
        "moving.gif.png",
        "picture.tiff.png",
        "picture.webp.png",
    ]


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
def test_a_broken_picture_is_a_row_and_the_others_are_done(
    run: Run, tmp_path: Path, portrait: np.ndarray, data: bytes, code: str
) -> None:
    (tmp_path / "broken.jpg").write_bytes(data)
    (tmp_path / "good.png").write_bytes(encode(portrait, "PNG"))
    exit_code, out, err = run("detect", tmp_path, "--json", "--draw", tmp_path / "drawn")
    rows = _rows(out)
    assert exit_code == 1
    assert rows["broken.jpg"]["error"]["code"] == code
    assert rows["broken.jpg"]["error"]["hint"]
    assert (rows["broken.jpg"]["width"], rows["broken.jpg"]["faces"]) == (None, [])
    assert len(rows["good.png"]["faces"]) == 1
    assert [path.name for path in (tmp_path / "drawn").iterdir()] == ["good.png"]
    assert "broken.jpg" in err


def test_pictures_without_a_face(run: Run, tmp_path: Path) -> None:
    for number, size in enumerate([(20, 20), (1, 1), (300, 200)]):
        (tmp_path / f"{number}.png").write_bytes(encode(scene(*size), "PNG"))
    code, out, err = run("detect", tmp_path, "--json")
    assert code == 0
    assert [row["faces"] for row in _rows(out).values()] == [[], [], []]
    assert "3 pictures without one" in err


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_of_both_frames_show_the_same_face(
    run: Run, tmp_path: Path, portrait: np.ndarray, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    # Stored so that a viewer sees the portrait upright: PNG keeps every pixel.
    from edgeproof.imaging.exif import STEPS

    mirror, turn = STEPS[orientation]
    stored = np.rot90(portrait, turn // 90)
    stored = np.ascontiguousarray(stored[:, ::-1] if mirror else stored)
    (tmp_path / "photo.png").write_bytes(encode(stored, "PNG", exif=exif))
    found = {}
    for frame in ("upright", "stored"):
        code, out, _ = run("detect", tmp_path / "photo.png", "--json", "--frame", frame)
        row = _rows(out)["photo.png"]
        assert (code, len(row["faces"])) == (0, 1)
        found[frame] = row
    assert (found["upright"]["width"], found["upright"]["height"]) == (301, 400)
    assert (found["stored"]["height"], found["stored"]["width"]) == stored.shape[:2]
    # The same pixels are cut out of either frame.
    marks = np.floor([found["upright"]["faces"][0]["kps"], found["stored"]["faces"][0]["kps"]]).astype(int)
    order = [1, 0, 2, 4, 3] if mirror else list(range(5))
    for number in range(5):
        (ux, uy), (sx, sy) = marks[0][number], marks[1][order.index(number)]
        window = [
            np.sort(pixels[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3).sum(axis=1))
            for pixels, x, y in ((portrait, ux, uy), (stored, sx, sy))
        ]
        assert np.abs(window[0].astype(int) - window[1].astype(int)).mean() < 60


@pytest.mark.parametrize("turns", [1, 3])
def test_a_turned_picture_without_exif_has_its_faces_where_they_are_seen(
    run: Run, tmp_path: Path, shared: Path, turns: int
) -> None:
    picture = decode(shared / "data/facedet/images" / TEN).pixels
    turned = np.ascontiguousarray(np.rot90(picture, turns))
    (tmp_path / "turned.png").write_bytes(encode(turned, "PNG"))
    (tmp_path / "upright.png").write_bytes(encode(picture, "PNG"))
    without = _rows(run("detect", tmp_path / "turned.png", "--json", "--no-turn")[1])["turned.png"]
    assert without["faces"] == []
    rows = _rows(run("detect", tmp_path, "--json")[1])
    assert (rows["turned.png"]["width"], rows["turned.png"]["height"]) == turned.shape[1::-1]
    for seen, upright in zip(rows["turned.png"]["faces"], rows["upright.png"]["faces"], strict=True):
        x, y = np.array(upright["kps"]).T
        wide, high = picture.shape[1], picture.shape[0]
        wanted = np.stack([y, wide - x] if turns == 1 else [high - y, x], axis=1)
        assert np.allclose(seen["kps"], wanted, atol=0.02)


def test_copies_of_pictures_with_one_name_are_both_kept(
    run: Run, tmp_path: Path, portrait: np.ndarray
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.png").write_bytes(encode(portrait, "PNG"))
    code, _, _ = run("detect", tmp_path / "a/same.png", tmp_path / "b/same.png", "--draw", tmp_path / "drawn")
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["same-2.png", "same.png"]
    # What was drawn is no picture to look at the next time.
    code, out, _ = run("detect", tmp_path, "--json", "--draw", tmp_path / "drawn")
    assert len(json.loads(out)["images"]) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["detect", "{}/nowhere"], 2, "nowhere isn't there"),
        (["detect", "{}/empty"], 1, "There is no picture in"),
        (["detect", "{}/a.png", "--confidence", "2"], 2, "confidence is 2.0"),
        (["detect", "{}/a.png", "--confidence", "nan"], 2, "confidence is nan"),
        (["detect", "{}/a.png", "--long-side", "3"], 2, "long_side is 3"),
        (["detect", "{}/a.png", "--scales", "1,x"], 2, "--scales"),
        (["detect", "{}/a.png", "--scales", "0"], 2, "scales is"),
        (["detect", "{}/a.png", "--engine", "onnxruntim"], 2, "Did you mean onnxruntime"),
        (["detect", "{}/a.png", "--draw", "{}/a.png/in"], 1, "not a folder"),
        (["evaluate", "--boxes", "{}/nowhere.json", "--images", "{}"], 2, "nowhere.json isn't there"),
        (["evaluate", "--boxes", "{}/a.png", "--images", "{}"], 1, "is no JSON"),
        (["evaluate", "--boxes", "{}/boxes.json", "--images", "{}/nowhere"], 1, "no folder"),
        (["evaluate", "--boxes", "{}/boxes.json", "--images", "{}/empty"], 1, "None of the 1 pictures"),
    ],
)
def test_one_clear_line_and_the_right_exit_code(
    run: Run, tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.png").write_bytes(encode(scene(), "PNG"))
    (tmp_path / "boxes.json").write_text('{"b.png": [[1, 1, 9, 9]]}')
    exit_code, out, err = run(*(argument.format(tmp_path) for argument in arguments), "--json")
    assert (exit_code, out) == (code, "")
    assert err.startswith("edgeproof: ")
    assert err.count("\n") == 1
    assert says in err


@pytest.mark.parametrize(
    ("model", "code", "says"),
    [
        ("nowhere.onnx", 2, "nowhere.onnx"),
        ("models/mobilefacenet-foamliu.onnx", 1, "face-recognition"),
        ("models/fastestdet.onnx", 1, "not for face-detection"),
    ],
)
def test_a_model_that_is_none_for_faces(run: Run, shared: Path, model: str, code: int, says: str) -> None:
    path = shared / model if model.startswith("models") else model
    image = shared / "data/facedet/images" / ONE
    exit_code, out, err = run("detect", image, "--model", path, model=False)
    assert (exit_code, out) == (code, "")
    assert err.count("\n") == 1
    assert says in err


def test_a_model_that_is_not_installed_says_how_to_get_it(
    run: Run, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEPROOF_HOME", str(tmp_path))
    code, _, err = run("detect", shared / "data/facedet/images" / ONE, model=False)
    assert code == 1
    assert "edgeproof models pull yunet" in err


def test_the_document_of_evaluate(run: Run, shared: Path, tmp_path: Path) -> None:
    every = json.loads((shared / "data/facedet/boxes.json").read_text())
    for name in (ONE, TEN):
        shutil.copy(shared / "data/facedet/images" / name, tmp_path)
    (tmp_path / "boxes.json").write_text(json.dumps({name: every[name] for name in (ONE, TEN)}))
    code, out, err = run("evaluate", "--boxes", tmp_path / "boxes.json", "--images", tmp_path, "--json")
    document = json.loads(out)
    assert code == 0
    assert document.keys() >= {"ap50", "recall", "images", "faces"}
    assert (document["images"], document["faces"]) == (2, len(every[ONE]) + len(every[TEN]))
    assert 0.6 <= document["ap50"] <= document["recall"] <= 1
    assert "AP50" in err


@pytest.mark.parametrize(
    ("decoder", "code", "said"),
    [
        ("yunet", 0, "1 faces"),
        ("retinaface-1mb", 1, "for retinaface-1mb: three outputs"),
        ("retinafce", 2, "Did you mean retinaface?"),
    ],
)
def test_how_outputs_are_read_can_be_said(run: Run, shared: Path, decoder: str, code: int, said: str) -> None:
    given, _, err = run("detect", shared / "data/facedet/images" / ONE, "--decoder", decoder)
    assert given == code
    assert said in err
