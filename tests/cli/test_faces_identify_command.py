"""`edgeproof faces identify`, as a user runs it."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cli.processes import start

pytest.importorskip("cryptography", reason="needs the extra `gallery`")


@pytest.fixture(scope="module")
def place(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery with one person, pictures of that person and of others, and a damaged one."""
    folder = tmp_path_factory.mktemp("identify")
    ours = sorted((shared / "data" / "lfw" / "images" / "Abdullah_Gul").glob("*.jpg"))
    others = sorted((shared / "data" / "lfw" / "images" / "Al_Sharpton").glob("*.jpg"))
    (folder / "seen").mkdir()
    for number, path in enumerate((ours[1], others[0], ours[2])):
        shutil.copyfile(path, folder / "seen" / f"{number}.jpg")
    (folder / "seen" / "3.jpg").write_bytes(ours[1].read_bytes()[:3000])
    run(shared, folder, "enroll", "Abdullah Gul", str(ours[0]))
    return folder


def run(shared: Path, folder: Path, verb: str, *words: str, code: int = 0) -> tuple[str, str]:
    models = shared / "models"
    process = start(
        "faces",
        verb,
        *words,
        *("--detector", str(models / "yunet-n-dynamic.onnx"), "--long-side", "256"),
        *("--recognizer", str(models / "mobilefacenet-foamliu.onnx")),
        *("--gallery", str(folder / "gallery.db"), "--key-file", str(folder / "keys" / "gallery.key")),
    )
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    assert "Traceback" not in err
    return out, err


def test_people_are_named_and_a_bad_picture_is_its_own_row(shared: Path, place: Path) -> None:
    out, err = run(
        shared, place, "identify", str(place / "seen"), "--json", "--draw", str(place / "drawn"), code=1
    )
    images = json.loads(out)["images"]
    assert [Path(row["path"]).name for row in images] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    names = [{face["name"] for face in row["faces"]} for row in images]
    assert "Abdullah Gul" in names[0]
    assert names[1] == {"unknown"}
    assert "Abdullah Gul" in names[2]
    assert images[3]["error"]["code"] == "truncated_image"
    assert {"bbox", "name", "similarity"} <= images[0]["faces"][0].keys()
    assert sorted(path.name for path in (place / "drawn").iterdir()) == ["0.jpg", "1.jpg", "2.jpg"]
    drawn = np.asarray(Image.open(place / "drawn" / "0.jpg"))
    assert drawn.shape == (250, 250, 3)
    assert "4 pictures" in err


def test_one_picture_is_drawn_under_its_name(shared: Path, place: Path) -> None:
    run(shared, place, "identify", str(place / "seen" / "0.jpg"), "--draw", str(place / "one"))
    assert [path.name for path in (place / "one").iterdir()] == ["0.jpg"]


def test_the_picture_itself_is_never_drawn_over(shared: Path, place: Path) -> None:
    own = place / "seen" / "0.jpg"
    before = own.read_bytes()
    run(shared, place, "identify", str(own), "--draw", str(place / "seen"))
    assert own.read_bytes() == before
    assert (place / "seen" / "0-drawn.jpg").is_file()


def test_jsonl_gives_a_line_for_each_picture(shared: Path, place: Path) -> None:
    out, _ = run(
        shared, place, "identify", str(place / "seen" / "[01].jpg"), "--jsonl", "-q", "--mem-budget", "400MB"
    )
    assert [json.loads(line)["error"] for line in out.splitlines()] == [None, None]


def test_every_frame_of_a_video_is_looked_at(shared: Path, place: Path) -> None:
    cv2: Any = pytest.importorskip("cv2", reason="needs OpenCV (the extra `video`)")
    film = place / "film.avi"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter_fourcc(*"MJPG"), 5, (250, 250))
    for number in (0, 1, 0):
        writer.write(cv2.imread(str(place / "seen" / f"{number}.jpg")))
    writer.release()
    out, _ = run(shared, place, "identify", str(film), "--json", "--limit", "2")
    rows = json.loads(out)["images"]
    assert [(row["frame"], row["time_s"]) for row in rows] == [(0, 0.0), (1, 0.2)]
    assert "Abdullah Gul" in {face["name"] for face in rows[0]["faces"]}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("nothing.jpg",), 2, "isn't there"),
        (("camera:9", "--json"), 2, "never ends"),
        (("camera:9", "--jsonl"), 1, "can not be opened"),
        (("seen", "--mem-budget", "lots"), 2, "no amount of memory"),
        (("seen", "--mem-budget", "20MB"), 2, "before the first picture"),
        (("seen", "--threshold", "nan"), 2, "threshold"),
        (("seen", "--draw", "seen/0.jpg/here"), 1, "is not a folder"),
    ],
)
def test_what_cannot_be_done_says_so(
    shared: Path, place: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, says: str
) -> None:
    if words[0].startswith("camera"):
        pytest.importorskip("cv2", reason="needs OpenCV (the extra `video`)")
    monkeypatch.chdir(place)
    out, err = run(shared, place, "identify", *words, code=code)
    assert says in err
    assert out == ""


def test_ctrl_c_gives_out_what_was_begun(shared: Path, place: Path) -> None:
    models = shared / "models"
    process = start(
        *("faces", "identify", str(shared / "data" / "lfw" / "images"), "--jsonl", "-q"),
        *("--detector", str(models / "yunet-n-dynamic.onnx"), "--long-side", "256"),
        *("--recognizer", str(models / "mobilefacenet-foamliu.onnx")),
        *("--gallery", str(place / "gallery.db"), "--key-file", str(place / "keys" / "gallery.key")),
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    lines = [json.loads(line) for line in (first + rest).splitlines()]
    assert 1 <= len(lines) < 400
    assert err == ""
