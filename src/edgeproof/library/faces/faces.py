"""Faces of a picture from start to end: found, aligned, embedded, and judged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import ImageError, InputError, ModelError, NotFoundError, StorageError
from edgeproof.core.faces import Face, FaceDetections, FaceQuality
from edgeproof.core.options import Options
from edgeproof.core.results import TURNS
from edgeproof.imaging.align import align_faces, usable
from edgeproof.imaging.boxes import turn_boxes
from edgeproof.imaging.decode import decode
from edgeproof.tasks.face_detection import FaceDetector
from edgeproof.tasks.face_detection.task import Framed
from edgeproof.tasks.face_quality import assess
from edgeproof.tasks.face_recognition import FaceRecognizer
from edgeproof.tasks.orientation import Orientation, combine_turns, turned_views

if TYPE_CHECKING:
    from edgeproof.imaging.decode import Source

# Of faces in upright pictures nearly all reach this score with YuNet (LFW: all, 0.92 to 0.96). In a picture on its side
# none does (at most 0.88), and on its head few (0.76 to 0.91): there it finds faces whose landmarks are then wrong.
SURE = 0.91

# What goes wrong with one picture while the next may be well; anything else would go wrong with all of them.
OF_ONE_PICTURE = (ImageError, InputError, NotFoundError, StorageError)

Model: TypeAlias = "str | os.PathLike[str] | None"

_NO_LANDMARKS = FaceQuality(
    0.0, {"pose": 0.0}, {}, ("its landmarks lie in one place, so that it can't be aligned",)
)


class Faces:
    """Finds the faces of a picture and gives each its vector: `Faces().get("photo.jpg")`.

        first, second = (Faces().get(path)[0].embedding for path in ("a.jpg", "b.jpg"))
        first @ second          # the cosine similarity: near 1 the same person, near 0 another one

    The names are those of the insightface package: `face.bbox, face.kps, face.det_score, face.embedding`. One thing
    differs: an array is RGB here, as Pillow gives it; turn one of OpenCV with `array[..., ::-1]`.

    Arguments:
        detector: what finds faces: a name of the catalogue, a bundle, a model file, or None for `yunet`; or a
            `FaceDetector`, which is then used as it is.
        recognizer: what embeds them, likewise; None for `mobilefacenet`; or a `FaceRecognizer`.
        engine, options: what runs model files, a name of `edgeproof.engines`, and its options.
        threads: threads inside one run.
        confidence: the score from which a face is one; None for the detector's own.
        long_side: pixels that the picture's long side is scaled to for the detector; None for its own choice.
        scales: the picture is searched at each of these sizes, as multiples of that.
        turn: where no face is found for sure, ask the orientation network if the picture is turned, and look again.
        flip: embed each face and its mirror image: slightly more accurate, twice the cost.
        decoder: the detector's family, as for `FaceDetector`; None: told by its outputs.

    Models are opened on first use; may be used from several threads. Use as a context manager, or call `close()`.
    """

    def __init__(  # noqa: PLR0913 (what a detector and a recogniser each take)
        self,
        detector: Model | FaceDetector = None,
        recognizer: Model | FaceRecognizer = None,
        *,
        engine: str = "onnxruntime",
        options: Options | None = None,
        threads: int = 1,
        confidence: float | None = None,
        long_side: int | None = None,
        scales: Sequence[float] = (1.0,),
        turn: bool = True,
        flip: bool = False,
        decoder: str | None = None,
    ) -> None:
        self.detector = (
            detector
            if isinstance(detector, FaceDetector)
            else FaceDetector(
                detector,
                engine=engine,
                options=options,
                threads=threads,
                confidence=confidence,
                long_side=long_side,
                scales=tuple(scales),
                decoder=decoder,
            )
        )
        self.recognizer = (
            recognizer
            if isinstance(recognizer, FaceRecognizer)
            else FaceRecognizer(recognizer, engine=engine, options=options, threads=threads, flip=flip)
        )
        self._orientation = Orientation(threads=threads) if turn else None

    def open(self, *, embed: bool = True) -> Faces:
        """Open the models now, so that one that is missing is known before the first picture.

        Arguments:
            embed: the recogniser too.

        Raises:
            ModelMissingError: a model of the catalogue that is not installed.
            NotFoundError, ModelError, BundleError, EngineError: one can't be used.
        """
        self.detector.open()
        if embed:
            self.recognizer.open()
        return self

    def get(self, image: Source, *, embed: bool = True, quality: bool = True) -> list[Face]:
        """The faces of a picture, best first.

        Arguments:
            image: a path, an encoded file's bytes, a PIL image, or an array uint8 (H, W, 3) RGB.
            embed: give each its embedding.
            quality: judge each.

        Raises:
            ImageError: the picture can't be decoded.
            ModelError: the detector gives no landmarks, without which faces can't be aligned.
        """
        pixels = decode(image).pixels
        return self.faces(pixels, self.detect(pixels), embed=embed, quality=quality)

    def detect(self, pixels: NDArray[np.uint8], frames: Sequence[Framed] | None = None) -> FaceDetections:
        """Where the faces of a decoded picture are, uint8 (H, W, 3) RGB.

        Arguments:
            frames: what `detector.prepare` made of it, where that was done before.

        If no face, or none for sure, is found and the orientation network takes the picture for a turned one, it is
        turned and searched again, and the surer faces are the answer; boxes and landmarks are those of the picture
        as it came.
        """
        found = self.detector.detect(pixels, frames)
        if self._orientation is None or (len(found) and found.scores[0] >= SURE):
            return found
        turn = self._turn(self._orientation, pixels)
        if not turn:
            return found
        again = self.detector.detect(np.ascontiguousarray(np.rot90(pixels, -(turn // 90))))
        if not len(again) or (len(found) and found.scores[0] >= again.scores[0]):
            return found
        return turn_boxes(again, turn, pixels.shape[1], pixels.shape[0])

    @staticmethod
    def _turn(orientation: Orientation, pixels: NDArray[np.uint8]) -> int:
        """The degrees clockwise that seem to put a picture upright."""
        first = orientation.look(pixels)
        if first.decision == "keep":
            return 0
        _, task = orientation.open()
        views = turned_views(task.prepare(pixels).tensor)
        return TURNS[int(combine_turns(np.stack([orientation.logits(view) for view in views])).argmax())]

    def faces(
        self,
        pixels: NDArray[np.uint8],
        detections: FaceDetections,
        *,
        embed: bool = True,
        quality: bool = True,
    ) -> list[Face]:
        """Detections of a decoded picture, uint8 (H, W, 3) RGB, to faces; arguments and errors as `get`."""
        cut = self.cut(pixels, detections, embed=embed, quality=quality)
        return cut.faces(self.recognizer.embed(cut.crops) if embed and len(cut.crops) else None)

    def cut(
        self,
        pixels: NDArray[np.uint8],
        detections: FaceDetections,
        *,
        embed: bool = True,
        quality: bool = True,
    ) -> CutFaces:
        """The first half of `faces`: all but the embedding, so that faces of many pictures are embedded together.

        Arguments and errors are those of `get`.
        """
        marks, side = detections.landmarks, self.recognizer.task.side if embed else 112
        if marks is None and embed and len(detections):
            raise ModelError(
                "The detector gives no landmarks, without which faces can't be aligned and told apart.",
                hint="Use one that does, such as yunet.",
            )
        if marks is None or not (embed or quality) or not len(detections):
            return CutFaces(detections, np.empty(0, np.intp), np.empty((0, side, side, 3), np.uint8), None)
        good = np.flatnonzero(usable(marks))
        crops = align_faces(pixels, marks[good], side)
        judged = assess(pixels, detections.take(good), crops) if quality else None
        return CutFaces(detections, good, crops, judged)

    def close(self) -> None:
        """Free the models; they are opened again on the next use."""
        for model in (self.detector, self.recognizer, self._orientation):
            if model is not None:
                model.close()

    def __enter__(self) -> Faces:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@dataclass(frozen=True, eq=False)
class CutFaces:
    """Faces of one picture, found and aligned.

    Attributes:
        detections: all of them.
        places: which of them have landmarks that a face can be aligned by: an index for each crop.
        crops: uint8 (M, S, S, 3) RGB, aligned.
        judged: the quality of each crop; None where nobody asked.
    """

    detections: FaceDetections
    places: NDArray[np.intp]
    crops: NDArray[np.uint8]
    judged: Sequence[FaceQuality] | None

    def faces(self, vectors: NDArray[np.float32] | None) -> list[Face]:
        """All faces, best first, with the crops' embeddings float32 (M, D); None for without."""
        found, marks = self.detections, self.detections.landmarks
        embeddings = {} if vectors is None else dict(zip(self.places, vectors, strict=True))
        judged = None if self.judged is None else dict(zip(self.places, self.judged, strict=True))
        return [
            Face(
                bbox=found.boxes[i],
                det_score=float(found.scores[i]),
                kps=None if marks is None else marks[i],
                embedding=embeddings.get(i),
                quality=None if judged is None else judged.get(i, _NO_LANDMARKS),
            )
            for i in map(np.intp, range(len(found)))
        ]


def largest(faces: Sequence[Face]) -> Face:
    """The face with the largest box: the one that a picture of one person is of."""
    return max(faces, key=lambda face: float(np.prod(face.bbox[2:] - face.bbox[:2])))
