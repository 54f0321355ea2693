"""Published networks as the service finds them: a store that is filled from a mirror of the catalogue's files."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from edgeproof.bundles.catalogue import model_named
from edgeproof.bundles.pull import pull

TWO_FACES = "maksssksksss123.jpg"


def install(shared: Path, folder: Path, patch: pytest.MonkeyPatch, *names: str) -> None:
    """A store below `folder` with these networks of the catalogue."""
    (folder / "mirror").mkdir()
    for name in names:
        for file in model_named(name).files:
            (folder / "mirror" / file.name).symlink_to(shared / "models" / file.name)
    patch.setenv("EDGEPROOF_MIRROR", str(folder / "mirror"))
    patch.setenv("EDGEPROOF_HOME", str(folder / "home"))
    for name in names:
        pull(model_named(name), mirror=folder / "mirror")


def face_photo(shared: Path, name: str = TWO_FACES) -> bytes:
    """A picture with faces; by default two, of 400 x 301 pixels."""
    return (shared / "data/facedet/images" / name).read_bytes()


def enlarged(photo: bytes, times: int) -> bytes:
    """The same as a camera would have it, with more pixels."""
    image = Image.open(io.BytesIO(photo)).convert("RGB")
    file = io.BytesIO()
    image.resize((image.width * times, image.height * times)).save(file, "JPEG", quality=90)
    return file.getvalue()
