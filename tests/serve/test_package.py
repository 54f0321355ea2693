"""A folder that a device can serve from."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bundles.sample_bundles import manifest, packed
from edgeproof.bundles.bundle import Golden, open_bundle, pack
from edgeproof.core.errors import StorageError, TamperedBundleError, UsageError
from edgeproof.engines import open_engine
from edgeproof.serve.package import package
from edgeproof.tasks.orientation import builtin_model


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    inputs = {"input": np.full((1, 3, 192, 192), 99, np.float32)}
    with open_engine(builtin_model()) as engine:
        golden = Golden(inputs, engine.run(inputs))
    path = tmp_path / "upright.edge"
    pack(path, manifest(settings={}), model=builtin_model().read_bytes(), golden=golden, evidence={})
    return path


def test_it_holds_all_that_a_device_needs(bundle: Path, tmp_path: Path) -> None:
    made = package([bundle], tmp_path / "device", memory="160MB")
    names = {path.name for path in made.path.iterdir()}
    wheel = next(name for name in names if name.endswith(".whl"))
    assert names == {"bundles", "requirements.txt", "Dockerfile", "edgeproof.service", "install.sh", wheel}
    assert open_bundle(made.path / "bundles" / "upright.edge").manifest == open_bundle(bundle).manifest
    lines = (made.path / "requirements.txt").read_text().splitlines()
    assert {"numpy", "onnxruntime", "starlette", "uvicorn"} <= {line.split("==")[0] for line in lines}
    for file in ("Dockerfile", "edgeproof.service"):
        text = (made.path / file).read_text()
        assert "--mem-budget 160MB --model upright=bundles/upright.edge --task orientation" in text
    assert "MemoryMax=240000000" in (made.path / "edgeproof.service").read_text()
    assert made.installed_bytes > 10_000_000


def test_the_wheel_is_one_and_serves(bundle: Path, tmp_path: Path) -> None:
    made = package([bundle], tmp_path / "device")
    wheel = next(made.path.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
        record = archive.read(next(n for n in archive.namelist() if n.endswith("RECORD"))).decode()
        assert len(record.splitlines()) == len(archive.namelist())
    done = subprocess.run(
        [sys.executable, "-m", "edgeproof", "serve", "--help"],
        cwd=tmp_path / "installed", capture_output=True, text=True, check=False,
        env={"PATH": "", "PYTHONPATH": str(tmp_path / "installed")},
    )  # fmt: skip
    assert "--mem-budget" in done.stdout, done.stderr
    again = package([bundle], tmp_path / "again")
    assert next(again.path.glob("*.whl")).read_bytes() == wheel.read_bytes()


def test_what_can_not_be_packaged(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="taken"):
        package([bundle, bundle], tmp_path / "a")
    with pytest.raises(StorageError, match="there already"):
        package([bundle], tmp_path)
    broken = packed(tmp_path / "b.edge").path
    (broken / "model.onnx").write_bytes(b"x")
    with pytest.raises(TamperedBundleError):
        package([broken], tmp_path / "c")
    assert not list(tmp_path.glob(".edgeproof-*"))
    assert not (tmp_path / "a").exists()
