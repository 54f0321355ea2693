"""From what a person names (a photo, a folder, a video, a camera, a stream) to pictures, one after the other."""

from __future__ import annotations

import glob
import re
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from edgeproof.core.errors import DataError, NotFoundError, UsageError
from edgeproof.core.files import printable
from edgeproof.imaging.decode import Picture, decode
from edgeproof.imaging.find import SUFFIXES, find_photos
from edgeproof.streams.capture import without_secrets
from edgeproof.streams.events import Notify, ignore
from edgeproof.streams.frame import Frame
from edgeproof.streams.live import Reconnect, live_frames
from edgeproof.streams.video import video_frames

VIDEO_SUFFIXES = frozenset(
    {
        ".mp4",
        ".m4v",
        ".mov",
        ".avi",
        ".mkv",
        ".webm",
        ".mpg",
        ".mpeg",
        ".ts",
        ".mts",
        ".wmv",
        ".flv",
        ".3gp",
        ".ogv",
    }
)
_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "http", "https", "tcp", "udp"})
_CAMERA = re.compile(r"(?:camera:)?(\d{1,3})")

Kind = Literal["photos", "video", "live"]


def kind_of(source: str) -> Kind:
    """What a source is, by its name and by what lies there: photos, one video, or something live.

    Raises:
        NotFoundError: nothing is there.
        UsageError: an address of a kind that isn't known.
    """
    scheme, colon, _ = source.partition("://")
    if colon:
        return _kind_of_address(source, scheme.lower())
    if not source or "\0" in source:
        raise NotFoundError(f"{source!r} isn't a path.", hint="Check the spelling of the path.")
    if Path(source).is_dir():
        return "photos"
    if source.startswith("/dev/") or (_CAMERA.fullmatch(source) and not Path(source).exists()):
        return "live"
    return "video" if Path(source).suffix.lower() in VIDEO_SUFFIXES else "photos"


def _kind_of_address(source: str, scheme: str) -> Kind:
    if scheme not in _SCHEMES:
        raise UsageError(
            f"{without_secrets(source)} is an address that can't be read.",
            hint=f"Known: {', '.join(f'{name}://' for name in sorted(_SCHEMES))}.",
        )
    try:
        suffix = Path(urlsplit(source).path).suffix.lower()
    except ValueError as error:
        raise UsageError(f"{without_secrets(source)} is no address.", hint="Check its spelling.") from error
    return "video" if scheme in ("http", "https") and suffix in VIDEO_SUFFIXES else "live"


def frames(
    source: str,
    *,
    notify: Notify = ignore,
    stop: threading.Event | None = None,
    reconnect: Reconnect | None = None,
) -> Iterator[Frame]:
    """The pictures of a source.

    Arguments:
        source: a photo; a folder of photos, walked through; a pattern such as `photos/*.jpg`; a video, of which every
            frame comes, in order; a camera (`0`, `camera:0`, `/dev/video0`) or a stream's address (rtsp, http), of
            which the newest frame comes at each step.
        notify: told of what happens on the way: a stream that drops and comes back, a video that is cut short.
        stop: set it to end.
        reconnect: how hard to try to get a stream back.

    Photos are decoded when their pixels are asked for, so one that is bad is its own frame's error.

    Raises:
        NotFoundError: nothing is there, or nothing fits the pattern.
        DataError: a folder without photos.
        SourceError: a video or a camera that gives no picture.
        MissingExtraError: a video or a camera needs OpenCV, which is not installed.
    """
    match kind_of(source):
        case "video":
            _check_there(source)
            return video_frames(source, notify=notify, stop=stop)
        case "live":
            camera = None if "://" in source else _CAMERA.fullmatch(source)
            return live_frames(
                int(camera[1]) if camera else source, notify=notify, stop=stop, reconnect=reconnect
            )
    return photo_frames(_photos(source), stop=stop)


def photo_frames(photos: list[Path], *, stop: threading.Event | None = None) -> Iterator[Frame]:
    """One frame for each picture file."""
    for index, path in enumerate(photos):
        if stop and stop.is_set():
            return
        yield Frame(str(path), index, partial(_decode, path), str(path), None, path)


def _decode(path: Path, cover: int | None) -> Picture:
    return decode(path, cover=cover)


def _check_there(source: str) -> None:
    if "://" not in source and not Path(source).exists():
        raise NotFoundError(f"{printable(source)} isn't there.", hint="Check the spelling of the path.")


def _photos(source: str) -> list[Path]:
    if not Path(source).exists() and glob.has_magic(source):
        found = sorted(glob.glob(source, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        photos = find_photos([path for path in found if Path(path).suffix.lower() in SUFFIXES])
        if not photos:
            raise NotFoundError(
                f"No photo fits {printable(source)}.", hint="Check the pattern; ** looks into folders too."
            )
        return photos
    photos = find_photos([source])
    if not photos:
        raise DataError(
            f"There is no photo in {printable(source)}.",
            hint="It takes JPEG, PNG, WebP, TIFF, BMP and GIF files.",
        )
    return photos
