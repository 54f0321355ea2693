"""The chosen candidate becomes a bundle with its evidence."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof._version import __version__
from edgeproof.bundles.bundle import Bundle, Golden, pack
from edgeproof.bundles.manifest import FORMAT, EngineNeed, Manifest
from edgeproof.core.softmax import softmax
from edgeproof.core.tensor import Array
from edgeproof.fit.result import FitResult, Row
from edgeproof.fit.target import Target
from edgeproof.verify.calibration import match_temperature

_GOLDEN_ROWS = 4


def seal(result: FitResult, target: Target, chosen: Row, path: Path) -> Bundle:
    """Write the bundle of the chosen row.

    Raises:
        StorageError: disk full, no permission, or something that is not a bundle stands at `path`.
    """
    assert chosen.built is not None
    assert chosen.run is not None
    assert chosen.accuracy is not None
    rows: Array = np.load(result.data.evidence, mmap_mode="r")[:_GOLDEN_ROWS]
    golden = Golden(
        inputs={target.input: np.asarray(rows, dtype=np.float32)},
        outputs={name: array[:_GOLDEN_ROWS] for name, array in chosen.accuracy.outputs.items()},
    )
    manifest = Manifest(
        format=FORMAT,
        digest="",
        name=target.name,
        task=target.task.name,
        settings=_settings(result, target, chosen),
        model="model.onnx",
        engine=EngineNeed(
            name=chosen.candidate.engine,
            minimum_version=str(chosen.run.info["version"]),
            threads=chosen.candidate.threads,
            options=dict(chosen.candidate.options),
        ),
        precision=chosen.candidate.precision,
        quantizer=chosen.candidate.recipe.quantizer,
        tolerance=chosen.candidate.tolerance,
        files={},
        licence=target.licence,
        source=target.source,
        edgeproof=__version__,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        host=result.host,
    )
    return pack(
        path, manifest, model=chosen.built.model.read_bytes(), golden=golden, evidence=result.evidence()
    )


def _settings(result: FitResult, target: Target, chosen: Row) -> dict[str, float]:
    """The task's settings, with the temperature at which the chosen file is as confident as the original.

    The original's calibration was fitted on far more photos than are here, so its probabilities are the
    target, not these photos' labels.
    """
    settings: dict[str, Any] = target.task.settings()
    baseline = result.rows[0].accuracy
    if "temperature" in settings and baseline and chosen.accuracy and chosen.accuracy.drop:
        (name,) = chosen.accuracy.outputs
        wanted = softmax(baseline.outputs[name], settings["temperature"])
        settings["temperature"] = round(match_temperature(chosen.accuracy.outputs[name], wanted), 4)
    return settings
