"""One detector of faces in a worker, whatever tasks use it, and faces of several requests in one run."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from edgeproof.imaging.crop import square_crops
from edgeproof.serve.networks import Networks
from edgeproof.tasks.face_detection import FaceDetector
from serve.fake_pool import FakePool, ask, make_app
from serve.served_models import face_photo, install

TASKS = ["attributes", "faces", "embeddings"]


@pytest.fixture(scope="module")
def installed(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        install(shared, tmp_path_factory.mktemp("store"), patch, "yunet", "mobilefacenet")
        yield shared


def _look(networks: Networks, task: str, photo: bytes) -> dict[str, Any]:
    return networks.answer({"do": "task", "task": task, "draw": False}, photo)[0]


def test_tasks_about_faces_open_one_detector(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    first = FaceDetector.__init__

    def counted(self: FaceDetector, *arguments: Any, **named: Any) -> None:
        made.append(self)
        first(self, *arguments, **named)

    networks = Networks(TASKS, {})
    rows = networks.open()
    names = ("attributes-detector", "faces", "embeddings-detector")
    engines = [networks._engine(name) for name in names]
    assert len({id(engine) for engine in engines}) == 1
    assert {row["name"] for row in rows} == {*names, "attributes", "embeddings"}
    monkeypatch.setattr(FaceDetector, "__init__", counted)
    for task in TASKS:
        assert len(_look(networks, task, face_photo(installed))["document"]["result"]["faces"]) == 2
    assert made == []


def test_the_detector_stays_until_the_last_task_is_closed_and_comes_back(installed: Path) -> None:
    networks = Networks(TASKS, {})
    networks.open()
    photo = face_photo(installed)
    engine = networks._engine("faces")
    for closed, left in (("attributes", "faces"), ("embeddings", "faces")):
        networks.answer({"do": "close", "model": closed}, b"")
        assert networks._engine("faces") is engine
        assert len(_look(networks, left, photo)["document"]["result"]["faces"]) == 2
    networks.answer({"do": "close", "model": "faces"}, b"")
    assert networks._shared.detector.faces._opened is None
    for task in TASKS:
        assert len(_look(networks, task, photo)["document"]["result"]["faces"]) == 2
    assert networks._engine("faces") is not engine


def test_faces_of_requests_that_meet_are_one_run_with_the_same_answers(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = [face_photo(installed), face_photo(installed, "maksssksksss660.jpg")]
    alone = Networks(["attributes"], {})
    alone.open()
    wanted = [_look(alone, "attributes", photo)["document"] for photo in photos]
    together = Networks(["attributes"], {}, batch_wait_s=30.0)
    together.open()
    together._shared.taken_runs()
    both_coming = threading.Barrier(2)

    def cut_when_both_are_there(*arguments: Any, **named: Any) -> Any:
        both_coming.wait(30)
        return square_crops(*arguments, **named)

    monkeypatch.setattr("edgeproof.serve.answers.attributes.square_crops", cut_when_both_are_there)
    with ThreadPoolExecutor(2) as threads:
        heads = list(threads.map(lambda photo: _look(together, "attributes", photo), photos))
    runs = [run for head in heads for run in head["runs"]]
    assert runs == [("attributes", 3, 2)]
    for head, other in zip(heads, wanted, strict=True):
        for face, same in zip(head["document"]["result"]["faces"], other["result"]["faces"], strict=True):
            assert face["bbox"] == same["bbox"]
            assert face["age"]["years"] == pytest.approx(same["age"]["years"], abs=0.1)
            assert face["gender"]["probability"] == pytest.approx(same["gender"]["probability"], abs=1e-3)


def test_metrics_count_what_was_run_together(installed: Path) -> None:
    app = make_app(FakePool(networks=Networks(["attributes"], {})), tasks=["attributes"])
    files = {"image": ("p.jpg", face_photo(installed), "image/jpeg")}
    assert ask(app, "POST", "/predict", files=files).status_code == 200
    text = ask(app, "GET", "/metrics").text
    for line in (
        'edgeproof_batch_size_sum{model="attributes"} ',
        'edgeproof_batch_requests_bucket{model="attributes",le="1"} ',
        "edgeproof_queue_depth 0",
        'edgeproof_worker_restarts_total{reason="died"} 0',
        'edgeproof_model_loaded{model="attributes-detector",engine="onnxruntime",provider="CPUExecutionProvider"} 1',
    ):
        assert line in text
