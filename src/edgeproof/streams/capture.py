"""OpenCV's reader of videos, cameras and streams, made quiet and given time limits."""

from __future__ import annotations

import os
from typing import Any, Protocol
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.extras import require
from edgeproof.imaging.decode import Picture

OPEN_TIMEOUT_MS = 10_000
READ_TIMEOUT_MS = 5_000


class Capture(Protocol):
    """The part of `cv2.VideoCapture` that is used here."""

    def isOpened(self) -> bool: ...  # noqa: N802
    def read(self) -> tuple[bool, Any]: ...
    def get(self, what: int) -> float: ...
    def release(self) -> None: ...


def open_capture(source: str | int) -> Capture:
    """Open a file, an address or a camera's number.

    Raises:
        MissingExtraError: OpenCV is not installed.
    """
    # FFmpeg's warnings name the address with its password, and say nothing that an error of ours doesn't.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    cv2: Any = require("cv2", extra="video", purpose="Reading videos, cameras and streams")
    if isinstance(source, int) or source.startswith("/dev/"):
        camera: Capture = cv2.VideoCapture(source, cv2.CAP_ANY)
        return camera
    limits = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
        OPEN_TIMEOUT_MS,
        cv2.CAP_PROP_READ_TIMEOUT_MSEC,
        READ_TIMEOUT_MS,
    ]
    video = cv2.VideoCapture(source, cv2.CAP_FFMPEG, limits if "://" in source else [])
    video.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # turned as the phone that filmed it was held
    opened: Capture = video
    return opened


def to_picture(frame: NDArray[Any]) -> Picture:
    """A frame as OpenCV gives it, uint8 (H, W, 3) BGR or (H, W), as upright RGB."""
    if frame.ndim == 2:
        frame = frame[:, :, None]
    pixels = np.ascontiguousarray(np.broadcast_to(frame[:, :, ::-1], (*frame.shape[:2], 3)))
    return Picture(pixels, pixels.shape[1], pixels.shape[0], 1)


def without_secrets(address: str) -> str:
    """An address without its user, password and query, for messages and names."""
    if "://" not in address:
        return address
    try:
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:  # brackets that are no IPv6 address
        return address.partition("://")[0] + "://..."
    return f"{parts.scheme}://{host}{parts.path}"
