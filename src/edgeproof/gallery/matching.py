"""Who a face is, or that nobody here has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgeproof.core.errors import UsageError
from edgeproof.gallery.cipher import UNKNOWN

# Where neither the user, the gallery nor the model says another.
THRESHOLD = 0.4
# Two people enrolled under one roof may look alike: where the second comes this close, saying "unknown" is right.
MARGIN = 0.05


@dataclass(frozen=True)
class Candidate:
    """A person and the similarity (-1 to 1) of their best template."""

    name: str
    similarity: float
    person: int

    def as_json(self) -> dict[str, Any]:
        """CONTRACT's `candidates` row."""
        return {"name": self.name, "similarity": round(self.similarity, 6)}


@dataclass(frozen=True)
class Match:
    """The answer for one face.

    Attributes:
        name: who it is; "unknown" where nobody is similar enough, or two are too close to each other.
        similarity: of the best candidate, -1 to 1; None in an empty gallery.
        margin: how far the second person lies behind; None where there is no second.
        candidates: best first, each person once.
        reason: why it is unknown, a sentence; "" where it isn't.
    """

    name: str
    similarity: float | None
    margin: float | None
    candidates: tuple[Candidate, ...]
    reason: str = ""

    @property
    def known(self) -> bool:
        """Whether it is somebody of the gallery."""
        return self.name != UNKNOWN

    def as_json(self) -> dict[str, Any]:
        """CONTRACT's `candidates` and `decision`, and what led there."""
        return {
            "candidates": [candidate.as_json() for candidate in self.candidates],
            "decision": self.name,
            "similarity": None if self.similarity is None else round(self.similarity, 6),
            "margin": None if self.margin is None else round(self.margin, 6),
            "reason": self.reason,
        }


def decide(candidates: tuple[Candidate, ...], threshold: float, margin: float) -> Match:
    """The best candidate, if similar enough and far enough ahead of the second.

    Arguments:
        candidates: best first; two at least where there are two.
        threshold: least similarity, -1 to 1.
        margin: least distance to the second person, 0 or more.
    """
    check_bounds(threshold, margin)
    if not candidates:
        return Match(UNKNOWN, None, None, (), "The gallery is empty.")
    best = candidates[0]
    ahead = best.similarity - candidates[1].similarity if len(candidates) > 1 else None
    reason = ""
    if not best.similarity >= threshold:
        reason = f"The best similarity, {best.similarity:.3f}, is below the threshold of {threshold:.3f}."
    elif ahead is not None and ahead < margin:
        reason = f"{best.name} is only {ahead:.3f} ahead of {candidates[1].name}; the margin is {margin:.3f}."
    return Match(UNKNOWN if reason else best.name, best.similarity, ahead, candidates, reason)


def check_bounds(threshold: float | None, margin: float | None) -> None:
    """Check a threshold and a margin, where they are given.

    Raises:
        UsageError: outside what similarities can be.
    """
    if threshold is not None and not -1 <= threshold <= 1:
        raise UsageError(
            f"The threshold is {threshold}.", hint="It is a similarity: a number from -1 to 1, such as 0.4."
        )
    if margin is not None and not 0 <= margin <= 2:
        raise UsageError(
            f"The margin is {margin}.", hint="It is a difference of similarities: 0 to 2, such as 0.05."
        )
