"""How right ages and genders are, on crops of faces with known answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.attributes import AgeEstimate, Bucket, GenderEstimate
from edgeproof.core.errors import DataError, EdgeproofError, UsageError
from edgeproof.imaging.decode import decode
from edgeproof.library.attributes.attributes import Attributes
from edgeproof.library.faces.faces import OF_ONE_PICTURE
from edgeproof.streams.ordered import map_ordered
from edgeproof.tasks.attributes.estimate import unsure
from edgeproof.tasks.attributes.family import GENDERS
from edgeproof.tasks.attributes.labels import LabelledFace, bucket_number, central_crop


@dataclass(frozen=True)
class Judged:
    """One crop: the truth, and what was said.

    Attributes:
        age: the true bucket's number; None where it isn't known.
        age_said: the number of the bucket that was said; None where the network tells none.
        gender, gender_said: likewise.
    """

    age: int | None
    age_said: int | None
    gender: str | None
    gender_said: str | None
    unsure: bool


@dataclass(frozen=True)
class AttributesEvaluation:
    """What `attributes evaluate` found.

    Attributes:
        rows: every crop that could be read.
        buckets: the ages that the network tells.
        failures: crops that couldn't be read, with the reason.
    """

    rows: Sequence[Judged]
    buckets: Sequence[Bucket]
    failures: Sequence[tuple[str, EdgeproofError]]

    def as_json(self) -> dict[str, Any]:
        """CONTRACT's document; a figure without a face to count is null."""
        sure = [row for row in self.rows if not row.unsure]
        return {
            **_figures(self.rows),
            "by_group": {
                "age": {
                    bucket.name: _figures([row for row in self.rows if row.age == place])
                    for place, bucket in enumerate(self.buckets)
                },
                "gender": {
                    name: _figures([row for row in self.rows if row.gender == name]) for name in GENDERS
                },
            },
            "sure": {**_figures(sure), "share": len(sure) / max(len(self.rows), 1)},
            "failures": [{"path": name, "error": error.as_json()} for name, error in self.failures],
        }


def _figures(rows: Sequence[Judged]) -> dict[str, Any]:
    genders = [row.gender == row.gender_said for row in rows if row.gender and row.gender_said]
    away = [abs(row.age - row.age_said) for row in rows if row.age is not None and row.age_said is not None]
    return {
        "gender_accuracy": _share(genders),
        "age_exact": _share(step == 0 for step in away),
        "age_within_one": _share(step <= 1 for step in away),
        "n": len(rows),
    }


def _share(right: Iterable[bool]) -> float | None:
    values = list(right)
    return sum(values) / len(values) if values else None


def evaluate_attributes(
    faces: Sequence[LabelledFace],
    images: str | Path,
    attributes: Attributes,
    *,
    share: float | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> AttributesEvaluation:
    """Ask the networks about each crop; no detector is needed.

    Arguments:
        images: the folder that the names are below.
        share: of each crop's side, around its middle, that the networks are shown; None for what each one needs of
            crops that have FairFace's margin.

    Raises:
        DataError: an age that the network doesn't tell, or no crop that can be read.
        UsageError: the share is not above 0, up to 1.
    """
    if share is not None and not 0 < share <= 1:
        raise UsageError(f"The share is {share}.", hint="Use a number above 0, up to 1.")
    folder = Path(images)
    if not folder.is_dir():
        raise DataError(
            f"There is no folder {folder}.", hint="--images is the folder that the table's names are in."
        )
    buckets = attributes.open_estimators().estimators[0].family.buckets
    truths = [bucket_number(face.age, buckets) for face in faces]

    def one(face: LabelledFace) -> tuple[AgeEstimate | None, GenderEstimate | None] | EdgeproofError:
        try:
            return ask_crop(decode(folder / face.file).pixels, attributes, share)
        except OF_ONE_PICTURE as error:
            return error

    rows: list[Judged] = []
    failures: list[tuple[str, EdgeproofError]] = []
    names = [bucket.name for bucket in buckets]
    for face, truth, said in zip(faces, truths, map_ordered(one, faces, workers=workers), strict=True):
        progress(len(rows) + len(failures) + 1, len(faces))
        if isinstance(said, EdgeproofError):
            failures.append((face.file, said))
            continue
        age, gender = said
        rows.append(
            Judged(
                truth,
                names.index(age.bucket) if age else None,
                face.gender or None,
                gender.label if gender else None,
                unsure(age, gender, attributes.threshold),
            )
        )
    if not rows:
        raise DataError(
            f"None of the {len(faces)} crops can be read. The first: {failures[0][1].message}",
            hint="--images is the folder that the table's names are in.",
        )
    return AttributesEvaluation(rows, buckets, failures)


def ask_crop(
    pixels: NDArray[np.uint8], attributes: Attributes, share: float | None = None
) -> tuple[AgeEstimate | None, GenderEstimate | None]:
    """Age and gender of one crop of a face, uint8 (H, W, 3) RGB; errors as `AttributeEstimator.ask`."""
    answers = [one.answer(central_crop(pixels, one.family, share)) for one in attributes.estimators]
    return attributes.told(answers, 1)[0]
