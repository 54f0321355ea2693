"""`Faces`: pictures of every kind to faces with the names that users of other libraries know."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgeproof as ep
from edgeproof.core.errors import (
    ImageTooLargeError,
    InputError,
    ModelError,
    ModelMissingError,
    NotAnImageError,
    NotFoundError,
    TruncatedImageError,
)
from edgeproof.core.faces import FaceDetections
from edgeproof.imaging.decode import decode
from edgeproof.library.faces.faces import largest
from imaging.picture_files import bomb, encode, scene


@pytest.fixture(scope="module")
def faces(shared: Path) -> Iterator[ep.Faces]:
    models = shared / "models"
    with ep.Faces(models / "yunet-n-dynamic.onnx", models / "mobilefacenet-foamliu.onnx") as opened:
        yield opened


@pytest.fixture(scope="module")
def portrait(shared: Path) -> np.ndarray:
    """One person of LFW, 250 x 250."""
    return decode(sorted((shared / "data" / "lfw" / "images").glob("Abel_Pacheco/*.jpg"))[0]).pixels


@pytest.fixture(scope="module")
def embedding(faces: ep.Faces, portrait: np.ndarray) -> np.ndarray:
    vector = faces.get(portrait)[0].embedding
    assert vector is not None
    return vector


def test_a_face_has_what_users_of_insightface_know(faces: ep.Faces, portrait: np.ndarray) -> None:
    (face,) = faces.get(portrait)
    assert isinstance(face, ep.Face)
    assert face.bbox.shape == (4,)
    assert face.kps is not None
    assert face.embedding is not None
    assert face.quality is not None
    assert (face.kps.shape, face.embedding.shape) == ((5, 2), (128,))
    assert face.det_score > 0.9
    assert face.quality.good
    assert np.linalg.norm(face.embedding) == pytest.approx(1)
    left, top, right, bottom = face.bbox
    assert ((face.kps > [left, top]) & (face.kps < [right, bottom])).all()
    assert set(face.as_json()) == {"bbox", "kps", "score", "embedding", "quality"}
    (bare,) = faces.get(portrait, embed=False, quality=False)
    assert (bare.embedding, bare.quality) == (None, None)
    assert np.array_equal(bare.bbox, face.bbox)


def test_people_are_told_apart(faces: ep.Faces, shared: Path, embedding: np.ndarray) -> None:
    images = shared / "data" / "lfw" / "images"
    same = faces.get(sorted(images.glob("Abel_Pacheco/*.jpg"))[1])[0].embedding
    other = faces.get(sorted(images.glob("Akhmed_Zakayev/*.jpg"))[0])[0].embedding
    threshold = faces.recognizer.task.threshold
    assert threshold is not None
    assert same is not None
    assert other is not None
    assert embedding @ same > threshold > embedding @ other


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_turned_picture_is_turned_back(
    faces: ep.Faces, portrait: np.ndarray, embedding: np.ndarray, k: int
) -> None:
    turned = np.ascontiguousarray(np.rot90(portrait, k))
    face = largest(faces.get(turned))
    assert face.embedding is not None
    assert face.embedding @ embedding > 0.9
    # The box lies where the face is in the picture as it came.
    inside = np.rot90(_filled(portrait.shape[:2], faces.get(portrait)[0].bbox), k)
    assert (inside & _filled(turned.shape[:2], face.bbox)).sum() > 0.8 * inside.sum()


def _filled(shape: tuple[int, ...], box: np.ndarray) -> np.ndarray:
    mask = np.zeros(shape, bool)
    left, top, right, bottom = np.rint(box).astype(int)
    mask[max(top, 0) : bottom, max(left, 0) : right] = True
    return mask


def test_a_cmyk_jpeg_a_deep_png_and_a_gif_show_the_same_face(
    faces: ep.Faces, portrait: np.ndarray, embedding: np.ndarray
) -> None:
    image = Image.fromarray(portrait)
    grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
    moving = encode(image.convert("P"), "GIF", save_all=True, append_images=[image.convert("P").rotate(90)])
    sources = {
        "file": encode(image, "PNG"),
        "pillow": image,
        "cmyk": encode(image.convert("CMYK"), "JPEG", quality=95),
        "16 bits": encode(Image.fromarray(grey), "PNG"),
        "gif": moving,
    }
    for name, source in sources.items():
        vector = largest(faces.get(source)).embedding
        assert vector is not None
        assert vector @ embedding > 0.6, name


def test_exif_orientation_is_applied(faces: ep.Faces, portrait: np.ndarray, embedding: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side: shown turned by 90 degrees clockwise
    stored = encode(Image.fromarray(np.rot90(portrait, 1)), "PNG", exif=exif)
    vector = faces.get(stored)[0].embedding
    assert vector is not None
    assert vector @ embedding > 0.999


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (bomb("PNG"), ImageTooLargeError),
        (encode(scene(300, 300), "JPEG")[:2000], TruncatedImageError),
        (b"no picture", NotAnImageError),
        ("nowhere.jpg", NotFoundError),
        (np.zeros((9, 9), np.uint8), InputError),
        (np.zeros((9, 9, 3), np.float32), InputError),
        (None, InputError),
    ],
    ids=["bomb", "truncated", "text", "no file", "grey", "float", "nothing"],
)
def test_what_is_no_picture_is_refused(faces: ep.Faces, source: object, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        faces.get(source)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(1, 1), (20, 20), (3, 500), (400, 300)])
def test_a_picture_without_a_face_has_none(faces: ep.Faces, size: tuple[int, int]) -> None:
    assert faces.get(np.full((*size, 3), 128, np.uint8)) == []
    assert faces.get(scene(*size)) == []


def test_a_face_whose_landmarks_say_nothing_doesn_t_spoil_the_others(
    faces: ep.Faces, portrait: np.ndarray
) -> None:
    found = faces.detect(portrait)
    assert found.landmarks is not None
    both = FaceDetections(
        np.repeat(found.boxes, 2, axis=0),
        np.repeat(found.scores, 2),
        np.concatenate([np.full((1, 5, 2), 9, np.float32), found.landmarks]),
    )
    bad, good = faces.faces(portrait, both)
    assert bad.embedding is None
    assert bad.quality is not None
    assert not bad.quality.good
    assert good.embedding is not None
    assert np.array_equal(good.embedding, faces.faces(portrait, found)[0].embedding)


def test_without_landmarks_faces_are_found_and_not_told_apart(faces: ep.Faces, portrait: np.ndarray) -> None:
    found = faces.detect(portrait)
    bare = FaceDetections(found.boxes, found.scores)
    with pytest.raises(ModelError, match="no landmarks"):
        faces.faces(portrait, bare)
    (face,) = faces.faces(portrait, bare, embed=False)
    assert (face.kps, face.embedding, face.quality) == (None, None, None)


def test_many_faces_are_embedded_as_each_alone(
    faces: ep.Faces, portrait: np.ndarray, embedding: np.ndarray
) -> None:
    tiled = np.tile(portrait, (3, 4, 1))
    found = faces.get(tiled)
    assert len(found) == 12
    assert all(face.embedding is not None and face.embedding @ embedding > 0.9 for face in found)


def test_a_model_that_is_missing_is_known_before_the_first_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEPROOF_HOME", str(tmp_path))
    with pytest.raises(ModelMissingError) as caught:
        ep.Faces().open()
    assert "edgeproof models pull yunet" in caught.value.hint
