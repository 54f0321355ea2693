"""A small bundle to open, damage and replace."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.bundles.bundle import Bundle, Golden, pack
from edgeproof.bundles.manifest import EngineNeed, Manifest

MODEL = bytes(range(256)) * 3
GOLDEN = Golden(
    {"x": np.arange(12, dtype=np.float32).reshape(2, 6)},
    {"y": np.arange(8, dtype=np.float32).reshape(2, 4), "z": np.array([1, 2], dtype=np.int64)},
)
EVIDENCE = {"blocks_ms": [[1.25, 1.5], [1.75]], "note": "größer als ½", "none": None}


def manifest(**changed: Any) -> Manifest:
    fields: dict[str, Any] = {
        "format": 1,
        "digest": "",
        "name": "orientation",
        "task": "orientation",
        "settings": {"temperature": 1.5, "threshold": 0.9},
        "model": "model.onnx",
        "engine": EngineNeed("onnxruntime", "1.19"),
        "precision": "int8",
        "quantizer": None,
        "tolerance": 0.01,
        "files": {},
        "licence": "Apache-2.0",
        "source": "trained",
        "edgeproof": "0.1.0",
        "created": "2025-01-01T00:00:00Z",
        "host": {"board": "Raspberry Pi 5"},
    }
    return Manifest(**{**fields, **changed})


def packed(path: Path, **changed: Any) -> Bundle:
    return pack(path, manifest(**changed), model=MODEL, golden=GOLDEN, evidence=EVIDENCE)


def reseal(path: Path, **changed: Any) -> None:
    """Change the manifest's fields and seal it again, as someone with bad intentions can."""
    fields = {**json.loads((path / "manifest.json").read_bytes()), **changed}
    fields["digest"] = "0" * 64
    text = json.dumps(fields)
    (path / "manifest.json").write_text(text.replace("0" * 64, hashlib.sha256(text.encode()).hexdigest(), 1))


def put(path: Path, name: str, data: bytes) -> None:
    """Replace a file of the bundle, and its digest with it."""
    (path / name).write_bytes(data)
    files = json.loads((path / "manifest.json").read_bytes())["files"]
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    reseal(path, files={**files, name: entry})


def names(folder: Path) -> list[str]:
    """Everything below a folder, hidden files too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
