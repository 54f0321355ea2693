"""Moving a gallery to another recogniser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgeproof.core.errors import GalleryError
from edgeproof.core.faces import Floats
from edgeproof.gallery.gallery import Gallery
from edgeproof.gallery.upkeep import Migrated, migrate
from edgeproof.imaging.decode import decode

if TYPE_CHECKING:
    from edgeproof.tasks.face_recognition import FaceRecognizer


def migrate_gallery(gallery: Gallery, recognizer: FaceRecognizer, *, drop: bool = False) -> Migrated:
    """Embed all kept crops with `recognizer`, which is open.

    Raises:
        GalleryError: the gallery is this recogniser's already, crops are missing and `drop` is false, or their
            size is another than the recogniser's.
    """
    if gallery.head.model == recognizer.digest:
        raise GalleryError(
            f"{gallery.place} belongs to this recogniser already.", hint="Name the new one with --recognizer."
        )
    side = recognizer.task.side

    def embed(crops: Sequence[bytes]) -> Floats:
        pictures = [decode(crop).pixels for crop in crops]
        if any(picture.shape != (side, side, 3) for picture in pictures):
            raise GalleryError(
                f"The kept crops are {pictures[0].shape[0]} pixels wide, and the recogniser wants {side}.",
                hint="Enrol the people again from their pictures.",
            )
        return recognizer.embed(np.stack(pictures))

    return migrate(
        gallery, embed, model_digest=recognizer.digest, dimensions=recognizer.dimensions, drop=drop
    )
