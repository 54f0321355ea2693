"""Whole files: those that Keras 3 wrote, and SSR-Net's."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeproof.core.errors import ModelError
from edgeproof.formats import format_of, read_network
from edgeproof.formats.keras.hdf5 import HDF5
from formats.keras.keras_models import answers, functional, imported, layer

FILES = Path(__file__).parent / "files"
# The middle of each age group of FairFace.
_AGES = {"0-2": 1, "3-9": 6, "10-19": 15, "20-29": 25, "30-39": 35, "40-49": 45, "50-59": 55, "60-69": 65}


def _stored(name: str) -> dict[str, Any]:
    with np.load(FILES / name) as stored:
        return dict(stored)


@pytest.mark.parametrize("name", ["functional.h5", "functional.keras"])
def test_file_of_keras_3_answers_as_keras_does(name: str) -> None:
    wanted = _stored("functional.npz")
    network = read_network(FILES / name)
    assert format_of(FILES / name) == "keras"
    assert [each.name for each in network.model.graph.output] == ["classes", "mask"]
    for found, output in zip(answers(network, wanted["picture"]), ("classes", "mask"), strict=True):
        np.testing.assert_allclose(found, wanted[output], rtol=1e-4, atol=1e-4)


def test_weights_alone_take_the_architecture_beside_them(tmp_path: Path) -> None:
    wanted = _stored("sequential.npz")
    for name in ("sequential.weights.h5", "sequential.json"):
        (tmp_path / name).write_bytes((FILES / name).read_bytes())
    found = answers(read_network(tmp_path / "sequential.weights.h5"), wanted["x"])
    np.testing.assert_allclose(found[0], wanted["y"], rtol=1e-4, atol=1e-4)
    (tmp_path / "sequential.json").unlink()
    with pytest.raises(
        ModelError, match=r"holds weights only, and there is no sequential\.weights\.json"
    ) as raised:
        read_network(tmp_path / "sequential.weights.h5")
    assert "to_json" in raised.value.hint


def test_newest_form_of_hdf5_is_read_too() -> None:
    store = HDF5((FILES / "newest.h5").read_bytes(), "newest.h5")
    kernel = store.find(store.root, "dense/kernel")
    assert kernel is not None
    np.testing.assert_array_equal(store.array(kernel), np.arange(8).reshape(4, 2))
    assert store.attributes(store.root)["layer_names"] == ["dense"]


def _arguments(**changed: Any) -> dict[str, Any]:
    return {"s1": 3, "s2": 2, "s3": 2, "lambda_local": 0.5, "lambda_d": 0.25, **changed}


def _ages(code: str, arguments: dict[str, Any]) -> dict[str, Any]:
    sizes = [3, 2, 2, 1, 1, 1, 3, 2, 2]
    layers = [layer("InputLayer", f"i{n}", batch_input_shape=[None, size]) for n, size in enumerate(sizes)]
    names = [each["name"] for each in layers]
    last = layer("Lambda", "age", [names], function=[code, None, None], arguments=arguments)
    return functional([*layers, last], names, ["age"])


def test_soft_stagewise_age_is_the_papers_sum() -> None:
    noise = np.random.default_rng(3)
    given = [noise.uniform(0, 1, (4, size)).astype(np.float32) for size in (3, 2, 2, 1, 1, 1, 3, 2, 2)]
    network = imported(_ages("... merge_age ...", _arguments()))
    wanted = []
    for row in range(4):
        age, width = 0.0, 1.0
        for stage, bins in enumerate((3, 2, 2)):
            weight, scale, offset = (given[stage + 3 * part][row] for part in range(3))
            width *= bins * (1 + 0.25 * scale[0])
            age += sum((i + 0.5 * offset[i]) * weight[i] for i in range(bins)) / width
        wanted.append([101 * age])
    np.testing.assert_allclose(answers(network, *given)[0], wanted, rtol=1e-5)
    assert "Compare some ages with the original" in network.notes[-1]


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("... other ...", _arguments()),
        ("... merge_age ...", {"s1": 3}),
        ("4wEAAAA=\n", None),
    ],
)
def test_other_lambdas_are_refused(code: str, arguments: Any) -> None:
    with pytest.raises(ModelError, match=r"layer 'age' \(Lambda\) holds a Python function") as raised:
        imported(_ages(code, arguments))
    assert "isn't run" in raised.value.hint


def test_ssr_net_tells_ages_of_faces(shared: Path) -> None:
    network = read_network(shared / "models" / "ssrnet-age-morph2.h5")
    assert network.notes == ("Input input_1 takes pictures as the file does: NHWC, [?, 64, 64, 3].",)
    with (shared / "data" / "fairface" / "val.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["age"] in _AGES][:400]
    faces = []
    for row in rows:
        with Image.open(shared / "data" / "fairface" / row["file"]) as face:
            small = face.convert("RGB").resize((64, 64), Image.Resampling.BILINEAR)
        faces.append(np.asarray(small, np.float32)[..., ::-1])  # trained on BGR, 0 to 255
    ages = answers(network, np.stack(faces))[0]
    assert ages.shape == (len(rows), 1)
    labels = np.asarray([_AGES[row["age"]] for row in rows])
    assert 25 < ages.mean() < 45
    assert 5 < ages.min() < ages.max() < 90
    # Trained on police photographs of adults, it is weak on FairFace; of 400 pairs without a relation 0.1 is rare.
    assert np.corrcoef(ages[:, 0], labels)[0, 1] > 0.1


def test_archive_of_other_files_is_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "net.keras"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "MyModel", "config": {}}))
        archive.writestr("model.weights.h5", (FILES / "newest.h5").read_bytes())
    with pytest.raises(ModelError, match="'MyModel', a model that Python code makes up"):
        read_network(file)
