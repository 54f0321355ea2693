"""The marker segments of a JPEG file, read without decoding (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from edgeproof.core.errors import ImageError, TruncatedImageError

SOI, EOI, SOS, APP0, APP1, APP2 = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xE2
_SOF = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SOF_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})

# The most that a segment can hold: its 16-bit length counts itself (B.1.1.4).
MAX_PAYLOAD = 65_533
# A real file has tens of segments; this bounds the walk through a crafted one.
_MAX_SEGMENTS = 10_000
# As libjpeg-turbo's TJFLAG_LIMITSCANS: against progressive files made to burn time.
_MAX_SCANS = 500

# As libjpeg's next_marker does: other bytes, fill bytes (FF) and stuffed zeros are passed over.
_MARKER = re.compile(rb"\xff([\x01-\xfe])")
# Inside entropy-coded data restart markers (D0 to D7) belong to the data.
_MARKER_AFTER_SCAN = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")


class Segment(NamedTuple):
    """One marker segment: `data[start:end]` is its payload, `start - 4` its FF byte."""

    marker: int
    start: int
    end: int


class Frame(NamedTuple):
    """What the frame header (SOF) says: size in pixels as stored, number of colour components."""

    width: int
    height: int
    components: int
    progressive: bool


def segments(data: bytes) -> list[Segment]:
    """The marker segments of a JPEG from its start to the first scan's header, which is the last one given.

    Raises:
        TruncatedImageError: the file ends, or is damaged, before its first scan.
    """
    found = []
    for segment in _walk(data, 2, _MARKER):
        found.append(segment)
        if segment.marker == SOS:
            return found
    raise TruncatedImageError(
        "The JPEG file ends before its picture begins.", hint="Copy it again from where it came from."
    )


def _walk(data: bytes, position: int, pattern: re.Pattern[bytes]) -> Iterator[Segment]:
    for _ in range(_MAX_SEGMENTS):
        match = pattern.search(data, position)
        if match is None or match[1][0] == EOI:
            return
        marker, start = match[1][0], match.end() + 2
        position = match.end()
        pattern = _MARKER
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # these stand alone, without a length
            continue
        length = int.from_bytes(data[start - 2 : start], "big")
        position = start + length - 2
        if length < 2 or position > len(data):
            return
        if marker == SOS:
            pattern = _MARKER_AFTER_SCAN
        yield Segment(marker, start, position)


def read_frame(data: bytes, head: Sequence[Segment]) -> Frame:
    """The frame header among the segments `head` of `data`.

    Raises:
        TruncatedImageError: there is none, or it is damaged.
    """
    for marker, start, end in head:
        if marker in _SOF:
            if end - start < 6:
                break
            height = int.from_bytes(data[start + 1 : start + 3], "big")
            width = int.from_bytes(data[start + 3 : start + 5], "big")
            return Frame(width, height, data[start + 5], marker in _SOF_PROGRESSIVE)
    raise TruncatedImageError(
        "The JPEG file has no usable frame header: it is damaged.",
        hint="Copy it again from where it came from.",
    )


def check_scans(data: bytes, head: Sequence[Segment]) -> None:
    """Refuse a progressive JPEG with so many scans that decoding it would take minutes.

    Raises:
        ImageError: more than 500 scans.
    """
    scans = 1
    for segment in _walk(data, head[-1].end, _MARKER_AFTER_SCAN):
        scans += segment.marker == SOS
        if scans > _MAX_SCANS:
            raise ImageError(
                f"The progressive JPEG has more than {_MAX_SCANS} scans, made to take long to decode.",
                hint="A real photo has about 10: don't trust this file.",
            )


def is_one_scan(data: bytes, head: Sequence[Segment]) -> bool:
    """Whether the first scan holds the whole picture, so that nothing is missing once it is decoded."""
    frame = read_frame(data, head)
    return not frame.progressive and data[head[-1].start : head[-1].start + 1] == bytes([frame.components])
