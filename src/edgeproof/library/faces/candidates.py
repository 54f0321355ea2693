"""Faster forms of a face recogniser: made, and let in only where their vectors are still the same."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeproof._version import __version__
from edgeproof.bundles.bundle import Golden, pack
from edgeproof.bundles.manifest import FORMAT, EngineNeed, Manifest
from edgeproof.core.errors import DataError, EdgeproofError
from edgeproof.devices.host import describe_host
from edgeproof.tasks.face_recognition import FaceRecognizer

# A mean cosine of .994 with the original's vectors cost none of 1,200 LFW pairs (MobileFaceNet, INT8 by minimum and
# maximum); an INT8 file that loses points has .97 and below.
LEAST_COSINE = 0.99
FEWEST_CROPS = 32
_CALIBRATION = 64
_BF16 = frozenset({"amx_bf16", "avx512_bf16", "bf16"})


@dataclass(frozen=True)
class Candidate:
    """One way to run a recogniser.

    Attributes:
        id: unique, such as `ort-int8`.
        model: a file, a bundle, or a name of the catalogue.
        engine, options: what runs it; of a bundle, the bundle's own.
        cosine: mean similarity of its vectors with the original's on the same faces; None where it isn't known.
        refused: why it isn't used; "" where it may be.
    """

    id: str
    model: str
    engine: str = "onnxruntime"
    options: dict[str, Any] = field(default_factory=dict)
    cosine: float | None = None
    refused: str = ""

    def as_json(self) -> dict[str, Any]:
        """One row of the document."""
        return {
            "id": self.id,
            "model": self.model,
            "engine": self.engine,
            "options": self.options,
            "cosine": self.cosine,
            "refused": self.refused or None,
        }


def candidates(original: FaceRecognizer, crops: NDArray[np.uint8], out: Path) -> list[Candidate]:
    """The ways that could be faster here; those that don't keep the vectors are in the list, refused.

    Arguments:
        original: in float32 on ONNX Runtime.
        crops: uint8 (N, S, S, 3), aligned faces: a part calibrates INT8, and the others judge it.
        out: a folder where the INT8 bundle is written.
    """
    file = str(original.open()[0].file)
    found: list[Candidate] = []
    if find_spec("openvino"):
        ways: list[tuple[str, dict[str, Any]]] = [("ov-f32", {})]
        if _BF16 & set(describe_host().isa):
            ways.append(("ov-bf16", {"precision": "bf16"}))
        found += [Candidate(name, file, "openvino", options) for name, options in ways]
    try:
        bundle = int8_bundle(original, crops[:_CALIBRATION], out / "recognizer-int8.edge")
        found.append(Candidate("ort-int8", str(bundle)))
    except EdgeproofError as error:
        found.append(Candidate("ort-int8", file, refused=str(error)))
    judged = crops[_CALIBRATION:] if len(crops) >= _CALIBRATION + FEWEST_CROPS else crops
    wanted = original.embed(judged)
    return [one if one.refused else _judged(one, original, judged, wanted) for one in found]


def _judged(
    one: Candidate, original: FaceRecognizer, crops: NDArray[np.uint8], wanted: NDArray[np.float32]
) -> Candidate:
    bundle = one.model.endswith(".edge")
    try:
        with FaceRecognizer(
            one.model, engine=one.engine, options=one.options, task=None if bundle else original.task
        ) as looked:
            cosine = float((looked.embed(crops) * wanted).sum(axis=1).mean())
    except EdgeproofError as error:
        return Candidate(one.id, one.model, one.engine, one.options, None, str(error))
    refused = (
        "" if cosine >= LEAST_COSINE else f"its vectors have a cosine of {cosine:.3f} with the original's"
    )
    return Candidate(one.id, one.model, one.engine, one.options, round(cosine, 5), refused)


def int8_bundle(original: FaceRecognizer, crops: NDArray[np.uint8], path: Path) -> Path:
    """Quantise a recogniser to INT8 with these faces, and seal it in a bundle.

    Arguments:
        crops: uint8 (N, S, S, 3), aligned faces, 32 or more.

    Raises:
        DataError: too few faces.
        ModelError: the network can't be quantised.
        MissingExtraError: onnx is not installed.
        StorageError: it can't be written there.
    """
    from edgeproof.formats.onnx import load_model
    from edgeproof.optimize.calibrate import collect_ranges
    from edgeproof.optimize.int8 import static_int8
    from edgeproof.optimize.simplify import simplify

    if len(crops) < FEWEST_CROPS:
        raise DataError(
            f"{len(crops)} faces are too few to calibrate INT8 with.",
            hint=f"Give pictures with {FEWEST_CROPS} faces.",
        )
    network, task = original.open()
    (spec,) = network.engine.inputs
    rows = task.prepare_all(crops, channels_last=spec.shape[-1] == 3)
    clean = simplify(load_model(network.file)).model
    ranges = collect_ranges(clean, ({spec.name: row[None]} for row in rows)).minmax()
    model = static_int8(clean, ranges).model.SerializeToString()
    manifest = Manifest(
        format=FORMAT,
        digest="",
        name=f"{network.name}-int8",
        task=task.name,
        settings=task.settings(),
        model="model.onnx",
        engine=EngineNeed("onnxruntime", network.engine.info.version),
        precision="int8",
        quantizer="static-minmax",
        tolerance=0.05,
        files={},
        licence="as the original's",
        source=network.name,
        edgeproof=__version__,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        host=msgspec.to_builtins(describe_host()),
    )
    golden = _golden(model, spec.name, rows[:4])
    return pack(path, manifest, model=model, golden=golden, evidence={"calibration": len(crops)}).path


def _golden(model: bytes, name: str, rows: NDArray[np.float32]) -> Golden:
    from tempfile import TemporaryDirectory

    from edgeproof.engines import open_engine

    with TemporaryDirectory(prefix="edgeproof-") as folder:
        file = Path(folder) / "model.onnx"
        file.write_bytes(model)
        with open_engine(file) as engine:
            answers = [engine.run({name: row[None]}) for row in rows]
    outputs = {key: np.concatenate([answer[key] for answer in answers]) for key in answers[0]}
    return Golden({name: rows}, outputs)
