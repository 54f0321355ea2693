"""What a face recognition network takes and gives: how pixels become its input, and its answer a direction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import InputError, ModelError, UsageError
from edgeproof.core.faces import Floats
from edgeproof.core.protocols import Pixels, Prepared
from edgeproof.core.tensor import Array, TensorSpec
from edgeproof.imaging.align import SIDE

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class FaceRecognitionTask:
    """What a face recognition network takes and gives.

    Attributes:
        mean, std: of each channel in the network's order, on the scale 0 to 255: (pixel - mean) / std. The default is
            what ArcFace and CurricularFace were trained with.
        colour: "RGB" or "BGR", the order of channels that the network takes.
        side: of the square that it sees, in pixels.
        threshold: the cosine from which on two faces count as one person; None where nobody measured it.
    """

    mean: Triple = (127.5, 127.5, 127.5)
    std: Triple = (127.5, 127.5, 127.5)
    colour: str = "RGB"
    side: int = SIDE
    threshold: float | None = None

    name = "face-recognition"
    metric_name = "accuracy"

    def __post_init__(self) -> None:
        three = len(self.mean) == len(self.std) == 3
        if not three or not np.isfinite([*self.mean, *self.std]).all() or min(self.std) <= 0:
            raise UsageError(
                f"mean is {list(self.mean)} and std {list(self.std)}.",
                hint="Expected three numbers each, for std above 0.",
            )
        if self.colour not in ("RGB", "BGR"):
            raise UsageError(f"colour is {self.colour!r}.", hint="Expected RGB or BGR.")
        if self.threshold is not None and not -1 <= self.threshold <= 1:
            raise UsageError(f"threshold is {self.threshold}.", hint="Expected a cosine, -1 to 1.")
        if not 16 <= self.side <= 1024:
            raise UsageError(f"side is {self.side}.", hint="Expected 16 to 1024 pixels; nearly always 112.")

    @staticmethod
    def from_settings(settings: Mapping[str, Any]) -> FaceRecognitionTask:
        """From a row of the catalogue or a bundle's manifest, which holds plain numbers only."""
        known: dict[str, Any] = {name: settings[name] for name in ("colour", "threshold") if name in settings}
        for name in ("mean", "std"):
            if name in settings:
                known[name] = tuple(map(float, settings[name]))
            elif f"{name}_0" in settings:
                known[name] = tuple(float(settings[f"{name}_{channel}"]) for channel in range(3))
        if "bgr" in settings:
            known["colour"] = "BGR" if settings["bgr"] else "RGB"
        return FaceRecognitionTask(**known, side=int(settings.get("side", SIDE)))

    def settings(self) -> dict[str, float]:
        """What a manifest keeps of this task."""
        kept = {"side": float(self.side), "bgr": float(self.colour == "BGR")}
        for name, values in (("mean", self.mean), ("std", self.std)):
            kept |= {f"{name}_{channel}": value for channel, value in enumerate(values)}
        return kept if self.threshold is None else {**kept, "threshold": self.threshold}

    @property
    def cover(self) -> int:
        """An aligned face has this many pixels."""
        return self.side

    def prepare_all(self, crops: NDArray[np.uint8], *, channels_last: bool = False) -> NDArray[np.float32]:
        """Aligned faces uint8 (N, S, S, 3) RGB to float32 (N, 3, S, S), or (N, S, S, 3) where the network wants so."""
        ordered = crops[..., ::-1] if self.colour == "BGR" else crops
        mean, std = (np.asarray(values, dtype=np.float32) for values in (self.mean, self.std))
        if channels_last:
            return np.asarray((ordered - mean) / std, dtype=np.float32)
        made = np.empty((len(crops), 3, *crops.shape[1:3]), np.float32)
        for channel in range(3):
            np.subtract(ordered[..., channel], mean[channel], out=made[:, channel], dtype=np.float32)
            made[:, channel] /= std[channel]
        return made

    def prepare(self, pixels: Pixels) -> Prepared:
        """One aligned face, uint8 (S, S, 3) RGB."""
        return Prepared(self.prepare_all(pixels[None])[0])

    def decode(self, outputs: Mapping[str, Array], prepared: Prepared) -> Floats:  # noqa: ARG002
        """One face's raw vector to float32 (D,) of length 1."""
        raw = np.asarray(next(iter(outputs.values())), dtype=np.float32)
        return np.asarray(unit_vectors(raw.reshape(1, -1))[0])

    def check(self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
        """One input float32 (N, 3, S, S) or (N, S, S, 3), and an output (N, D).

        Raises:
            ModelError: the network has others.
        """
        side = self.side
        fits = len(inputs) == 1 and inputs[0].dtype == "float32" and len(inputs[0].shape) == 4
        fits = fits and (takes_face(inputs[0], (3, side, side)) or takes_face(inputs[0], (side, side, 3)))
        if not fits or embedding_output(outputs) is None:
            has = ", ".join(map(str, (*inputs, *outputs)))
            raise ModelError(
                f"This is not a face recognition network: it has {has}.",
                hint=f"One has an input float32[N, 3, {side}, {side}] and an output [N, D].",
            )


def takes_face(spec: TensorSpec, shape: tuple[int, ...]) -> bool:
    """Whether an input takes faces of that shape, whatever its batch."""
    return TensorSpec(spec.name, spec.shape[1:], spec.dtype).accepts(shape)


def embedding_output(outputs: Sequence[TensorSpec]) -> TensorSpec | None:
    """The first output (N, D), or (N, D, 1, 1); a network may give feature maps beside it."""
    for spec in outputs:
        if len(spec.shape) >= 2 and all(size == 1 for size in spec.shape[2:]) and spec.shape[1] not in (0, 1):
            return spec
    return None


def unit_vectors(vectors: NDArray[np.floating[Any]]) -> Floats:
    """Vectors (N, D) divided by their lengths, float32.

    Raises:
        InputError: one is zero or not finite, so that it has no direction.
    """
    vectors = np.asarray(vectors, dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 1e-12)))
    if len(bad):
        raise InputError(
            f"The network's vector of face {bad[0]} is zero or not finite.",
            hint="Check the model file; a float16 one may have overflowed: try it in float32.",
        )
    return np.asarray(vectors / lengths, dtype=np.float32)
