"""Faces of many pictures: decoded, searched, aligned and embedded side by side, within a memory budget.

The results are those of `Faces.get`, picture by picture.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgeproof.core.errors import BudgetError, EdgeproofError
from edgeproof.core.faces import Face, FaceDetections, Floats
from edgeproof.core.protocols import Pixels
from edgeproof.devices.host import usable_cores
from edgeproof.imaging.header import read_header
from edgeproof.imaging.read import read_file
from edgeproof.library.faces.faces import CutFaces, Faces
from edgeproof.streams.batches import SHRINK_ABOVE, BatchSize, resident_bytes
from edgeproof.streams.events import Notify, ignore
from edgeproof.streams.frame import Frame
from edgeproof.streams.pipeline import Result, Stage, each, run_pipeline
from edgeproof.streams.supervise import Supervised
from edgeproof.tasks.face_detection.task import Framed

# In one call of the recogniser. More are no faster: IR-50 in INT8 takes 240 MB with 4 at once and 350 with 16.
MOST_FACES = 4
_MOST_PICTURES = 4  # whose faces go into one call
# Of the budget; the first runs take the networks' working memory on top.
_MOST_BEFORE = 0.9
# Without a budget: what pictures may take while they are on their way. More waiting large ones are no faster.
_IN_FLIGHT = 40e6
_LARGE_FRAME = 0.8e6  # bytes of what the detector sees: 0.8 MB are 640 x 416 pixels
_BESIDE_PIXELS = 3  # what decoding and searching take beside the pixels, at the worst, as a multiple of them


@dataclass(frozen=True, eq=False)
class FrameFaces:
    """The faces of one frame, or why there are none.

    Attributes:
        frame: the frame.
        width, height: pixels of the upright picture; 0 where it couldn't be decoded.
        faces: best first.
        error: why it couldn't be looked at.
    """

    frame: Frame
    width: int
    height: int
    faces: list[Face]
    error: EdgeproofError | None = None


@dataclass(frozen=True, eq=False)
class _Looked:
    """A frame on its way; each stage fills in its own."""

    frame: Frame
    width: int = 0
    height: int = 0
    pixels: Pixels | None = None
    frames: Sequence[Framed] = ()
    detections: FaceDetections | None = None
    cut: CutFaces | None = None
    vectors: Floats | None = None


class FacesStream:
    """The stages of the faces pipeline around one `Faces`.

    Arguments:
        faces: what finds and embeds; opened here, and closed by whoever made it.
        threads: calls of stages that run at the same time; None for one a core.
        depth: pictures that wait before each stage.
        memory_budget: bytes that this process may have; None for no limit.
        embed, quality: as for `Faces.get`.
        notify: told when a stage is degraded and when it is well again.
    """

    def __init__(
        self,
        faces: Faces,
        *,
        threads: int | None = None,
        depth: int = 2,
        memory_budget: float | None = None,
        embed: bool = True,
        quality: bool = False,
        notify: Notify = ignore,
    ) -> None:
        self._faces, self._depth, self._budget = faces, depth, memory_budget
        self._threads = threads or usable_cores()
        self._embed, self._quality = embed, quality
        self._batch = BatchSize(memory_budget, most=MOST_FACES)
        self._before: int | None = None
        self._detecting = Supervised(
            "detect",
            lambda several: [self._detect(looked) for looked in several],
            reopen=self._open_detector,
            notify=notify,
        )
        self._embedding = Supervised(
            "embed", self._embed_crops, reopen=self._open_recognizer, batch=self._batch, notify=notify
        )

    def run(
        self, frames: Iterable[Frame], *, live: bool = False, stop: threading.Event | None = None
    ) -> Iterator[FrameFaces]:
        """The faces of each frame, in the order of the frames.

        Arguments:
            frames: from `edgeproof.streams.sources.frames`.
            live: keep only as many frames on the way as there are threads, so that each is new.
            stop: set it to take no more frames; what was taken still comes. It is set at the end.

        Raises:
            BudgetError: the models alone take more than the memory budget.
            EdgeproofError: a model can't be opened at the start, or the source ended with an error.
        """
        self._faces.open(embed=self._embed)
        room = self._room()
        # Reading a large photo and making it smaller takes several times its pixels for a moment: half of the threads
        # at the most.
        stages = [
            each("decode", self._decode, at_once=max(1, self._threads // 2)),
            self._detecting.stage(at_once=self._detections_at_once),
            each("align", self._cut),
        ]
        if self._embed:
            stages.append(Stage("embed", self._embed_all, lambda: min(self._batch.size, _MOST_PICTURES)))
        results = run_pipeline(
            frames,
            stages,
            threads=self._threads,
            depth=1 if live else self._depth,
            stop=stop,
            cost=self._modest_bytes_for if room is None else _bytes_for,
            most_cost=_IN_FLIGHT if room is None else room,
        )
        return map(_gathered, results)

    def _detections_at_once(self, looked: _Looked) -> int | None:
        """One large frame at a time: the network's working memory grows with it, and there is other work meanwhile."""
        return 1 if sum(picture.nbytes for picture, _ in looked.frames) > _LARGE_FRAME else None

    def _modest_bytes_for(self, frame: Frame) -> float:
        """As `_bytes_for`, so that there is always a picture for each thread."""
        return min(_bytes_for(frame), _IN_FLIGHT / self._threads)

    def _room(self) -> float | None:
        """Bytes that pictures may take; None for no limit."""
        # Before the first picture: what the networks keep from an earlier run they need again, and no more than that.
        self._before = used = self._before or resident_bytes()
        if self._budget is None or used is None:
            return None
        if used > _MOST_BEFORE * self._budget:
            raise BudgetError(
                f"The models take {used / 1e6:.0f} MB before the first picture, and the budget is"
                f" {self._budget / 1e6:.0f} MB.",
                hint=f"Give at least {used / _MOST_BEFORE / 1e6 + 1:.0f} MB, or use smaller models.",
            )
        return max(SHRINK_ABOVE * self._budget - used, 0.0)

    def _decode(self, frame: Frame) -> _Looked:
        picture = frame.picture()
        frames = self._faces.detector.prepare(picture.pixels)
        return _Looked(frame, picture.width, picture.height, picture.pixels, frames)

    def _detect(self, looked: _Looked) -> _Looked:
        assert looked.pixels is not None
        return replace(looked, frames=(), detections=self._faces.detect(looked.pixels, looked.frames))

    def _cut(self, looked: _Looked) -> _Looked:
        assert looked.pixels is not None
        assert looked.detections is not None
        cut = self._faces.cut(looked.pixels, looked.detections, embed=self._embed, quality=self._quality)
        return replace(looked, pixels=None, cut=cut)

    def _embed_all(self, several: list[_Looked]) -> list[_Looked | EdgeproofError]:
        """The faces of several pictures in as few calls as the memory allows."""
        crops = [crop for looked in several if looked.cut for crop in looked.cut.crops]
        answers: list[Any] = []
        while len(answers) < len(crops):
            start = len(answers)
            answers += self._embedding(crops[start : start + self._batch.size])
        made: list[_Looked | EdgeproofError] = []
        for looked in several:
            count = len(looked.cut.crops) if looked.cut else 0
            mine, answers = answers[:count], answers[count:]
            error = next((answer for answer in mine if isinstance(answer, EdgeproofError)), None)
            made.append(error or replace(looked, vectors=np.stack(mine) if mine else None))
        return made

    def _embed_crops(self, crops: list[Pixels]) -> list[Floats]:
        return list(self._faces.recognizer.embed(np.stack(crops)))

    def _open_detector(self) -> None:
        self._faces.detector.close()
        self._faces.detector.open()

    def _open_recognizer(self) -> None:
        self._faces.recognizer.close()
        self._faces.recognizer.open()


def _gathered(result: Result[Frame]) -> FrameFaces:
    looked = result.value
    if looked is None or looked.cut is None:
        return FrameFaces(result.item, 0, 0, [], result.error)
    return FrameFaces(result.item, looked.width, looked.height, looked.cut.faces(looked.vectors))


def _bytes_for(frame: Frame) -> float:
    """What a frame takes at the worst while it is on its way."""
    if frame.path is None or frame.time_s is not None:
        return 0.0  # a video's frames are there already, and their number is bounded
    try:
        data = read_file(frame.path)
        header = read_header(data)
    except EdgeproofError:
        return 0.0  # decoding will say what is wrong with it
    pixels = 3.0 * header.width * header.height
    # A progressive JPEG keeps two bytes for each coefficient until its last scan.
    return len(data) + pixels * (_BESIDE_PIXELS + 2 * header.progressive)
