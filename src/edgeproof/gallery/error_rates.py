"""A gallery's own error rates: how alike its different people are, and how unlike one person's templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import DataError, UsageError
from edgeproof.gallery.columns import Floats

# Steps of similarity, from -1 to 1: 1e-4 each.
_STEPS = 20_000
_ROWS, _COLUMNS = 512, 8192
# More than this many templates make 200 million pairs, which settle a false-accept rate of 1e-7: take a sample.
_MOST_TEMPLATES = 20_000
_SHOWN_PAIRS = 20
# With no error in n tries the rate is below 3 / n at 95 % confidence: the rule of three (Hanley and
# Lippman-Hand, JAMA 1983).
_RULE_OF_THREE = 3
WISHED = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


@dataclass(frozen=True)
class Rates:
    """What a threshold would do.

    Attributes:
        threshold: similarity from which on two faces count as one person.
        far: share of pairs of different people that reach it.
        frr: share of pairs of one person that don't; None where nobody has two templates.
        per_search: share of templates that, if their own person weren't here, would be taken for somebody else:
            what a stranger meets who looks like the people of this gallery.
    """

    threshold: float
    far: float
    frr: float | None
    per_search: float

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return {name: _round(getattr(self, name)) for name in ("threshold", "far", "frr", "per_search")}


@dataclass(frozen=True)
class ErrorRates:
    """The similarities of all pairs of a gallery, counted.

    Attributes:
        templates, people: that were compared.
        total: templates in the gallery; more than `templates` where a sample was taken.
        impostor: int64 (20001,), pairs of different people by similarity, in steps of 1e-4 from -1.
        genuine: the same of pairs of one person.
        nearest: float32 (templates,), the similarity of each to the nearest other person.
        closest: pairs of people who are most alike: number, number, similarity; most alike first.
    """

    templates: int
    people: int
    total: int
    impostor: NDArray[np.int64] = field(repr=False)
    genuine: NDArray[np.int64] = field(repr=False)
    nearest: Floats = field(repr=False)
    closest: tuple[tuple[int, int, float], ...] = ()

    @property
    def impostor_pairs(self) -> int:
        """Pairs of different people."""
        return int(self.impostor.sum())

    @property
    def genuine_pairs(self) -> int:
        """Pairs of one person."""
        return int(self.genuine.sum())

    def at(self, threshold: float) -> Rates:
        """What a threshold would do."""
        step = int(np.ceil((threshold + 1) * (_STEPS / 2) - 1e-6))
        return self._at(min(max(step, 0), _STEPS + 1))

    def _at(self, step: int) -> Rates:
        threshold = step / (_STEPS / 2) - 1
        frr = float(self.genuine[:step].sum() / self.genuine_pairs) if self.genuine_pairs else None
        far = float(self.impostor[step:].sum() / self.impostor_pairs)
        return Rates(threshold, far, frr, float((self.nearest >= threshold).mean()))

    def propose(self, far: float) -> Rates | None:
        """The lowest threshold that keeps a wished false-accept rate; None where the pairs can't show it.

        Raises:
            UsageError: a rate that is no share.
        """
        if not 0 < far < 1:
            raise UsageError(f"The wished false-accept rate is {far}.", hint="It is a share such as 1e-4.")
        if self.impostor_pairs < self.needed(far):
            return None
        above = self.impostor[::-1].cumsum()[::-1]
        return self._at(int(np.argmax(np.append(above, 0) <= far * self.impostor_pairs)))

    @staticmethod
    def needed(far: float) -> int:
        """Pairs of different people that can show a false-accept rate."""
        return int(np.ceil(_RULE_OF_THREE / far - 1e-9))

    def curve(self) -> list[tuple[float, Rates]]:
        """The wished rates that these pairs can show, each with its threshold."""
        found = ((far, self.propose(far)) for far in WISHED)
        return [(far, rates) for far, rates in found if rates is not None]


def error_rates(vectors: Floats, people: NDArray[np.int64], *, seed: int = 0) -> ErrorRates:
    """Compare all templates with each other, in blocks.

    Arguments:
        vectors: float32 (N, D) of unit length.
        people: int64 (N,), whose each is.
        seed: of the sample that is taken above 20,000 templates.

    Raises:
        DataError: fewer than two people.
    """
    total = len(people)
    if total > _MOST_TEMPLATES:
        chosen = np.sort(np.random.default_rng(seed).choice(total, _MOST_TEMPLATES, replace=False))
        vectors, people = vectors[chosen], people[chosen]
    if len(np.unique(people)) < 2:
        raise DataError(
            "The gallery has fewer than two people: there is no pair of different people to compare.",
            hint="Enrol more people first.",
        )
    counting = _Counting(vectors, people)
    for top in range(0, len(people), _ROWS):
        for left in range(top, len(people), _COLUMNS):
            counting.tile(slice(top, top + _ROWS), slice(left, left + _COLUMNS))
    return ErrorRates(
        templates=len(people),
        people=len(np.unique(people)),
        total=total,
        impostor=counting.impostor,
        genuine=counting.genuine,
        nearest=counting.nearest,
        closest=counting.closest(),
    )


class _Counting:
    def __init__(self, vectors: Floats, people: NDArray[np.int64]) -> None:
        self._vectors, self._people = vectors, people
        self.impostor = np.zeros(_STEPS + 1, np.int64)
        self.genuine = np.zeros(_STEPS + 1, np.int64)
        self.nearest = np.full(len(people), -1, np.float32)
        self._alike: dict[tuple[int, int], float] = {}

    def tile(self, rows: slice, columns: slice) -> None:
        similar = self._vectors[rows] @ self._vectors[columns].T
        np.clip(similar, -1, 1, out=similar)
        upper = (
            np.arange(columns.start, columns.start + similar.shape[1])
            > (np.arange(rows.start, rows.start + similar.shape[0])[:, None])
        )
        same = self._people[rows][:, None] == self._people[columns]
        steps = np.floor((similar + 1) * (_STEPS / 2) + 1e-3).astype(np.int32)
        self.genuine += np.bincount(steps[same & upper], minlength=_STEPS + 1)
        self.impostor += np.bincount(steps[~same & upper], minlength=_STEPS + 1)
        similar[same] = -1
        self.nearest[rows] = np.maximum(self.nearest[rows], similar.max(axis=1))
        self.nearest[columns] = np.maximum(self.nearest[columns], similar.max(axis=0))
        self._note_alike(similar, rows.start, columns.start)

    def _note_alike(self, similar: Floats, top: int, left: int) -> None:
        cut = sorted(self._alike.values(), reverse=True)[_SHOWN_PAIRS - 1 : _SHOWN_PAIRS]
        flat = similar.ravel()
        # Several templates of the same two people may be the most alike: look at more than are shown.
        places = np.argpartition(flat, -min(len(flat), 50 * _SHOWN_PAIRS))[-50 * _SHOWN_PAIRS :]
        for place in places[flat[places] > (cut[0] if cut else -1)]:
            row, column = divmod(int(place), similar.shape[1])
            first, second = int(self._people[top + row]), int(self._people[left + column])
            pair = (min(first, second), max(first, second))
            self._alike[pair] = max(self._alike.get(pair, -1), float(flat[place]))

    def closest(self) -> tuple[tuple[int, int, float], ...]:
        best: Sequence[Any] = sorted(self._alike.items(), key=lambda item: -item[1])[:_SHOWN_PAIRS]
        return tuple((first, second, similarity) for (first, second), similarity in best)


def _round(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
