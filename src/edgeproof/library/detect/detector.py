"""Objects in pictures, folders, videos and streams: the detector, and where its pictures come from."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from edgeproof.core.detections import Detections
from edgeproof.core.errors import EdgeproofError
from edgeproof.core.options import Options
from edgeproof.core.protocols import EngineInfo, Pixels
from edgeproof.core.tensor import Array
from edgeproof.imaging.decode import Picture, decode
from edgeproof.imaging.header import read_header
from edgeproof.imaging.read import read_file
from edgeproof.streams.events import Notify, ignore
from edgeproof.streams.frame import Frame
from edgeproof.streams.pipeline import Result, each, run_pipeline
from edgeproof.streams.sources import frames
from edgeproof.streams.track import Tracker
from edgeproof.tasks.detection import DetectionTask, ObjectDetector
from edgeproof.tasks.detection.frame import place
from edgeproof.tasks.detection.open import Wish
from edgeproof.tasks.detection.task import MOST

if TYPE_CHECKING:
    from edgeproof.imaging.decode import Source

# A JPEG is decoded at a half, a quarter or an eighth where that leaves this much more than the network is shown.
_MARGIN = 1.25


@dataclass(frozen=True, eq=False)
class ImageDetections:
    """What was found in one picture.

    Attributes:
        name: the picture's path; of a video `clip.mp4#12`.
        width, height: pixels of the upright picture; None where it couldn't be read.
        detections: best first, in those pixels.
        timing_ms: what decode, prepare, run and decode_result took, and their total, in milliseconds.
        error: why it couldn't be looked at.
        frame: which picture of its source it is; None for one that was given as it is.
        pixels: the picture as it was decoded, where it was asked for.
        input_size: width and height of what the network was shown; None where it couldn't be read.
    """

    name: str
    width: int | None
    height: int | None
    detections: Detections
    timing_ms: dict[str, float]
    error: EdgeproofError | None = None
    frame: Frame | None = None
    pixels: Pixels | None = field(default=None, repr=False)
    input_size: tuple[int, int] | None = None

    def without_pixels(self) -> ImageDetections:
        """The same, so that a long list of them stays small."""
        return replace(self, pixels=None)

    def as_json(self) -> dict[str, Any]:
        """One row of CONTRACT's `images`; a frame of a video has its number and time too."""
        where = {"path": self.name} if self.frame is None else self.frame.as_json()
        return {
            **where,
            "width": self.width,
            "height": self.height,
            "input_size": self.input_size,
            "detections": self.detections.as_json(),
            "timing_ms": {name: round(value, 3) for name, value in self.timing_ms.items()} or None,
            "error": self.error.as_json() if self.error else None,
        }


