"""The chosen candidate becomes a bundle with its evidence."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgeproof._version import __version__
from edgeproof.bundles.bundle import Bundle, Golden, pack
from edgeproof.bundles.manifest import FORMAT, EngineNeed, Manifest
from edgeproof.core.tensor import Array
from edgeproof.fit.result import FitResult, Row
from edgeproof.fit.rows import Rows
from edgeproof.fit.target import Target

# Of what is replayed: outputs of a detector take megabytes a row.
_BYTES = 4 << 20


def seal(result: FitResult, target: Target, chosen: Row, path: Path) -> Bundle:
    """Write the bundle of the chosen row.

    Raises:
        StorageError: disk full, no permission, or something that is not a bundle stands at `path`.
    """
    assert chosen.built is not None
    assert chosen.run is not None
    assert chosen.accuracy is not None
    baseline = result.rows[0].accuracy
    assert baseline is not None
    manifest = Manifest(
        format=FORMAT,
        digest="",
        name=target.name,
        task=target.task.name,
        settings=target.task.settings(baseline.answers, chosen.accuracy.answers),
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
        path,
        manifest,
        model=chosen.built.model.read_bytes(),
        golden=_golden(result, target, chosen.accuracy.golden),
        evidence=result.evidence(),
    )


def _golden(result: FitResult, target: Target, outputs: Sequence[Mapping[str, Array]]) -> Golden:
    """Of the first evidence rows as many as have one shape and are not too large."""
    rows = Rows(result.data.rows)[result.data.first :][: len(outputs)]
    shapes = [
        (row.shape, [array.shape for array in found.values()])
        for row, found in zip(rows, outputs, strict=True)
    ]
    size = sum(array.nbytes for array in outputs[0].values())
    count = 1
    while count < min(len(outputs), _BYTES // max(1, size)) and shapes[count] == shapes[0]:
        count += 1
    return Golden(
        inputs={target.input: np.stack(rows[:count]).astype(np.float32)},
        outputs={name: np.concatenate([found[name] for found in outputs[:count]]) for name in outputs[0]},
    )
