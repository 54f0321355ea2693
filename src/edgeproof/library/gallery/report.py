"""A gallery's own error rates, and the threshold for a wished one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgeproof.core.errors import DataError
from edgeproof.gallery.error_rates import ErrorRates, Rates, error_rates
from edgeproof.gallery.gallery import Gallery, matrix_of
from edgeproof.gallery.matching import THRESHOLD


@dataclass(frozen=True)
class GalleryReport:
    """What a gallery's own pairs say.

    Attributes:
        rates: all of it.
        in_use: what the threshold in use does.
        far: the false-accept rate that was wished.
        proposed: the threshold for that; None where the pairs can't show it.
        alike: pairs of names that the threshold in use takes for one person, with their similarity.
    """

    rates: ErrorRates
    in_use: Rates
    far: float
    proposed: Rates | None
    alike: tuple[tuple[str, str, float], ...]

    @property
    def reason(self) -> str:
        """Why there is no proposal; "" where there is one."""
        if self.proposed is not None:
            return ""
        return (
            f"A false-accept rate of {self.far:g} needs at least {self.rates.needed(self.far):,} pairs of different"
            f" people (3 / rate); there are {self.rates.impostor_pairs:,}."
        )

    def as_json(self) -> dict[str, Any]:
        """The document of `faces report`."""
        return {
            "templates": self.rates.total,
            "compared": self.rates.templates,
            "people": self.rates.people,
            "impostor_pairs": self.rates.impostor_pairs,
            "genuine_pairs": self.rates.genuine_pairs,
            "in_use": self.in_use.as_json(),
            "wished_far": self.far,
            "proposed": self.proposed.as_json() if self.proposed else None,
            "reason": self.reason,
            "curve": [{"wished_far": far, **rates.as_json()} for far, rates in self.rates.curve()],
            "alike": [
                {"first": first, "second": second, "similarity": round(similarity, 6)}
                for first, second, similarity in self.alike
            ],
        }


def report(gallery: Gallery, far: float) -> GalleryReport:
    """Compare all templates of a gallery.

    Arguments:
        far: the wished share of pairs of different people that may be taken for one.

    Raises:
        DataError: fewer than two people are in it.
        UsageError: `far` is no share.
    """
    vectors, people = matrix_of(gallery.templates())
    if not len(people):
        raise DataError(f"Nobody is in {gallery.place}.", hint="Enrol people first.")
    rates = error_rates(vectors, people)
    own = gallery.head.threshold
    in_use = rates.at(THRESHOLD if own is None else own)
    proposed = rates.propose(far)
    limit = min(in_use.threshold, proposed.threshold) if proposed else in_use.threshold
    alike = [pair for pair in rates.closest if pair[2] >= limit]
    names = {person.person: person.name for person in gallery.people()} if alike else {}
    return GalleryReport(
        rates,
        in_use,
        far,
        proposed,
        tuple((names[first], names[second], similarity) for first, second, similarity in alike),
    )