class Detector:
    """Finds the objects of pictures: `Detector("yolox-nano")("street.jpg").xyxy`.

    Arguments:
        model: a name of the catalogue, a bundle, an .onnx file, or a file of another format that `edgeproof import`
            reads. Another engine than onnxruntime also takes files of its own formats.
        engine, options: what runs a model file, a name of `edgeproof.engines`, and its options.
        threads: threads inside one run.
        confidence: the score, 0 to 1, from which a candidate is an object; None for the family's own.
        iou: the overlap, 0 to 1, above which two candidates are one object; None for the family's own.
        agnostic: candidates of two classes can be one object too.
        classes: the only ones wanted, by name or number; None for all.
        labels: a text file with the names of the classes, a line each; None: those in the model's file, or COCO's.
        decoder: the family of the network, a name of `edgeproof.tasks.detection.recognise.DECODERS`; None: told by
            its outputs.
        long_side: of the frame in pixels, where the network takes any size; None for 640.
        most: the most objects of a picture.
        tiles: look at each picture as a whole and in overlapping tiles that the network sees unreduced too: finds
            small objects in large pictures, at the cost of a look for each tile.

    The model is opened on first use; may be used from several threads. Use as a context manager, or call `close()`.
    """

    def __init__(  # noqa: PLR0913 - all but the model have a default and a name
        self,
        model: str | os.PathLike[str],
        *,
        engine: str = "onnxruntime",
        options: Options | None = None,
        threads: int = 1,
        confidence: float | None = None,
        iou: float | None = None,
        agnostic: bool = False,
        classes: Sequence[int | str] | None = None,
        labels: str | os.PathLike[str] | None = None,
        decoder: str | None = None,
        long_side: int | None = None,
        most: int = MOST,
        tiles: bool = False,
    ) -> None:
        wish = Wish(
            model,
            engine,
            options,
            threads,
            confidence,
            iou,
            agnostic,
            None if classes is None else tuple(classes),
            long_side,
            most,
            labels,
            decoder,
        )
        self._detector, self._tiles = ObjectDetector(wish), tiles

    def open(self) -> Detector:
        """Open the model now; raises what `ObjectDetector.open` raises."""
        self._detector.open()
        return self

    @property
    def task(self) -> DetectionTask:
        """What the network's answers mean; opens the model."""
        return self._detector.open()[1]

    @overload
    def __call__(self, image: list[Source] | tuple[Source, ...]) -> list[Detections]: ...

    @overload
    def __call__(self, image: Source) -> Detections: ...

    def __call__(self, image: Source | list[Source] | tuple[Source, ...]) -> Detections | list[Detections]:
        """The objects of one picture, best first, in pixels of the upright picture, or those of each of a list.

        Arguments:
            image: a path, encoded bytes, a PIL image, an array uint8 (H, W, 3) RGB, or a list of these.

        Raises:
            ImageError: a picture can't be decoded.
            InputError: the network answered NaN.
        """
        if isinstance(image, (list, tuple)):
            return [self(one) for one in image]
        return self.look(image).detections

    def look(self, image: Source, name: str = "") -> ImageDetections:
        """The same of one picture, with its size and what each step took."""
        return self._found(self._run(self._read(image, name, None)))

    def stream(
        self,
        source: str | os.PathLike[str],
        *,
        workers: int = 1,
        keep_pixels: bool = False,
        limit: int | None = None,
        stop: threading.Event | None = None,
        notify: Notify = ignore,
        track: bool = False,
    ) -> Iterator[ImageDetections]:
        """The objects of every picture of a source, in order; one that can't be used is reported and the rest go on.

        Arguments:
            source: a picture, a folder, a pattern, a video, a camera or a stream, as `edgeproof.streams.sources` says.
            workers: threads that decode and look at pictures side by side. A network that has several threads of its
                own runs `workers / threads` times at once, so that no more threads than these are busy in it.
            keep_pixels: give each picture too, to draw in.
            limit: end after so many.
            stop: set it to end; it is set when there is no more.
            notify: told of what happens on the way: a stream that drops and comes back, a video that is cut short.
            track: give each object a number, `data["track_id"]`, that it keeps from frame to frame.

        Raises:
            NotFoundError, DataError, SourceError: there are no pictures.
            ModelError, EngineError: the network can't be used.
        """
        network, task = self._detector.open()
        stop = stop or threading.Event()
        tracker = Tracker(task.least) if track else None
        least = tracker.least if tracker else None
        taken = _first(frames(os.fspath(source), stop=stop, notify=notify), limit)
        stages = [
            each("read", self._read_frame),
            each("run", self._run, at_once=_runs_at_once(network.engine.info, workers)),
            each("decode", lambda ran: self._found(ran, least)),
        ]
        for result in run_pipeline(taken, stages, threads=workers, stop=stop):
            report = _report(result, keep_pixels=keep_pixels)
            yield report if tracker is None else _tracked(report, tracker)

    def _read_frame(self, frame: Frame) -> _Read:
        image = frame.path if frame.path is not None and frame.time_s is None else frame
        return self._read(image, frame.name, frame)

    def _read(self, image: Source | Frame, name: str, frame: Frame | None) -> _Read:
        _, task = self._detector.open()
        started = time.perf_counter()
        picture = image.picture() if isinstance(image, Frame) else self._decode(image, task)
        decoded = time.perf_counter()
        prepared = self._detector.prepare(picture.pixels)
        done = time.perf_counter()
        said = name or (str(image) if isinstance(image, (str, os.PathLike)) else "")
        shown = task.input_size(prepared)
        return _Read(said, picture, prepared, frame, shown, (decoded - started, done - decoded))

    def _decode(self, image: Source, task: DetectionTask) -> Picture:
        return decode(image) if self._tiles else decode_for(image, task)

    def _run(self, read: _Read) -> _Ran:
        started = time.perf_counter()
        outputs = self._detector.run(read.prepared)
        return _Ran(read, outputs, time.perf_counter() - started)

    def _found(self, ran: _Ran, least: float | None = None) -> ImageDetections:
        read, picture, started = ran.read, ran.read.picture, time.perf_counter()
        found = _enlarged(self._detector.decode(ran.outputs, read.prepared, least=least), picture)
        decoded, looked = time.perf_counter(), ran.seconds
        if self._tiles:
            found = self._detector.add_tiles(picture.pixels, found, least=least)
            looked += time.perf_counter() - decoded  # the tiles' looks are the network's, nearly all of it
        parts = (*read.seconds, looked, decoded - started)
        names = ("decode", "prepare", "run", "decode_result", "total")
        timing = {name: 1000 * part for name, part in zip(names, (*parts, sum(parts)), strict=True)}
        return ImageDetections(
            read.name,
            picture.width,
            picture.height,
            found,
            timing,
            None,
            read.frame,
            picture.pixels,
            read.input_size,
        )

    def close(self) -> None:
        """Free the model; it is opened again on the next use."""
        self._detector.close()

    def __enter__(self) -> Detector:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@dataclass(frozen=True, eq=False)
