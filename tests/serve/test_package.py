"""A folder that a device can serve from."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bundles.sample_bundles import manifest, packed
from edgeproof.bundles.bundle import Golden, open_bundle, pack
from edgeproof.bundles.manifest import EngineNeed
from edgeproof.bundles.store import find_model
from edgeproof.core.errors import ModelMissingError, StorageError, TamperedBundleError, UsageError
from edgeproof.engines import open_engine
from edgeproof.serve.package import Package, package
from edgeproof.tasks.orientation import builtin_model
from serve.real_server import RealServer
from serve.served_models import install


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    inputs = {"input": np.full((1, 3, 192, 192), 99, np.float32)}
    with open_engine(builtin_model()) as engine:
        golden = Golden(inputs, engine.run(inputs))
    path = tmp_path / "upright.edge"
    pack(path, manifest(settings={}), model=builtin_model().read_bytes(), golden=golden, evidence={})
    return path


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix != ".whl"}


def test_it_holds_all_that_a_device_needs(bundle: Path, tmp_path: Path) -> None:
    made = package([bundle], tmp_path / "device", memory="160MB")
    files = {"requirements.txt", "requirements-engines.txt", "Dockerfile", "edgeproof.service", "install.sh"}
    assert _names(made.path) == {*files, "bundles", "data"}
    assert open_bundle(made.path / "bundles" / "upright.edge").manifest == open_bundle(bundle).manifest
    for file in ("Dockerfile", "edgeproof.service"):
        text = (made.path / file).read_text()
        assert "--mem-budget 160MB --model upright=bundles/upright.edge --task orientation" in text
        assert "$" not in text
    assert "MemoryMax=240000000" in (made.path / "edgeproof.service").read_text()
    assert "upright.edge: Apache-2.0; trained" in (made.path / "data" / "LICENCES.txt").read_text()
    assert (made.tasks, made.models) == (("orientation",), ())
    # With its networks; the libraries alone are measured in docs/how_to/package_for_a_device.md.
    assert 100_000_000 < made.installed_bytes < 200_000_000


def test_every_library_has_the_digests_of_its_wheels(bundle: Path, tmp_path: Path) -> None:
    made = package([bundle], tmp_path / "device")
    blocks = (made.path / "requirements.txt").read_text().split("\n\n")[1:]
    pins = {re.search(r"^([\w.-]+)==", block, re.MULTILINE)[1]: block for block in blocks}  # type: ignore[index]
    assert {"numpy", "onnxruntime", "starlette", "uvicorn", "h11", "python-multipart"} <= set(pins)
    assert made.requirements.keys() <= pins.keys()
    assert all("--hash=sha256:" in block for block in blocks)
    for machine in ("x86_64", "aarch64"):
        assert f"{machine}.whl" in pins["onnxruntime"]
    assert "==" not in (made.path / "requirements-engines.txt").read_text()


def test_an_engine_that_the_lock_has_not_is_asked_for_by_version(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="its version is asked for")
    made = package(
        [packed(tmp_path / "b.edge", engine=EngineNeed("openvino", "2024.4")).path], tmp_path / "device"
    )
    assert "openvino==" in (made.path / "requirements-engines.txt").read_text()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store without a network."""
    monkeypatch.setenv("EDGEPROOF_HOME", str(tmp_path / "home"))
    return tmp_path


def test_the_detector_goes_along_with_its_licence(
    store: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(shared, store, monkeypatch, "yunet")
    made = package([], store / "device", tasks=["attributes"])
    assert made.models == ("yunet",)
    monkeypatch.setenv("EDGEPROOF_HOME", str(made.path / "data"))
    assert find_model("yunet").path.is_relative_to(made.path)
    assert "BSD-3-Clause" in (made.path / "data" / "LICENCES.txt").read_text()
    assert "COPY bundles" not in (made.path / "Dockerfile").read_text()


def test_a_detector_that_is_not_installed_is_asked_for(store: Path) -> None:
    with pytest.raises(ModelMissingError, match="yunet"):
        package([], store / "device", tasks=["attributes"])
    assert not (store / "device").exists()


def _started(command: str, made: Package, installed: Path, environment: str) -> RealServer:
    """What a unit or a Dockerfile starts, from the wheel in the folder, on a port that is free."""
    program, _, options = command.partition(" serve ")
    assert program.endswith("edgeproof")
    settings = dict(pair.split("=", 1) for pair in environment.split())
    process = subprocess.Popen(
        [sys.executable, "-m", "edgeproof", "serve", *options.split(), "--port", "0", "--json"],
        cwd=made.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**settings, "PATH": "", "PYTHONPATH": str(installed)},
    )  # fmt: skip
    return RealServer(process)


def _line(text: str, start: str) -> str:
    return next(line.removeprefix(start) for line in text.splitlines() if line.startswith(start))


@pytest.mark.parametrize("file", ["edgeproof.service", "Dockerfile"])
def test_what_it_starts_serves_and_is_healthy(bundle: Path, tmp_path: Path, file: str) -> None:
    made = package([bundle], tmp_path / "device")
    with zipfile.ZipFile(next(made.path.glob("*.whl"))) as archive:
        archive.extractall(tmp_path / "installed")
    text = (made.path / file).read_text()
    docker = (made.path / "Dockerfile").read_text()
    if file == "Dockerfile":
        keys = tmp_path / "keys"
        keys.write_text("k" * 20 + " infer\n")
        keys.chmod(0o600)
        command = _line(text, "CMD exec ").replace("/keys", str(keys)).replace("0.0.0.0", "127.0.0.1")
        environment = _line(text, "ENV EDGEPROOF_HOME")
        environment = "EDGEPROOF_HOME" + environment.replace("/srv/edgeproof", str(made.path))
    else:
        command = _line(text, "ExecStart=")
        environment = _line(text, "Environment=").replace("/opt/edgeproof", str(made.path))
    server = _started(command, made, tmp_path / "installed", environment)
    try:
        assert server.facts["models"] == ["orientation", "upright"]
        check = json.loads(_line(docker, "  CMD "))
        health = [sys.executable, *(part.replace(":8080", f":{server.facts['port']}") for part in check[1:])]
        assert subprocess.run(health, check=False).returncode == 0
    finally:
        code, said = server.end()
    assert (code, "Traceback" in said) == (0, False)
    assert subprocess.run(health, check=False, capture_output=True).returncode != 0


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
    with pytest.raises(UsageError, match="nothing to serve"):
        package([], tmp_path / "a")
    with pytest.raises(UsageError, match="no task 'dreams'"):
        package([bundle], tmp_path / "a", tasks=["dreams"])
    with pytest.raises(UsageError, match="no network of its own"):
        package([bundle], tmp_path / "a", tasks=["detect"])
    with pytest.raises(StorageError, match="there already"):
        package([bundle], tmp_path)
    broken = packed(tmp_path / "b.edge").path
    (broken / "model.onnx").write_bytes(b"x")
    with pytest.raises(TamperedBundleError):
        package([broken], tmp_path / "c")
    assert not list(tmp_path.glob(".edgeproof-*"))
    assert not (tmp_path / "a").exists()
