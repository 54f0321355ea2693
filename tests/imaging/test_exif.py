"""EXIF orientation: on pixels, composed, and written into JPEG files; Pillow is the oracle."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from edgeproof.core.errors import ImageError, InputError, TruncatedImageError
from edgeproof.imaging import exif, tiff
from edgeproof.imaging.header import read_header
from imaging.picture_files import encode, scene, with_exif

ORIENTATIONS = range(1, 9)


def _pillow_orientation(data: bytes) -> int:
    return Image.open(io.BytesIO(data)).getexif().get(0x0112, 1)


def _entropy(data: bytes) -> bytes:
    return data[data.index(b"\xff\xdb") :]


def _with_block(block: bytes) -> bytes:
    data = encode(scene(), "JPEG")
    payload = b"Exif\0\0" + block
    return data[:20] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + data[20:]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_apply_does_what_pillow_does(orientation: int) -> None:
    image = Image.fromarray(scene())
    image.getexif()[0x0112] = orientation
    shown = exif.apply(scene(), orientation)
    assert np.array_equal(shown, np.asarray(ImageOps.exif_transpose(image)))
    assert shown.flags.c_contiguous


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_compose_shows_the_picture_turned(orientation: int, turn: int) -> None:
    turned = np.rot90(exif.apply(scene(), orientation), -turn // 90)
    assert np.array_equal(exif.apply(scene(), exif.compose(orientation, turn)), turned)


@pytest.mark.parametrize(("orientation", "turn"), [(0, 0), (9, 90), (1, 45), (1, -90), (1, 360)])
def test_what_is_no_orientation_or_turn_is_refused(orientation: int, turn: int) -> None:
    with pytest.raises(InputError):
        exif.compose(orientation, turn)


@pytest.mark.parametrize("before", [None, *ORIENTATIONS])
@pytest.mark.parametrize("after", ORIENTATIONS)
def test_written_orientation_is_what_pillow_reads(before: int | None, after: int) -> None:
    data = encode(scene(), "JPEG") if before is None else with_exif("JPEG", before)
    written = exif.jpeg_with_orientation(data, after)
    assert _pillow_orientation(written) == read_header(written).exif_orientation == after
    assert _entropy(written) == _entropy(data)
    assert exif.jpeg_with_orientation(written, after) == written


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["H", "I"])
def test_an_orientation_is_patched_in_place(order: str, kind: str) -> None:
    value = struct.pack(order + kind, 6).ljust(4, b"\0")
    start = {"<": b"II*\0", ">": b"MM\0*"}[order]
    code = {"H": 3, "I": 4}[kind]
    block = start + struct.pack(order + "IHHHI", 8, 1, 0x0112, code, 1) + value + b"\0\0\0\0kept"
    data = _with_block(block)
    assert read_header(data).exif_orientation == 6
    written = exif.jpeg_with_orientation(data, 8)
    assert read_header(written).exif_orientation == 8
    assert len(written) == len(data)
    assert sum(a != b for a, b in zip(written, data, strict=True)) == 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_missing_tag_is_added_and_every_offset_holds(order: str) -> None:
    make = b"Maker of cameras\0\0\0"  # odd length: the new directory has to be aligned
    start = {"<": b"II*\0", ">": b"MM\0*"}[order]
    entries = struct.pack(order + "HHII", 0x010F, 2, 17, 38) + struct.pack(order + "HHII", 0x8769, 4, 1, 57)
    block = start + struct.pack(order + "IH", 8, 2) + entries + struct.pack(order + "I", 0) + make
    inner = struct.pack(order + "HHHIHHI", 1, 0x8827, 3, 1, 400, 0, 0)
    data = _with_block(block + inner)
    assert Image.open(io.BytesIO(data)).getexif()[0x010F] == "Maker of cameras"
    written = exif.jpeg_with_orientation(data, 3)
    found = Image.open(io.BytesIO(written)).getexif()
    assert (found[0x0112], found[0x010F], found.get_ifd(0x8769)[0x8827]) == (3, "Maker of cameras", 400)
    assert block[8:] + inner in written


def test_the_thumbnail_survives() -> None:
    thumbnail = encode(scene(16, 12), "JPEG")
    ifd1 = struct.pack("<HHHIIHHIII", 2, 0x0201, 4, 1, 56, 0x0202, 4, 1, len(thumbnail), 0)
    ifd0 = struct.pack("<HHHII", 1, 0x010E, 2, 4, int.from_bytes(b"abc\0", "little")) + struct.pack("<I", 26)
    block = b"II*\0\x08\0\0\0" + ifd0 + ifd1 + thumbnail
    written = exif.jpeg_with_orientation(_with_block(block), 6)
    assert _pillow_orientation(written) == 6
    start = written.index(b"Exif\0\0") + 6
    (new,) = struct.unpack_from("<I", written, start + 4)
    (second,) = struct.unpack_from("<I", written, start + new + 2 + 2 * 12)
    assert second == 26
    at = start + struct.unpack_from("<I", written, start + second + 10)[0]
    assert written[at : at + len(thumbnail)] == thumbnail


def test_exif_goes_after_jfif_and_what_follows_the_picture_stays() -> None:
    data = encode(scene(), "JPEG") + b"a film of the moment"
    written = exif.jpeg_with_orientation(data, 6)
    assert written[:20] == data[:20]
    assert written[20:22] == b"\xff\xe1"
    assert written.endswith(data[20:])
    bare = data[:2] + data[20:]  # without JFIF
    assert exif.jpeg_with_orientation(bare, 6)[2:4] == b"\xff\xe1"


def test_writing_what_already_holds_changes_nothing() -> None:
    for data in (encode(scene(), "JPEG"), _with_block(b"damaged")):
        assert exif.jpeg_with_orientation(data, 1) == data


_NO_TAG = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x010E, 2, 4, 0x636261, 0)


def _grow(data: bytes, segment: bytes) -> bytes:
    return data[:20] + segment + data[20:]


@pytest.mark.parametrize(
    "data",
    [
        _with_block(b""),
        _with_block(b"damaged"),
        _with_block(b"II*\0\xff\xff\0\0"),
        _with_block(b"II*\0\x08\0\0\0\xff\xff"),
        _with_block(b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x0112, 2, 4, 0x363636, 0)),
        _with_block(_NO_TAG[:-4]),
        _with_block(_NO_TAG.ljust(65_520, b"\0")),
        _grow(_with_block(_NO_TAG), b"\xff\xe2\x00\x08MPF\0\0\0"),
        _with_block(_NO_TAG).replace(b"\xff\xdb", b"\xff\xe1\x00\x0cExif\0\0more\xff\xdb", 1),
    ],
    ids=["empty", "no-tiff", "offset", "count", "type", "no-next", "full", "mpf-first", "two-segments"],
)
def test_a_file_is_refused_rather_than_damaged(data: bytes) -> None:
    with pytest.raises(ImageError) as caught:
        exif.jpeg_with_orientation(data, 6)
    assert caught.value.hint


def test_a_jpeg_cut_in_its_header_is_truncated() -> None:
    with pytest.raises(TruncatedImageError):
        exif.jpeg_with_orientation(encode(scene(), "JPEG")[:100], 6)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.binary(max_size=64), st.sampled_from([b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"]), st.integers(1, 8)
)
def test_any_block_is_read_or_refused(rest: bytes, start: bytes, orientation: int) -> None:
    block = start + rest
    assert 1 <= tiff.read_orientation(block) <= 8
    try:
        written = tiff.with_orientation(block, orientation)
    except ImageError:
        return
    assert tiff.read_orientation(written) == orientation
    assert len(written) >= len(block)


@pytest.mark.parametrize("path", ["Landscape_0.jpg", "Landscape_5.jpg", "Portrait_6.jpg"])
@pytest.mark.parametrize("orientation", [1, 3, 8])
def test_real_files_keep_their_pixels(shared: Path, path: str, orientation: int) -> None:
    data = (shared / "data" / "exif" / path).read_bytes()
    written = exif.jpeg_with_orientation(data, orientation)
    assert _pillow_orientation(written) in ({1, 0} if orientation == 1 else {orientation})
    assert _entropy(written) == _entropy(data)
