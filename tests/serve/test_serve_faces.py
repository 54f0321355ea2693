"""What is found in pictures, over HTTP: faces, their attributes, their embeddings, and objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproof.imaging.decode import decode
from edgeproof.library.attributes.attributes import Attributes
from edgeproof.library.detect.detector import Detector
from edgeproof.library.faces.faces import Faces
from edgeproof.serve.app import App
from edgeproof.serve.networks import Networks
from imaging.picture_files import encode, scene
from serve.fake_pool import FakePool, ask, make_app
from serve.served_models import enlarged, face_photo, install

MakeApp = Callable[..., App]


@pytest.fixture(scope="module")
def app_of(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Applications by their tasks, with the networks of the catalogue installed."""
    with pytest.MonkeyPatch.context() as patch:
        install(shared, tmp_path_factory.mktemp("store"), patch, "yunet", "mobilefacenet")
        made: dict[str, App] = {}

        def make(*tasks: str, models: Mapping[str, str] | None = None) -> App:
            key = str((tasks, models))
            if key not in made:
                pool = FakePool(networks=Networks(tasks, models or {}))
                made[key] = make_app(pool, tasks=tasks, models=models or {})
            return made[key]

        yield make


def _post(app: App, path: str, *pictures: bytes, **headers: str) -> Any:
    files = [("image", ("p.jpg", one, "image/jpeg")) for one in pictures]
    return ask(app, "POST", path, files=files, headers=headers)


def _check_boxes(rows: list[dict[str, Any]], width: int, height: int) -> None:
    for row in rows:
        shares = np.array(row["bbox"]) / [width, height, width, height]
        assert np.allclose(shares, row["bbox_normalised"], atol=1e-5)
        assert (shares >= 0).all()
        assert (shares <= 1).all()


def test_attributes_are_those_of_the_library(app_of: MakeApp, shared: Path) -> None:
    photo = face_photo(shared)
    document = _post(app_of("attributes"), "/predict", photo).json()
    faces = document["result"]["faces"]
    assert (document["task"], document["width"], document["height"], len(faces)) == (
        "attributes",
        400,
        301,
        2,
    )
    _check_boxes(faces, 400, 301)
    with Attributes(long_side=640, turn=False) as library:
        wanted = [face.as_json() for face in library(photo)]
    shares = [face.pop("bbox_normalised") for face in faces]
    assert len(shares) == 2
    assert faces == wanted


def test_boxes_are_in_pixels_of_the_full_picture(app_of: MakeApp, shared: Path) -> None:
    """A picture of 2000 x 1505 is decoded at half its size."""
    small = face_photo(shared)
    first = _post(app_of("attributes"), "/predict", small).json()["result"]["faces"]
    document = _post(app_of("attributes"), "/predict", enlarged(small, 5)).json()
    assert (document["width"], document["height"]) == (2000, 1505)
    places = [
        sorted(face["bbox_normalised"] for face in faces) for faces in (first, document["result"]["faces"])
    ]
    assert np.allclose(*places, atol=0.1)
    _check_boxes(document["result"]["faces"], 2000, 1505)


@pytest.mark.parametrize("task", ["attributes", "faces", "embeddings"])
def test_a_picture_without_a_face_has_none(app_of: MakeApp, task: str) -> None:
    answer = _post(app_of(task), f"/v1/{task}", encode(scene(320, 240), "JPEG"))
    assert answer.json()["images"][0]["result"]["faces"] == []


@pytest.mark.parametrize("task", ["attributes", "faces", "embeddings"])
def test_the_drawn_picture_has_boxes(app_of: MakeApp, shared: Path, task: str) -> None:
    photo = face_photo(shared)
    answer = _post(app_of(task), f"/v1/{task}", photo, accept="image/jpeg")
    drawn, plain = decode(answer.content).pixels, decode(photo).pixels
    assert drawn.shape == plain.shape
    green = (drawn[..., 1].astype(int) - drawn[..., 0] > 80) & (
        drawn[..., 1].astype(int) - drawn[..., 2] > 60
    )
    assert green.sum() > 300


def test_a_crowd_is_asked_about_in_parts(app_of: MakeApp, shared: Path) -> None:
    photo = face_photo(shared, "maksssksksss556.jpg")
    found = _post(app_of("faces"), "/v1/faces", photo).json()["images"][0]["result"]["faces"]
    told = _post(app_of("attributes"), "/v1/attributes", photo).json()["images"][0]["result"]["faces"]
    assert len(told) > 4
    assert [face["bbox"] for face in told] == [face["bbox"] for face in found]


