"""Decoding: every source and mode gives the same upright RGB pixels."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from edgeproof.core.errors import (
    EdgeproofError,
    ImageError,
    ImageTooLargeError,
    InputError,
    NotAnImageError,
    NotFoundError,
    StorageError,
    TruncatedImageError,
)
from edgeproof.imaging.decode import decode
from edgeproof.imaging.read import read_file
from imaging.picture_files import encode, scene, with_exif


def _mean_difference(one: np.ndarray, other: np.ndarray) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def test_every_source_gives_the_same_pixels(tmp_path: Path) -> None:
    data = with_exif("PNG", 6)
    path = tmp_path / "a.jpg"  # its suffix doesn't matter
    path.write_bytes(data)
    wanted = np.rot90(scene(), -1)
    for source in (data, path, str(path), Image.open(path), np.ascontiguousarray(wanted)):
        picture = decode(source)
        assert np.array_equal(picture.pixels, wanted)
        assert (picture.width, picture.height) == (48, 64)
        assert picture.pixels.flags.c_contiguous


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(name: str, orientation: int) -> None:
    data = with_exif(name, orientation)
    image = Image.open(io.BytesIO(data))
    wanted = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    for source in (data, Image.open(io.BytesIO(data))):
        picture = decode(source)
        assert _mean_difference(picture.pixels, wanted) < 1
        assert (picture.height, picture.width) == wanted.shape[:2]
    assert decode(data).exif_orientation == orientation


def test_the_exif_golden_files_show_the_same_scene(shared: Path) -> None:
    landscapes = [decode(path) for path in sorted((shared / "data" / "exif").glob("Landscape_*.jpg"))]
    assert len(landscapes) == 9
    assert [picture.exif_orientation for picture in landscapes] == [1, 1, 2, 3, 4, 5, 6, 7, 8]
    for picture in landscapes:
        assert picture.pixels.shape == (1200, 1800, 3)
        # each file was encoded anew by those who made them
        assert _mean_difference(picture.pixels[::4, ::4], landscapes[0].pixels[::4, ::4]) < 5
    turned = np.rot90(landscapes[0].pixels, 2)
    assert _mean_difference(turned[::4, ::4], landscapes[0].pixels[::4, ::4]) > 30
    portrait = decode(shared / "data" / "exif" / "Portrait_6.jpg")
    assert (portrait.exif_orientation, portrait.pixels.shape) == (6, (1800, 1200, 3))


@pytest.mark.parametrize("path", ["Landscape_0.jpg", "Landscape_6.jpg", "Portrait_6.jpg"])
def test_the_exif_golden_files_match_pillow(shared: Path, path: str) -> None:
    file = shared / "data" / "exif" / path
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(file)))
    assert _mean_difference(decode(file).pixels, wanted) < 1


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    ("cover", "side"),
    [(None, 480), (1, 60), (60, 60), (61, 120), (120, 120), (240, 240), (480, 480), (900, 480)],
)
def test_a_jpeg_is_decoded_no_larger_than_needed(mode: str, cover: int | None, side: int) -> None:
    data = encode(Image.fromarray(scene(640, 480)).convert(mode), "JPEG")
    picture = decode(data, cover=cover)
    assert picture.pixels.shape == (side, side * 4 // 3, 3)
    assert (picture.width, picture.height) == (640, 480)


@pytest.mark.parametrize("cover", [1, 7, 13, 30, 47, 48, 500])
@pytest.mark.parametrize("name", ["JPEG", "PNG"])
def test_the_short_side_still_covers_what_is_needed(name: str, cover: int) -> None:
    picture = decode(encode(scene(131, 99), name), cover=cover)
    assert min(picture.pixels.shape[:2]) >= min(cover, 99)
    assert (picture.width, picture.height) == (131, 99)


_GREY16 = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
_GREY8 = np.rint(_GREY16 / 257).astype(np.uint8)


@pytest.mark.parametrize(
    ("image", "name", "wanted", "tolerance"),
    [
        (Image.fromarray(_GREY8), "PNG", _GREY8, 0),
        (Image.fromarray(_GREY8), "JPEG", _GREY8, 1),
        (Image.fromarray(_GREY16), "PNG", _GREY8, 0),
        (Image.fromarray(_GREY16), "TIFF", _GREY8, 0),
        (Image.fromarray(_GREY16.astype(np.int32)), "TIFF", _GREY8, 0),
        (Image.fromarray((_GREY16 / 65535).astype(np.float32)), "TIFF", _GREY8, 0),
        (Image.fromarray((_GREY16 * 3.0 - 1000).astype(np.float32)), "TIFF", _GREY8, 0),
        (Image.fromarray(_GREY8).point(lambda v: 255 * (v > 99), "1"), "PNG", 255 * (_GREY8 > 99), 0),
        (Image.fromarray(_GREY8).convert("P"), "GIF", _GREY8, 0),
        (Image.fromarray(_GREY8).convert("CMYK"), "JPEG", _GREY8, 1),
        (Image.fromarray(_GREY8).convert("CMYK"), "TIFF", _GREY8, 0),
        (Image.fromarray(_GREY8).convert("LA"), "PNG", _GREY8, 0),
    ],
    ids=[
        "L",
        "L-jpeg",
        "I;16-png",
        "I;16-tiff",
        "I",
        "F",
        "F-beyond",
        "1",
        "P",
        "CMYK-jpeg",
        "CMYK-tiff",
        "LA",
    ],
)
def test_every_mode_becomes_rgb(image: Image.Image, name: str, wanted: np.ndarray, tolerance: float) -> None:
    pixels = decode(encode(image, name)).pixels
    assert pixels.dtype == np.uint8
    assert _mean_difference(pixels, np.stack([wanted] * 3, axis=-1)) <= tolerance


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_transparent_parts_become_white(mode: str) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:4] = 255, 255, 255, 0
    pixels[4:] = 0, 0, 0, 255
    image = Image.fromarray(pixels)
    if mode == "P":
        image = Image.fromarray(np.repeat(np.uint8([0, 1]), 32).reshape(8, 8)).convert("P")
        image.putpalette([255, 0, 0, 0, 0, 0])
        image.info["transparency"] = 0
    else:
        image = image.convert("LA").convert(mode) if mode != "RGBA" else image
    decoded = decode(image if mode == "PA" else encode(image, "PNG")).pixels
    assert (decoded[:4] == 255).all()
    assert (decoded[4:] == 0).all()


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_picture(name: str) -> None:
    first, second = Image.fromarray(scene()), Image.new("RGB", (64, 48), "red")
    options = {"lossless": True} if name == "WEBP" else {}
    data = encode(first, name, save_all=True, append_images=[second], **options)
    assert _mean_difference(decode(data).pixels, scene()) < 6  # a GIF has 256 colours


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_jpeg_is_refused(progressive: bool, share: float) -> None:
    data = encode(scene(640, 480), "JPEG", progressive=progressive)
    for cut in (data[: int(len(data) * share)], data[: int(len(data) * share)] + b"\xff\xd9"):
        with pytest.raises(TruncatedImageError):
            decode(cut)
        with pytest.raises(TruncatedImageError):
            decode(cut, cover=60)


def test_a_jpeg_that_lacks_only_its_end_marker_is_whole() -> None:
    data = encode(scene(), "JPEG")
    assert np.array_equal(decode(data[:-2]).pixels, decode(data).pixels)


@pytest.mark.parametrize("after", [b"\0" * 100, b"a film", encode(scene(), "JPEG")])
def test_what_follows_a_jpeg_is_no_matter(after: bytes) -> None:
    data = encode(scene(), "JPEG")
    assert np.array_equal(decode(data + after).pixels, decode(data).pixels)


def test_stray_bytes_in_a_jpeg_are_no_damage() -> None:
    data = encode(scene(), "JPEG", progressive=True)
    assert _mean_difference(decode(data[:-2] + b"\0\0" + data[-2:]).pixels, decode(data).pixels) < 1


@pytest.mark.parametrize(
    "source",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        None,
        7,
        [1, 2],
    ],
    ids=str,
)
def test_another_kind_of_source_is_an_input_error(source: object) -> None:
    with pytest.raises(InputError, match="uint8"):
        decode(source)  # type: ignore[arg-type]


@pytest.mark.parametrize("cover", [0, -1])
def test_a_cover_below_one_is_an_input_error(cover: int) -> None:
    with pytest.raises(InputError):
        decode(scene(), cover=cover)


def test_a_pil_image_cut_short_is_a_typed_error() -> None:
    data = encode(scene(640, 480), "JPEG")
    image = Image.open(io.BytesIO(data[: len(data) // 2]))
    with pytest.raises(TruncatedImageError):
        decode(image)


def test_paths_that_are_no_files_are_typed_errors(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe.jpg"
    os.mkfifo(fifo)
    table: list[tuple[object, type[EdgeproofError]]] = [
        (tmp_path / "no.jpg", NotFoundError),
        ("nul\0.jpg", NotFoundError),
        (tmp_path, NotAnImageError),
        (fifo, NotAnImageError),
        (tmp_path / ("x" * 300), StorageError),
    ]
    for path, error in table:
        with pytest.raises(error):
            decode(path)  # type: ignore[arg-type]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission_is_a_storage_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"")
    path.chmod(0)
    with pytest.raises(StorageError):
        decode(path)


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"12345")
    assert read_file(path, max_bytes=5) == b"12345"
    with pytest.raises(ImageTooLargeError):
        read_file(path, max_bytes=4)
    assert issubclass(ImageTooLargeError, ImageError)