class _Read:
    name: str
    picture: Picture
    prepared: Any
    frame: Frame | None
    input_size: tuple[int, int]
    seconds: tuple[float, float]


@dataclass(frozen=True, eq=False)
class _Ran:
    read: _Read
    outputs: dict[str, Array]
    seconds: float


def _runs_at_once(engine: EngineInfo, workers: int) -> int:
    """Each run has its own activations, the most of a detector's memory: threads inside one run need them once."""
    return max(1, workers // max(1, engine.threads)) if engine.thread_safe else 1


def _first(found: Iterator[Frame], limit: int | None) -> Iterator[Frame]:
    try:
        yield from itertools.islice(found, limit)
    finally:
        found.close()  # type: ignore[attr-defined]  # frames() gives generators, and a camera must be let go


def decode_for(image: Source, task: DetectionTask) -> Picture:
    """A picture, decoded no larger than the network needs; errors as `decode`."""
    if isinstance(image, (str, os.PathLike)):
        image = read_file(image)
    if not isinstance(image, bytes):
        return decode(image)
    header = read_header(image)
    size = (header.width, header.height) if header.exif_orientation < 5 else (header.height, header.width)
    _, inner = place(size, task.frame(*size), task.decoder.form)
    return decode(image, cover=max(1, round(min(inner) * _MARGIN)))


def _enlarged(found: Detections, picture: Picture) -> Detections:
    """Boxes of a reduced picture in the full picture's pixels."""
    high, wide = picture.pixels.shape[:2]
    if (wide, high) == (picture.width, picture.height):
        return found
    scale = np.array([picture.width / wide, picture.height / high] * 2, np.float32)
    return Detections(found.xyxy * scale, found.confidence, found.class_id, found.data)


def _report(result: Result[Frame], *, keep_pixels: bool) -> ImageDetections:
    if result.error is not None or result.value is None:
        return ImageDetections(result.item.name, None, None, Detections.none(), {}, result.error, result.item)
    found: ImageDetections = result.value
    return found if keep_pixels else found.without_pixels()


def _tracked(report: ImageDetections, tracker: Tracker) -> ImageDetections:
    if report.error is not None:
        tracker.miss()
        return report
    return replace(report, detections=tracker.update(report.detections))


def picture_path(report: ImageDetections) -> Path:
    """The name of a report's picture as a path: `clip.mp4#12` for a frame."""
    frame = report.frame
    if frame is None or frame.time_s is None:
        return Path(report.name)
    base = frame.path or Path("stream")
    return base.with_name(f"{base.stem}-{frame.index:06d}.jpg")
