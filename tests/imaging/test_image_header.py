"""The header is read before anything is decoded, whatever the bytes are."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproof.core.errors import (
    ImageError,
    ImageTooLargeError,
    NotAnImageError,
    TruncatedImageError,
)
from edgeproof.imaging.decode import decode
from edgeproof.imaging.header import read_header
from imaging.picture_files import FORMATS, bomb, encode, scene, with_exif


@pytest.mark.parametrize("name", FORMATS)
def test_format_and_size_come_from_the_bytes(name: str) -> None:
    header = read_header(encode(scene(64, 48), name))
    assert (header.format, header.width, header.height) == (name.lower(), 64, 48)
    assert (header.exif_orientation, header.progressive) == (1, False)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_read_and_the_size_is_as_stored(name: str, orientation: int) -> None:
    header = read_header(with_exif(name, orientation))
    assert (header.width, header.height, header.exif_orientation) == (64, 48, orientation)


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 80}, {"exif": b"Exif\0\0II*\0"}])
def test_every_kind_of_webp_states_its_size(options: dict[str, object]) -> None:
    header = read_header(encode(scene(65, 47), "WEBP", **options))
    assert (header.width, header.height) == (65, 47)


def test_a_progressive_jpeg_says_so() -> None:
    assert read_header(encode(scene(), "JPEG", progressive=True)).progressive


@pytest.mark.parametrize("stated", [0, 9, 65535])
def test_a_nonsense_orientation_counts_as_none(stated: int) -> None:
    assert read_header(with_exif("JPEG", stated)).exif_orientation == 1


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b"hello", "known format"),
        (b"BMW is a car maker", "known format"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF"),
        (b"%PDF-1.7", "known format"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, word: str) -> None:
    with pytest.raises(NotAnImageError, match=word) as caught:
        read_header(data)
    assert caught.value.hint


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("read", [read_header, decode])
def test_a_vast_claim_is_refused_before_anything_is_allocated(name: str, read: object) -> None:
    data = bomb(name)
    with pytest.raises(ImageTooLargeError, match="limit is 64,000,000"):
        read(data)  # type: ignore[operator]
    tracemalloc.start()
    with pytest.raises(ImageTooLargeError):
        read(data)  # type: ignore[operator]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_the_limit_is_the_callers() -> None:
    data = encode(scene(64, 48), "PNG")
    assert read_header(data, max_pixels=64 * 48).width == 64
    with pytest.raises(ImageTooLargeError):
        read_header(data, max_pixels=64 * 48 - 1)


def test_a_jpeg_of_no_height_is_damaged() -> None:
    data = bytearray(encode(scene(), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 2] = b"\0\0"
    with pytest.raises(TruncatedImageError):
        read_header(bytes(data))


def test_a_progressive_jpeg_of_a_thousand_scans_is_refused() -> None:
    data = encode(scene(), "JPEG", progressive=True)
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00\x00"
    with pytest.raises(ImageError, match="scans"):
        read_header(data[:-2] + scan * 1000 + b"\xff\xd9")


def test_padding_between_segments_is_passed_over() -> None:
    data = encode(scene(), "JPEG")
    assert read_header(data[:2] + b"\xff\xff\xff" + data[2:]).width == 64
    with pytest.raises(TruncatedImageError):
        read_header(data[:2] + b"\xff" * 5_000_000)
    with pytest.raises(TruncatedImageError):
        read_header(data[:2] + b"\xff\xd0" * 1_000_000)


_FILES = {
    name: encode(scene(24, 16), *spec[:1], **spec[1])
    for name, spec in {
        "jpeg": ("JPEG", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"}),
        "progressive": ("JPEG", {"progressive": True}),
        "png": ("PNG", {"exif": b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"}),
        "webp": ("WEBP", {"exif": b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"}),
        "gif": ("GIF", {}),
        "bmp": ("BMP", {}),
        "tiff": ("TIFF", {}),
    }.items()
}


# Pillow warns of odd tags; to a program that has not made warnings errors they are no exceptions.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", _FILES)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_damaged_files_give_our_errors_or_a_picture(name: str, data: st.DataObject) -> None:
    whole = _FILES[name]
    damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for at, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=4)
    ):
        if at < len(damaged):
            damaged[at] = value
    try:
        picture = decode(bytes(damaged), cover=8, max_pixels=10_000)
    except ImageError:
        return
    assert picture.pixels.ndim == 3
    assert picture.width * picture.height <= 10_000


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", _FILES)
def test_a_file_cut_anywhere_is_refused_unless_every_pixel_is_there(name: str) -> None:
    whole = _FILES[name]
    wanted = decode(whole).pixels
    for length in range(0, len(whole), 3):
        try:
            picture = decode(whole[:length])
        except ImageError:
            continue
        assert length > len(whole) // 2
        assert np.array_equal(picture.pixels, wanted)
