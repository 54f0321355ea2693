"""A video file from pictures: written under another name, and put in place when it is whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgeproof.core.errors import StorageError
from edgeproof.core.extras import require
from edgeproof.core.files import storage_error
from edgeproof.core.protocols import Pixels
from edgeproof.streams.capture import open_capture, without_secrets

# File name's end and codec; the second can be written by every build of OpenCV, and takes five times the space.
_KINDS = ((".mp4", "mp4v"), (".avi", "MJPG"))
_CAP_PROP_FPS = 5  # of OpenCV
_USUAL_RATE, _LEAST_RATE, _MOST_RATE = 25.0, 0.1, 1000.0


class _Writing(Protocol):
    def write(self, frame: Any) -> None: ...
    def release(self) -> None: ...


class VideoWriter:
    """Writes pictures to a video; the file is there after `close()`, with all that was written before.

    Arguments:
        path: the file; its end is changed to `.mp4`, or to `.avi` where OpenCV can't write that.
        rate: frames a second.

    Use as a context manager: what was written stays a whole video when the block ends with an error or by Ctrl-C.
    """

    def __init__(self, path: str | os.PathLike[str], rate: float) -> None:
        self.path = Path(path)
        self._rate = rate if _LEAST_RATE <= rate <= _MOST_RATE else _USUAL_RATE
        self._folder: Path | None = None
        self._writing: _Writing | None = None
        self._size = (0, 0)

    def write(self, pixels: Pixels) -> None:
        """Add a picture, uint8 (H, W, 3) RGB; one of another size than the first is stretched to that.

        MP4 has even sides: of an odd one the last line or column is left out.

        Raises:
            MissingExtraError: OpenCV is not installed.
            StorageError: a video can't be written there.
        """
        cv2: Any = _opencv()
        if self._writing is None:
            self._begin(cv2, (pixels.shape[1], pixels.shape[0]))
        assert self._writing is not None
        frame = np.ascontiguousarray(pixels[..., ::-1])
        if (frame.shape[1], frame.shape[0]) != self._size:
            frame = cv2.resize(frame, self._size)
        self._writing.write(frame)

    def _begin(self, cv2: Any, size: tuple[int, int]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix=".edgeproof-", dir=self.path.parent))
        except OSError as error:
            raise storage_error(self.path, error) from error
        for suffix, codec in _KINDS:
            file = self._folder / f"video{suffix}"
            writing = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*codec), self._rate, size)
            if writing.isOpened():
                self.path = self.path.with_suffix(suffix)
                self._writing, self._size = writing, size
                return
            writing.release()
        self._drop()
        raise StorageError(
            f"OpenCV can't write a video of {size[0]} x {size[1]} pixels to {self.path}.",
            hint="Check the free space, and that its build has a writer of videos.",
        )

    def close(self) -> None:
        """Put the file in place; nothing happens if no picture was written.

        Raises:
            StorageError: it could not be written, as on a full disk; nothing is left of it.
        """
        if self._writing is None or self._folder is None:
            return
        self._writing.release()
        self._writing = None
        made = self._folder / f"video{self.path.suffix}"
        try:
            # OpenCV says nothing of what it couldn't write: what can't be opened is not whole.
            if not _is_whole(made):
                raise StorageError(
                    f"{self.path} could not be written.",
                    hint="Is the disk full? Nothing half-written was left.",
                )
            with made.open("rb+") as handle:
                os.fsync(handle.fileno())
            made.replace(self.path)
        except OSError as error:
            raise storage_error(self.path, error) from error
        finally:
            self._drop()

    def _drop(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def frame_rate(source: str) -> float:
    """Frames a second of a video, as its file says; 25 where it says nothing that can be.

    Raises:
        MissingExtraError: OpenCV is not installed.
    """
    capture = open_capture(source)
    try:
        rate = float(capture.get(_CAP_PROP_FPS))
    finally:
        capture.release()
    return rate if _LEAST_RATE <= rate <= _MOST_RATE else _USUAL_RATE


def _is_whole(file: Path) -> bool:
    capture = open_capture(str(file))
    try:
        return capture.isOpened()
    finally:
        capture.release()


def _opencv() -> Any:
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    return require("cv2", extra="video", purpose="Writing videos")


def video_name(source: str) -> str:
    """What to call the copy of a video: its file's own name, without a password."""
    return f"{Path(without_secrets(source)).stem or 'video'}.mp4"
