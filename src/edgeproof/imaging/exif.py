"""EXIF orientation: reading it, writing it into a JPEG, applying it to pixels (EXIF 2.32, tag 0x0112)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgeproof.core.errors import ImageError, InputError
from edgeproof.imaging import tiff
from edgeproof.imaging.jpeg import APP0, APP1, APP2, MAX_PAYLOAD, Segment, segments

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_EXIF = b"Exif\0\0"

# What a viewer does for each orientation: mirror left to right first, then turn clockwise by so many degrees.
STEPS = {
    1: (False, 0),
    2: (True, 0),
    3: (False, 180),
    4: (True, 180),
    5: (True, 270),
    6: (False, 90),
    7: (True, 90),
    8: (False, 270),
}
_ORIENTATION_OF = {steps: orientation for orientation, steps in STEPS.items()}


def apply(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The pixels as a viewer shows them.

    Arguments:
        pixels: uint8 (H, W, C), as stored.
        orientation: EXIF orientation, 1 to 8.

    Returns:
        Contiguous uint8 (H, W, C), or (W, H, C) for orientations 5 to 8; no copy where nothing changes.

    Raises:
        InputError: no such orientation.
    """
    import numpy as np  # who only reads headers does without it

    mirror, turn = _steps(orientation)
    upright = pixels[:, ::-1] if mirror else pixels
    return np.ascontiguousarray(np.rot90(upright, -turn // 90))


def compose(orientation: int, turn: int) -> int:
    """The EXIF orientation that shows what `orientation` shows, then turned `turn` degrees clockwise.

    Raises:
        InputError: no such orientation, or a turn that isn't 0, 90, 180 or 270.
    """
    mirror, turned = _steps(orientation)
    if turn not in (0, 90, 180, 270):
        raise InputError(f"The turn is {turn!r}.", hint="Expected 0, 90, 180 or 270 degrees clockwise.")
    return _ORIENTATION_OF[mirror, (turned + turn) % 360]


def _steps(orientation: int) -> tuple[bool, int]:
    if orientation not in STEPS:
        raise InputError(f"The EXIF orientation is {orientation!r}.", hint="Expected 1 to 8.")
    return STEPS[orientation]


def _exif_segments(data: bytes, head: Sequence[Segment]) -> list[Segment]:
    return [
        segment
        for segment in head
        if segment.marker == APP1 and data.startswith(_EXIF, segment.start, segment.end)
    ]


def jpeg_orientation(data: bytes, head: Sequence[Segment]) -> int:
    """The EXIF orientation, 1 to 8, among the segments `head` of a JPEG; 1 where absent or nonsense."""
    found = _exif_segments(data, head)
    return tiff.read_orientation(data[found[0].start + len(_EXIF) : found[0].end]) if found else 1


def jpeg_with_orientation(data: bytes, orientation: int) -> bytes:
    """The same JPEG file with its EXIF orientation set and nothing else changed.

    Arguments:
        data: a JPEG file. Whatever follows the picture in it (motion photo, more pictures) is kept.
        orientation: EXIF orientation, 1 to 8.

    Raises:
        ImageError: its EXIF data are damaged or have no room, so that writing could lose something.
        TruncatedImageError: the file ends before its picture begins.
        InputError: no such orientation.
    """
    _steps(orientation)
    head = segments(data)
    if jpeg_orientation(data, head) == orientation:
        return data
    found = _exif_segments(data, head)
    if not found:
        at = _after_jfif(data, head)
        return data[:at] + _segment(tiff.minimal_block(orientation)) + data[at:]
    start, end = found[0].start, found[0].end
    block = tiff.with_orientation(data[start + len(_EXIF) : end], orientation)
    grown = len(block) > end - start - len(_EXIF)
    if grown and (len(found) > 1 or _mpf_before(data, head, start)):
        # EXIF over several segments has offsets that run on from one to the next; and the offsets of a
        # multi-picture index count from the index itself. Growing this segment would break either.
        raise ImageError(
            "The JPEG's EXIF data can't grow by an orientation tag without breaking what refers to them.",
            hint="Write an orientation into it first, for example with: exiftool -n -Orientation=1 FILE",
        )
    return data[: start - 4] + _segment(block) + data[end:]


def _segment(block: bytes) -> bytes:
    payload = _EXIF + block
    if len(payload) > MAX_PAYLOAD:
        raise ImageError(
            "The JPEG's EXIF data are full: there is no room for an orientation tag.",
            hint="Remove the thumbnail in it first, for example with: exiftool -ThumbnailImage= FILE",
        )
    return b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload


def _after_jfif(data: bytes, head: Sequence[Segment]) -> int:
    # JFIF wants its APP0 segments (JFIF, JFXX) first of all, EXIF its APP1 right after them. A multi-picture
    # index (MPF, APP2) comes later: it moves together with the pictures that its offsets count to.
    at = 2
    for marker, start, end in head:
        if marker != APP0 or start - 4 != at or not data.startswith((b"JFIF\0", b"JFXX\0"), start, end):
            break
        at = end
    return at


def _mpf_before(data: bytes, head: Sequence[Segment], position: int) -> bool:
    return any(
        marker == APP2 and start < position and data.startswith(b"MPF\0", start, end)
        for marker, start, end in head
    )
