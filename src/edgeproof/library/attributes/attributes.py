"""Ages and genders of the faces of a picture: the detector and the networks put together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias, overload

import numpy as np

from edgeproof.core.attributes import AgeEstimate, FaceAttributes, GenderEstimate
from edgeproof.core.errors import UsageError
from edgeproof.core.faces import FaceDetections
from edgeproof.core.options import Options
from edgeproof.core.protocols import Pixels
from edgeproof.imaging.decode import Picture, decode
from edgeproof.library.faces.faces import Faces
from edgeproof.tasks.attributes.estimate import GENDER_THRESHOLD, age_in_years, age_of, gender_of, unsure
from edgeproof.tasks.attributes.estimator import AttributeEstimator
from edgeproof.tasks.attributes.family import Answers
from edgeproof.tasks.face_detection import FaceDetector

if TYPE_CHECKING:
    from edgeproof.imaging.decode import Source

Model: TypeAlias = "str | os.PathLike[str] | None"

# The detector looks at 960 pixels of the long side: from a picture with this many on its short side it loses nothing,
# and a 12-megapixel JPEG takes 9 MB instead of 36.
COVER = 1280


class Attributes:
    """Tells the age and gender of each face: `Attributes()("photo.jpg")[0].age.years`.

    Arguments:
        model: a bundle, an .onnx file, a file of another format that `edgeproof import` reads, or None for the network
            that comes with the package. One that tells ages only (SSR-Net, Levi and Hassner's) leaves the gender open.
        gender_model: a second network, for the gender, as Levi and Hassner's pair has; None: `model` tells both.
        detector: what finds faces: a name of the catalogue, a bundle, a model file, or None for `yunet`; or a
            `FaceDetector`, which is then used as it is.
        engine, options: what runs model files, a name of `edgeproof.engines`, and its options.
        threads: threads inside one run.
        threshold: the probability below which a gender makes a face `unsure`, 0.5 to 1.
        confidence: the score from which a face is one; None for the detector's own.
        long_side: pixels of the long side as the detector sees it; None for its own choice.
        turn: where no face is found, ask the orientation network whether the picture is turned, and look again.

    For summaries and interfaces; never for decisions about a person. Models are opened on first use; may be used from
    several threads. Use as a context manager, or call `close()`.
    """

    def __init__(
        self,
        model: Model = None,
        *,
        gender_model: Model = None,
        detector: Model | FaceDetector = None,
        engine: str = "onnxruntime",
        options: Options | None = None,
        threads: int = 1,
        threshold: float = GENDER_THRESHOLD,
        confidence: float | None = None,
        long_side: int | None = None,
        turn: bool = True,
    ) -> None:
        if not 0.5 <= threshold <= 1:
            raise UsageError(f"threshold is {threshold}.", hint="Use a probability of 0.5 to 1.")
        self.threshold = threshold
        self._faces = Faces(detector, threads=threads, confidence=confidence, long_side=long_side, turn=turn)
        models = [model] if gender_model is None else [model, gender_model]
        self.estimators = [
            AttributeEstimator(one, engine=engine, options=options, threads=threads) for one in models
        ]

    def open(self) -> Attributes:
        """Open the models now, so that one that is missing is known before the first picture.

        Raises:
            ModelMissingError: the detector is not installed: `edgeproof models pull yunet`.
            NotFoundError, ModelError, BundleError, EngineError: a model can't be used.
            UsageError: two networks that both tell the same.
        """
        self.open_estimators()
        self._faces.open(embed=False)
        return self

    def open_estimators(self) -> Attributes:
        """Open the networks without the detector, which crops of faces don't need; errors as `open`."""
        families = [estimator.family for estimator in self.estimators]
        if len(families) == 2 and not (families[0].tells_age and families[1].tells_gender):
            raise UsageError(
                "Of two models the first has to tell ages and the second genders.",
                hint="Give --model the network for ages and --gender-model the one for genders.",
            )
        return self

    @overload
    def __call__(self, image: list[Source] | tuple[Source, ...]) -> list[list[FaceAttributes]]: ...

    @overload
    def __call__(self, image: Source) -> list[FaceAttributes]: ...

    def __call__(
        self, image: Source | list[Source] | tuple[Source, ...]
    ) -> list[FaceAttributes] | list[list[FaceAttributes]]:
        """The faces of one picture, best first, or of each of a list.

        Arguments:
            image: a path, encoded bytes, a PIL image, an array uint8 (H, W, 3) RGB, or a list of these.

        Raises:
            ImageError: a picture can't be decoded.
            ModelMissingError: the detector is not installed.
        """
        if isinstance(image, (list, tuple)):
            return [self(one) for one in image]
        return self.look(decode(image, cover=COVER))

    def look(self, picture: Picture) -> list[FaceAttributes]:
        """The faces of a decoded picture, which may be a reduced one; their boxes are in the full picture's pixels."""
        found = self._faces.detect(picture.pixels)
        scale = np.float32(picture.width / picture.pixels.shape[1])
        rows = self.estimates(picture.pixels, found)
        return [
            FaceAttributes(box * scale, float(score), age, gender, unsure(age, gender, self.threshold))
            for box, score, (age, gender) in zip(found.boxes, found.scores, rows, strict=True)
        ]

    def estimates(
        self, pixels: Pixels, found: FaceDetections
    ) -> list[tuple[AgeEstimate | None, GenderEstimate | None]]:
        """Age and gender of each face of a picture uint8 (H, W, 3) RGB; all its faces go through a network at once."""
        if not len(found):
            return []
        return self.told([estimator.ask(pixels, found.boxes) for estimator in self.estimators], len(found))

    def told(
        self, answers: Sequence[Answers], count: int
    ) -> list[tuple[AgeEstimate | None, GenderEstimate | None]]:
        """What the networks' answers about `count` faces come to."""
        buckets = self.estimators[0].family.buckets
        first, last = answers[0], answers[-1]

        def age(face: int) -> AgeEstimate | None:
            if first.age is not None:
                return age_of(first.age[face], buckets)
            return None if first.years is None else age_in_years(float(first.years[face]), buckets)

        return [
            (age(face), None if last.gender is None else gender_of(last.gender[face]))
            for face in range(count)
        ]

    def close(self) -> None:
        """Free the models; they are opened again on the next use."""
        self._faces.close()
        for estimator in self.estimators:
            estimator.close()

    def __enter__(self) -> Attributes:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
