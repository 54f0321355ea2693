"""Finding a model: by its name, or by the path of any file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgeproof.bundles.catalogue import catalogue
from edgeproof.bundles.pull import pull
from edgeproof.bundles.store import default_model, find_model, models_folder
from edgeproof.core.errors import ModelMissingError, NotFoundError, StorageError, WrongDigestError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of its own."""
    monkeypatch.setenv("EDGEPROOF_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"EDGEPROOF_HOME": "/a"}, "/a/models"),
        ({"EDGEPROOF_HOME": "~/a", "HOME": "/home/me"}, "/home/me/a/models"),
        ({"XDG_DATA_HOME": "/x"}, "/x/edgeproof/models"),
        (
            {"EDGEPROOF_HOME": "", "XDG_DATA_HOME": "", "HOME": "/home/me"},
            "/home/me/.local/share/edgeproof/models",
        ),
    ],
)
def test_where_models_are(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: str) -> None:
    monkeypatch.delenv("EDGEPROOF_HOME")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert models_folder() == Path(folder)


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("EDGEPROOF_HOME")
    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.raises(StorageError, match="EDGEPROOF_HOME"):
        models_folder()


@pytest.mark.parametrize("task", ["face-detection", "face-recognition"])
def test_a_name_gives_the_installed_file(shared: Path, home: Path, task: str) -> None:
    name = default_model(task)
    with pytest.raises(ModelMissingError) as caught:
        find_model(name)
    assert f"edgeproof models pull {name}" in caught.value.hint
    pull(catalogue()[name], mirror=shared / "models")
    found = find_model(name)
    assert found.entry is catalogue()[name]
    assert found.path == home / "models" / name / catalogue()[name].files[0].name
    with found.path.open("r+b") as file:
        file.write(b"?")
    with pytest.raises(WrongDigestError, match="damaged") as damaged:
        find_model(name)
    assert f"edgeproof models pull {name}" in damaged.value.hint


def test_a_path_gets_the_row_of_the_file_with_its_digest(shared: Path, tmp_path: Path) -> None:
    copy = tmp_path / "anything.onnx"
    shutil.copyfile(shared / "models" / "yunet-n-dynamic.onnx", copy)
    for path in (copy, str(copy)):
        found = find_model(path)
        assert (found.path, found.entry) == (copy, catalogue()["yunet"])
    with copy.open("r+b") as file:
        file.write(b"?")
    assert find_model(copy).entry is None


@pytest.mark.parametrize("name", ["yunet.onnx", "folder.edge", "yunet"])
def test_a_path_that_the_catalogue_does_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / name
    path.mkdir() if path.suffix == ".edge" else path.write_bytes(b"a model")
    assert find_model(path).entry is None
    monkeypatch.chdir(tmp_path)
    assert find_model(f"./{name}").path == Path(name)


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        ("yunett", "Did you mean yunet?"),
        ("/no/such/file.onnx", "models list"),
        ("", "models list"),
        ("a\0b", "models list"),
        (Path("yunet"), "yunet"),
    ],
)
def test_neither_a_name_nor_a_path(model: str | Path, hint: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        find_model(model)
    assert hint in caught.value.hint


def test_a_name_longer_than_a_path_may_be() -> None:
    with pytest.raises(StorageError):
        find_model("x" * 5000)
