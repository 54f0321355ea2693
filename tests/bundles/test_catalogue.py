"""The catalogue is complete, and agrees with the files that it names."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import pytest

from edgeproof.bundles.catalogue import CatalogueModel, catalogue, default_model, model_named, tasks
from edgeproof.bundles.download import check_address
from edgeproof.core.errors import UnknownNameError
from edgeproof.core.files import sha256_of

MODELS = list(catalogue().values())


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_row_is_complete(model: CatalogueModel) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", model.name)
    assert model.task in ("face-detection", "face-recognition", "attributes", "detect", "classify")
    assert model.title
    assert model.licence
    assert model.source.startswith("https://")
    assert model.files
    for file in model.files:
        check_address(file.url)
        assert file.url.startswith("https://")
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", file.name)
        assert (file.bytes is None) == (file.sha256 is None)
        assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.bytes is None or 0 < file.bytes <= 2 << 30
    assert len({file.name for file in model.files}) == len(model.files)
    assert model.commercial or model.note, "say why it is not for commercial use"
    assert pickle.loads(pickle.dumps(model)) == model


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_settings_can_be_used_as_they_are(model: CatalogueModel) -> None:
    settings = model.settings
    assert settings.get("colour", "RGB") in ("RGB", "BGR")
    assert ("mean" in settings) == ("std" in settings)
    for name in ("mean", "std"):
        assert len(settings.get(name, (0, 0, 0))) == 3
    assert all(value >= 1 for value in settings.get("std", (1,)))
    if model.task == "face-recognition":
        assert settings.keys() >= {"side", "dimensions", "colour", "mean", "std"}
        assert settings["side"] == 112
        assert -1 < settings.get("threshold", 0) < 1


def test_a_file_name_means_one_file() -> None:
    """A mirror holds the files of all models side by side."""
    digests = {(file.name, file.sha256) for model in MODELS for file in model.files}
    assert len({name for name, _ in digests}) == len(digests)


def test_the_defaults_are_there() -> None:
    for task in ("face-detection", "face-recognition"):
        assert model_named(default_model(task)).task == task
    assert set(tasks()) == {model.task for model in MODELS}


@pytest.mark.parametrize(
    ("call", "word", "near"),
    [(model_named, "yunt", "yunet?"), (default_model, "face-detect", "face-detection?")],
)
def test_a_wrong_name(call: object, word: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=word) as caught:
        call(word)  # type: ignore[operator]
    assert near in caught.value.hint


def test_it_agrees_with_the_published_files(shared: Path) -> None:
    listed = json.loads((shared / "models" / "models.json").read_text())
    files = {file.name: (file, model) for model in MODELS for file in model.files}
    for row in listed:
        if row["repository"] is None:  # made for tests
            assert row["file"] not in files
            continue
        file, model = files[row["file"]]
        assert (file.bytes, file.sha256) == (row["bytes"], row["sha256"])
        assert file.url.endswith(f"/{row['repository']}/{row['commit']}/{row['path']}")
        assert row["licence"] in model.licence or model.licence in row["licence"] or not model.commercial
        assert sha256_of(shared / "models" / file.name) == file.sha256
