"""What `fit` is given: a task's own network, or a network in a file of any format."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from edgeproof.core.errors import ModelError, UnknownNameError
from edgeproof.fit.target import find_target
from edgeproof.tasks.orientation import builtin_model


@pytest.fixture
def original() -> Path:
    return builtin_model()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def test_a_task_and_a_single_file_are_used_where_they_lie(original: Path, tmp_path: Path, work: Path) -> None:
    copy = tmp_path / "mine.onnx"
    copy.write_bytes(original.read_bytes())
    assert find_target("orientation", "orientation", work).model == original
    target = find_target(copy, "orientation", work)
    assert (target.model, target.name, target.source) == (copy, "mine", "mine.onnx")
    assert not list(work.iterdir())


def test_a_network_in_several_files_becomes_one(original: Path, tmp_path: Path, work: Path) -> None:
    path = tmp_path / "mine.onnx"
    onnx.save(onnx.load(original), path, save_as_external_data=True, location="mine.data", size_threshold=0)
    target = find_target(path, "orientation", work)
    assert (target.model, target.name, target.source) == (work / "mine.onnx", "mine", "mine.onnx")
    (tmp_path / "mine.data").unlink()
    assert find_target(target.model, "orientation", work).model == target.model


def test_what_is_no_network_is_a_typed_error(tmp_path: Path, work: Path) -> None:
    (tmp_path / "notes.txt").write_text("text")
    with pytest.raises(ModelError, match="no format"):
        find_target(tmp_path / "notes.txt", "orientation", work)
    with pytest.raises(UnknownNameError):
        find_target(tmp_path / "none.onnx", "orientation", work)
    assert not list(work.iterdir())


def test_a_network_of_another_format_is_read_first(shared: Path, work: Path) -> None:
    file = shared / "models" / "yolox-nano-fp16.tflite"
    target = find_target(file, None, work)
    assert (target.task.name, target.licence, target.name) == ("detect", "Apache-2.0", file.stem)
    assert [path.name for path in work.iterdir()] == [target.model.name] == ["yolox-nano-fp16.onnx"]
    with pytest.raises(ModelError, match="network for detect, not for orientation"):
        find_target(file, "orientation", work)


def test_a_bundle_is_not_fitted_again(tmp_path: Path, work: Path) -> None:
    (tmp_path / "a.edge").mkdir()
    (tmp_path / "a.edge" / "manifest.json").write_text("{}")
    with pytest.raises(ModelError, match="is a bundle"):
        find_target(tmp_path / "a.edge", None, work)


@pytest.mark.parametrize("word", ["yunett", "detct", "face-detectoin"])
def test_a_word_that_is_nearly_one_is_told(work: Path, word: str) -> None:
    with pytest.raises(UnknownNameError, match=r"neither.*Did you mean"):
        find_target(word, None, work)