def test_embeddings_are_those_of_the_library(app_of: MakeApp, shared: Path) -> None:
    photo = face_photo(shared)
    result = _post(app_of("embeddings"), "/v1/embeddings", photo).json()["images"][0]["result"]
    with Faces(long_side=640, turn=False) as library:
        wanted = library.get(photo)
    assert (result["model"], len(result["faces"])) == ("mobilefacenet", len(wanted))
    for face, one in zip(result["faces"], wanted, strict=True):
        assert one.embedding is not None
        assert np.dot(face["embedding"], one.embedding) > 0.9999
        assert set(face["quality"]) == {"score", "parts", "measured", "reasons"}


def test_compare_tells_one_person_from_two(app_of: MakeApp, shared: Path) -> None:
    photo, app = face_photo(shared), app_of("embeddings")
    same = _post(app, "/v1/compare", photo, enlarged(photo, 3)).json()
    assert same["same"] is True
    assert same["similarity"] > same["threshold"]
    assert (same["a"]["width"], same["b"]["width"], same["a"]["faces"]) == (400, 1200, 2)
    assert "embedding" not in same["a"]
    other = _post(app, "/v1/compare", photo, face_photo(shared, "maksssksksss660.jpg")).json()
    assert other["same"] is False
    assert other["similarity"] < same["similarity"]


@pytest.mark.parametrize(
    ("pictures", "status", "code", "side"),
    [
        ([], 400, "bad_form", None),
        (["face"], 400, "two_images", None),
        (["face"] * 3, 400, "two_images", None),
        (["face", "empty"], 422, "no_face", "b"),
        (["broken", "face"], 415, "not_an_image", "a"),
        (["face", "cut"], 422, "truncated_image", "b"),
    ],
)
def test_compare_says_which_picture_is_wrong(
    app_of: MakeApp, shared: Path, pictures: list[str], status: int, code: str, side: str | None
) -> None:
    face = face_photo(shared)
    known = {
        "face": face,
        "empty": encode(scene(320, 240), "JPEG"),
        "broken": b"no picture",
        "cut": face[:900],
    }
    answer = _post(app_of("embeddings"), "/v1/compare", *(known[name] for name in pictures))
    error = answer.json()["error"]
    if pictures:
        assert (answer.status_code, error["code"]) == (status, code), answer.text
        assert error["details"].get("image") == side
    else:
        assert answer.status_code in (400, 415)


def test_detect_runs_on_the_model_that_is_named_for_it(app_of: MakeApp, shared: Path) -> None:
    model = str(shared / "models/yolox-nano.onnx")
    app = app_of("detect", models={"detect": model})
    photo = (shared / "data/coco/images/000000000872.jpg").read_bytes()
    document = _post(app, "/v1/detect", photo).json()["images"][0]
    found = document["result"]["detections"]
    assert {one["label"] for one in found} >= {"person"}
    _check_boxes(found, document["width"], document["height"])
    with Detector(model) as library:
        wanted = library(photo)
    assert len(found) == len(wanted)
    assert np.allclose([one["bbox"] for one in found], wanted.xyxy, atol=0.05 * document["width"])
    drawn = _post(app, "/predict", photo, accept="image/jpeg")
    assert drawn.headers["content-type"] == "image/jpeg"
    assert [model["name"] for model in ask(app, "GET", "/status").json()["models"]] == ["detect"]


def test_openapi_says_what_comes(app_of: MakeApp, shared: Path) -> None:
    validator = pytest.importorskip("jsonschema")
    for task in ("attributes", "faces", "embeddings"):
        app = app_of(task)
        document = ask(app, "GET", "/openapi.json").json()
        schema = document["paths"][f"/v1/{task}"]["post"]["responses"]["200"]["content"]["application/json"]
        answer = _post(app, f"/v1/{task}", face_photo(shared), b"no picture").json()
        validator.validate(answer, {**schema["schema"], "components": document["components"]})
    schema = document["paths"]["/v1/compare"]["post"]["responses"]["200"]["content"]["application/json"]
    validator.validate(_post(app, "/v1/compare", *[face_photo(shared)] * 2).json(), schema["schema"])


def test_a_task_that_is_not_served_says_how_to_serve_it() -> None:
    for path, words in (
        ("/v1/attributes", "--task attributes"),
        ("/v1/detect", "--model detect=FILE"),
        ("/v1/compare", "--task embeddings"),
    ):
        answer = _post(make_app(), path, b"x")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "task_not_served")
        assert words in answer.json()["error"]["message"]
