"""What `fit` needs of a task: views of photos for the network, answers from its outputs, and figures of all answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import UsageError
from edgeproof.core.tensor import Array
from edgeproof.imaging.find import find_photos
from edgeproof.tasks.network import Network

# Where the user doesn't say: most clauses on accuracy are decided by then.
PHOTOS_MOST = 400


@dataclass(frozen=True)
class Source:
    """What a task is opened from.

    Attributes:
        network: the original, open; nothing of it may be kept.
        data: the folder of photos.
        labels: the truth, in the task's own form; None where there is none.
        detector: what finds faces, for tasks that need them; None for the catalogue's default.
    """

    network: Network
    data: Path
    labels: Path | None = None
    detector: str | None = None


@dataclass(frozen=True, eq=False)
class View:
    """What a network is shown once.

    Attributes:
        tensor: what it takes, without the batch axis.
        context: what `answer` and `score` need beside its outputs; small, as it is kept.
    """

    tensor: Array
    context: Any = None


@dataclass(frozen=True, eq=False)
class Score:
    """One figure of a network's answers, in the form in which it can be compared with another's.

    Attributes:
        name: of the metric.
        unit: what `count` counts, in the plural: photos, pairs, faces.
        count: how many are independent of each other.
        views: (count, views) scores 0 to 1, whose mean is the figure; None where it is no mean.
        resampled: (1 + resamples,) the figure itself and over resamples of the photos; None where `views` tell it.
        members: (count, m) numbers of the pictures in each of `count`, where they share pictures.
        agreement: how alike the answers are to the original's, 0 to 1; None where that isn't told.
    """

    name: str
    unit: str
    count: int
    views: NDArray[np.float64] | None = None
    resampled: NDArray[np.float64] | None = None
    members: NDArray[np.intp] | None = None
    agreement: float | None = None

    @property
    def value(self) -> float:
        """The figure, 0 to 1."""
        if self.resampled is not None:
            return float(self.resampled[0])
        assert self.views is not None
        return float(self.views.mean())


# Of each photo, what was answered to each of its views.
Answers = Sequence[Sequence[Any]]


class FitTask(Protocol):
    """A task as `fit` sees it, for one network; safe in any number of threads."""

    @property
    def name(self) -> str:
        """Of the task, for the manifest."""
        ...

    @property
    def method(self) -> str:
        """How accuracy is judged, in a sentence or two, for people."""
        ...

    def photos(self, chance: Random, most: int | None) -> list[Path]:
        """The photos to use, in an order by chance, at most so many; None for the task's own choice."""
        ...

    def views(self, photo: Path) -> Sequence[View]:
        """What the network is shown of a photo.

        Raises:
            ImageError, NoFaceError, NotFoundError: there is nothing to show.
        """
        ...

    def check(self, photos: Sequence[Path], views: Sequence[Sequence[View]]) -> None:
        """Refuse evidence that can tell nothing, before any work is done with it.

        Raises:
            DataError: such as no box in any photo, or pairs of one kind only.
        """
        ...

    def answer(self, outputs: Mapping[str, Array], view: View) -> Any:
        """A view's outputs, with a batch axis of one, to what is kept of them.

        Arguments:
            view: as `views` gave it, its tensor empty memory of that shape.

        Raises:
            InputError: they are no answer.
        """
        ...

    def score(
        self, photos: Sequence[Path], views: Sequence[Sequence[View]], answers: Answers, reference: Answers
    ) -> Sequence[Score]:
        """The figures that a network is judged by; all have to hold.

        Arguments:
            reference: the original's answers.

        Raises:
            DataError: these photos tell nothing.
        """
        ...

    def settings(self, reference: Sequence[Any], answers: Sequence[Any]) -> dict[str, float]:
        """What a bundle keeps of the task.

        Arguments:
            reference, answers: to every view, of the original and of the network in the bundle.
        """
        ...

    def close(self) -> None:
        """Free what finds faces."""
        ...


def chosen_photos(folder: Path, chance: Random, most: int | None) -> list[Path]:
    """The photos below a folder in an order by chance, at most so many."""
    paths = find_photos([folder])
    chance.shuffle(paths)
    return paths[: most or PHOTOS_MOST]


def no_labels(source: Source, task: str, why: str) -> None:
    """Refuse labels that a task has no use for.

    Raises:
        UsageError: some were given.
    """
    if source.labels is not None:
        raise UsageError(f"{task} takes no --labels.", hint=why)
