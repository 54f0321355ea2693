"""Every frame of a video file, in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edgeproof.core.errors import SourceError
from edgeproof.streams.capture import Capture, open_capture, to_picture, without_secrets
from edgeproof.streams.events import Notify, StreamEvent, ignore
from edgeproof.streams.frame import Frame

_CAP_PROP_POS_MSEC, _CAP_PROP_FRAME_COUNT = 0, 7  # of OpenCV, which need not be imported for them


def video_frames(
    source: str,
    *,
    notify: Notify = ignore,
    stop: threading.Event | None = None,
    opener: Callable[[str], Capture] = open_capture,
) -> Iterator[Frame]:
    """Every frame of a video, turned as its file says.

    A file that ends early gives the frames that there are, and then tells `notify`.

    Raises:
        SourceError: it can't be opened, or has no frame.
        MissingExtraError: OpenCV is not installed.
    """
    name, capture = without_secrets(source), opener(source)
    try:
        if not capture.isOpened():
            raise SourceError(
                f"{name} can't be read as a video.",
                hint="It may be cut short, not a video, or of a codec that OpenCV's FFmpeg doesn't have.",
            )
        stated, count = capture.get(_CAP_PROP_FRAME_COUNT), 0
        while not (stop and stop.is_set()):
            read, frame = capture.read()
            if not read:
                _check_end(name, stated, count, notify)
                return
            yield _frame(source, name, count, frame, capture.get(_CAP_PROP_POS_MSEC) / 1e3)
            count += 1
    finally:
        capture.release()


def _frame(source: str, name: str, index: int, frame: Any, time_s: float) -> Frame:
    path = None if "://" in source else Path(source)
    return Frame(f"{name}#{index}", index, lambda _cover: to_picture(frame), name, max(time_s, 0.0), path)


def _check_end(name: str, stated: float, count: int, notify: Notify) -> None:
    if not count:
        raise SourceError(
            f"{name} has no frame that can be read.", hint="It may be cut short: copy it again."
        )
    if stated > count:  # what is stated may be an estimate, and is then a frame too low rather than too high
        error = SourceError(
            f"{name} says that it has {stated:.0f} frames, and {count} could be read.",
            hint="It may be cut short: copy it again. What was read is not affected.",
        )
        notify(StreamEvent("cut short", name, error.message, error))
