"""Which tasks are served, and what can't be meant."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from edgeproof.core.errors import NotFoundError, UsageError
from edgeproof.serve.run import _listen
from edgeproof.serve.settings import Settings
from edgeproof.serve.tasks import TASK_ROWS

DEFAULT = ("attributes", "orientation")


@pytest.mark.parametrize(
    ("tasks", "models", "served"),
    [
        ([], [], DEFAULT),
        (["faces"], [], ("faces",)),
        (["orientation", "faces", "orientation"], [], ("orientation", "faces")),
        ([], ["detect"], (*DEFAULT, "detect")),
        (["detect"], ["detect"], ("detect",)),
        (["faces"], ["plants", "embeddings"], ("faces", "embeddings")),
        ([], ["plants"], DEFAULT),
    ],
)
def test_a_task_is_served_by_default_or_when_asked_for_or_when_a_model_has_its_name(
    tasks: list[str], models: list[str], served: tuple[str, ...]
) -> None:
    assert Settings(tasks=tasks, models=dict.fromkeys(models, "somewhere")).served == served


@pytest.mark.parametrize("name", sorted(TASK_ROWS))
def test_every_task_has_a_network_or_says_that_it_needs_one(name: str) -> None:
    row = TASK_ROWS[name]
    assert not (row.needs_model and row.by_default)
    assert name in row.how_to_start(name)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        (Settings(tasks=["dreams"]), UsageError),
        (Settings(models={"a b": "x"}), UsageError),
        (Settings(models={"detect": "nowhere.onnx"}), NotFoundError),
        (Settings(host="0.0.0.0"), UsageError),
        (Settings(batch_wait_s=-0.001), UsageError),
        (Settings(batch_wait_s=float("nan")), UsageError),
        (Settings(batch_wait_s=1.0), UsageError),
    ],
)
def test_what_can_not_be_meant_is_refused(settings: Settings, error: type[Exception]) -> None:
    with pytest.raises(error):
        settings.check()


def test_a_file_may_be_named_as_a_task_is(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"x")
    Settings(models={"detect": str(tmp_path / "x.onnx")}).check()


def test_answers_of_kept_connections_are_sent_at_once() -> None:
    # asyncio sets TCP_NODELAY on what such a socket accepts, and on nothing else.
    with _listen(Settings(port=0)) as listener:
        assert listener.proto == socket.IPPROTO_TCP
