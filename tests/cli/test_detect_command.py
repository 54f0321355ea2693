"""`edgeproof detect` and `edgeproof detect evaluate`: CONTRACT's documents, files, exit codes, clear errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeproof.cli.main import main
from imaging.picture_files import bomb, encode, scene

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return int(caught.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def model(shared: Path) -> Path:
    return shared / "models/yolox-nano.onnx"


@pytest.fixture
def album(shared: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.jpg").write_bytes((shared / "data/coco/images/000000000776.jpg").read_bytes())
    (folder / "deep" / "b.png").write_bytes(encode(scene(), "PNG"))
    return folder


def test_the_document_and_the_files(run: Run, album: Path, model: Path, tmp_path: Path) -> None:
    (album / "bomb.png").write_bytes(bomb("PNG"))
    places = ["--draw", tmp_path / "d", "--yolo", tmp_path / "y", "--coco", tmp_path / "c.json"]
    code, out, err = run("detect", album, "--model", model, "--json", *places)
    rows = json.loads(out)["images"]
    assert code == 1
    assert [Path(row["path"]).name for row in rows] == ["a.jpg", "bomb.png", "b.png"]
    assert {len(row["detections"]) for row in rows} == {3, 0}
    for thing in rows[0]["detections"]:
        assert thing.keys() == {"bbox", "score", "class_id", "label"}
        assert thing["label"] == "teddy bear"
    assert rows[0]["timing_ms"].keys() == {"decode", "prepare", "run", "decode_result", "total"}
    assert (rows[0]["width"], rows[0]["height"], rows[0]["error"]) == (428, 640, None)
    assert rows[1]["error"]["code"] == "image_too_large"
    drawn = sorted(path.relative_to(tmp_path / "d") for path in (tmp_path / "d").rglob("*.*"))
    assert drawn == [Path("a.jpg"), Path("deep/b.png")]
    with Image.open(tmp_path / "d/a.jpg") as image:
        assert image.size == (428, 640)
    assert len((tmp_path / "y/a.txt").read_text().splitlines()) == 3
    assert (tmp_path / "y/deep/b.txt").read_text() == ""
    assert len(json.loads((tmp_path / "c.json").read_text())["annotations"]) == 3
    assert "3 teddy bear" in err
    assert "3 pictures: 3 objects, 1 errors" in err


def test_fewer_by_confidence_and_class(run: Run, album: Path, model: Path) -> None:
    def count(*more: str) -> int:
        _, out, _ = run("detect", album / "a.jpg", "--model", model, "--json", *more)
        return len(json.loads(out)["images"][0]["detections"])

    assert count("--conf", "0.8") == 2
    assert count("--classes", "person, 77") == 3
    assert count("--classes", "person") == 0


def test_the_document_of_evaluate(run: Run, shared: Path, model: Path, tmp_path: Path) -> None:
    for picture in sorted((shared / "data/coco/images").glob("*.jpg"))[:3]:
        (tmp_path / picture.name).write_bytes(picture.read_bytes())
    (tmp_path / "bad.jpg").write_bytes(b"")
    given = (
        "detect",
        "evaluate",
        "--images",
        tmp_path,
        "--labels",
        shared / "data/coco/labels",
        "--model",
        model,
    )
    code, out, err = run(*given, "--json")
    document = json.loads(out)
    assert code == 1
    assert document.keys() >= {"map", "ap50", "per_class", "images"}
    assert document["images"] == 3
    assert 0 < document["map"] < document["ap50"] <= 1
    assert "teddy bear" in document["per_class"]
    assert "bad.jpg" in err


def test_a_line_for_each_picture_and_no_more_than_asked(run: Run, album: Path, model: Path) -> None:
    code, out, err = run("detect", album, "--model", model, "--jsonl")
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, [len(row["detections"]) for row in rows]) == (0, [3, 0])
    assert "2 pictures: 3 objects" in err
    given = ("detect", album / "deep", album / "a.jpg", "--model", model, "--json")
    assert [Path(row["path"]).name for row in json.loads(run(*given)[1])["images"]] == ["b.png", "a.jpg"]
    assert len(run("detect", album, "--model", model, "--jsonl", "--limit", "1")[1].splitlines()) == 1


def test_a_video_is_followed_and_drawn(run: Run, shared: Path, model: Path, tmp_path: Path) -> None:
    cv2: Any = pytest.importorskip("cv2", reason="needs OpenCV (the extra `video`)")
    with Image.open(shared / "data/coco/images/000000000776.jpg") as image:
        pixels = np.asarray(image.convert("RGB"))[..., ::-1]
    writer = cv2.VideoWriter(str(tmp_path / "f.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (428, 480))
    for number in range(4):
        writer.write(np.ascontiguousarray(pixels[10 * number : 10 * number + 480]))
    writer.release()
    places = ["--draw", tmp_path / "d", "--track", "--json"]
    code, out, err = run("detect", tmp_path / "f.avi", "--model", model, *places)
    rows = json.loads(out)["images"]
    assert (code, [row["frame"] for row in rows]) == (0, [0, 1, 2, 3])
    assert [{thing["track_id"] for thing in row["detections"]} >= {1, 2} for row in rows] == [True] * 4
    assert [path.stem for path in (tmp_path / "d").iterdir()] == ["f"]
    assert "objects were followed" in err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["detect", "0", "--model", "{model}", "--json"], 2, "never ends"),
        (["detect", "{}/nowhere.jpg", "--model", "{model}"], 2, "isn't there"),
        (["detect", "{}/empty", "--model", "{model}"], 1, "no photo"),
        (["detect", "{}/a.jpg"], 2, "--model"),
        (["detect", "{}/a.jpg", "--model", "yolox-nan"], 2, "Did you mean yolox-nano"),
        (["detect", "{}/a.jpg", "--model", "{model}", "--conf", "0"], 2, "confidence is 0"),
        (["detect", "{}/a.jpg", "--model", "{model}", "--iou", "nan"], 2, "iou is nan"),
        (["detect", "{}/a.jpg", "--model", "{model}", "--classes", "dgo"], 2, "Did you mean dog"),
        (["detect", "{}/a.jpg", "--model", "{model}", "--decoder", "yolox_"], 2, "Did you mean yolox"),
        (["detect", "{}/a.jpg", "--model", "{model}", "--decoder", "ssd"], 1, "rows of 7 numbers"),
        (["detect", "{}/a.jpg", "--model", "{model}", "--labels-file", "{}/none"], 2, "isn't there"),
        (
            ["detect", "evaluate", "--images", "{}", "--labels", "{}/none", "--model", "{model}"],
            1,
            "no labels",
        ),
    ],
)
def test_one_clear_line_and_the_right_exit_code(
    run: Run, album: Path, model: Path, arguments: list[str], code: int, says: str
) -> None:
    (album / "empty").mkdir()
    given = [argument.replace("{}", str(album)).replace("{model}", str(model)) for argument in arguments]
    exit_code, out, err = run(*given)
    assert (exit_code, out) == (code, "")
    assert says in " ".join(err.split())
    assert "Traceback" not in err
