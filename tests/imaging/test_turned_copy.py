"""Upright copies keep every pixel and what belongs to it."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from edgeproof.core.errors import ImageError, InputError
from edgeproof.imaging.decode import decode
from edgeproof.imaging.exif import apply, compose
from edgeproof.imaging.header import read_header
from edgeproof.imaging.turn import turned_copy
from imaging.picture_files import encode, scene, with_exif

TURNS = (0, 90, 180, 270)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _open(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 8])
@pytest.mark.parametrize("turn", TURNS)
def test_the_copy_shows_the_picture_turned(name: str, orientation: int, turn: int) -> None:
    data = with_exif(name, orientation)
    copy = turned_copy(data, turn)
    assert np.array_equal(decode(copy).pixels, np.rot90(decode(data).pixels, -turn // 90))
    assert read_header(copy).format == name.lower()
    assert read_header(copy).exif_orientation == (compose(orientation, turn) if name == "JPEG" else 1)


@pytest.mark.parametrize("name", ["PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG"])
def test_no_turn_gives_the_same_bytes(name: str) -> None:
    data = encode(scene(), name)
    assert turned_copy(data, 0) == data


_GREY = Image.fromarray(scene()[..., 0].copy())
_RGBA = Image.fromarray(np.dstack([scene(), scene()[..., 1]]))
_DEEP = Image.fromarray(np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16))
_PALETTE = Image.fromarray(scene()).quantize(20)
_CLEAR = _PALETTE.copy()
_CLEAR.info["transparency"] = 3


@pytest.mark.parametrize(
    ("image", "name"),
    [
        *((_GREY, name) for name in ("PNG", "GIF", "BMP", "TIFF")),
        *((_GREY.convert("1"), name) for name in ("PNG", "BMP", "TIFF")),
        *((_PALETTE, name) for name in ("PNG", "GIF", "BMP", "TIFF")),
        *((_CLEAR, name) for name in ("PNG", "GIF")),
        *((_RGBA, name) for name in ("PNG", "WEBP", "TIFF", "BMP")),
        *((_RGBA.convert("LA"), name) for name in ("PNG", "TIFF")),
        *((_DEEP, name) for name in ("PNG", "TIFF")),
        (_GREY.convert("F"), "TIFF"),
        (_GREY.convert("I"), "TIFF"),
        (_RGBA.convert("CMYK"), "TIFF"),
        (_RGBA.convert("RGB"), "BMP"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.mode,
)
@pytest.mark.parametrize("turn", [90, 180])
def test_mode_depth_and_transparency_are_kept(image: Image.Image, name: str, turn: int) -> None:
    options = {"lossless": True} if name == "WEBP" else {}
    data = encode(image, name, **options)
    one, other = _open(data), _open(turned_copy(data, turn))
    assert other.mode == one.mode
    method = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180}[turn]
    wanted = one.transpose(method)
    if one.mode == "P":
        assert wanted.convert("RGBA").tobytes() == other.convert("RGBA").tobytes()
    else:
        assert wanted.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF"])
def test_profile_resolution_and_exif_are_kept(name: str) -> None:
    tags = {0x0112: 6, 0x010F: "Maker", 0x8769: {0x8827: 400}}
    exif = ImageFileDirectory_v2() if name == "TIFF" else Image.Exif()
    exif.update(tags)
    options = {"tiffinfo" if name == "TIFF" else "exif": exif, "icc_profile": PROFILE}
    if name != "WEBP":
        options["dpi"] = (300, 150)
    data = encode(scene(), name, **options)
    copy = _open(turned_copy(data, 0))
    assert copy.info["icc_profile"] == PROFILE
    assert copy.getexif().get(0x0112, 1) == 1
    assert copy.getexif()[0x010F] == "Maker"
    assert copy.getexif().get_ifd(0x8769)[0x8827] == 400
    if name != "WEBP":
        assert copy.info["dpi"] == pytest.approx((150, 300), abs=0.1)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "packbits", "jpeg"])
def test_a_tiff_is_never_compressed_with_loss(compression: str | None) -> None:
    data = encode(scene(), "TIFF", compression=compression)
    copy = turned_copy(data, 90)
    assert np.array_equal(decode(copy).pixels, apply(decode(data).pixels, 6))
    kept = compression if compression != "jpeg" else "tiff_adobe_deflate"
    assert _open(copy).info["compression"] == (kept or "raw")


def test_png_text_and_gamma_are_kept_and_xmp_no_longer_turns() -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Title", "a tower")
    info.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    info.add(b"gAMA", struct.pack(">I", 45455))
    copy = _open(turned_copy(encode(scene(), "PNG", pnginfo=info), 90))
    assert copy.info["Title"] == "a tower"
    assert copy.info["gamma"] == pytest.approx(0.45455)
    assert 'Orientation="1"' in copy.info["XML:com.adobe.xmp"]


def _deep_rgb_png() -> bytes:
    def chunk(name: bytes, payload: bytes) -> bytes:
        return (
            struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", zlib.crc32(name + payload))
        )

    rows = b"".join(b"\0" + bytes(range(48)) for _ in range(8))
    head = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize(
    "data",
    [
        _deep_rgb_png(),
        *(
            encode(scene(), name, save_all=True, append_images=[Image.new("RGB", (64, 48), "red")])
            for name in ("PNG", "GIF", "WEBP", "TIFF")
        ),
    ],
    ids=["16-bit-rgb", "APNG", "GIF", "WEBP", "TIFF"],
)
def test_what_would_lose_something_is_refused(data: bytes) -> None:
    assert decode(data).pixels.size
    with pytest.raises(ImageError, match="left as it is") as caught:
        turned_copy(data, 90)
    assert type(caught.value) is ImageError


@pytest.mark.parametrize("turn", [45, -90, 360])
def test_another_turn_is_refused(turn: int) -> None:
    with pytest.raises(InputError):
        turned_copy(encode(scene(), "PNG"), turn)
