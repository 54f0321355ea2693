"""What the tasks answer: frozen values, validated when made."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import InputError

TURNS = (0, 90, 180, 270)


@dataclass(frozen=True)
class OrientationResult:
    """How a picture stands, and what would put it upright.

    Attributes:
        turn: degrees clockwise, of 0, 90, 180, 270, that put the picture, as a viewer shows it, upright.
        confidence: the calibrated probability of that turn, 0 to 1.
        decision: "keep" (it stands upright), "turn" (turn it), "unsure" (below the threshold).
        probabilities: float64 (4,), the calibrated probability of each turn of 0, 90, 180, 270.
    """

    turn: int
    confidence: float
    decision: str
    # Not compared: arrays have no one truth value, and turn, confidence and decision say it all.
    probabilities: NDArray[np.float64] = field(compare=False)

    def __post_init__(self) -> None:
        if self.turn not in TURNS:
            raise InputError(f"turn is {self.turn}.", hint=f"Expected one of {TURNS}.")
        if self.decision not in ("keep", "turn", "unsure"):
            raise InputError(f"decision is {self.decision!r}.", hint="Expected keep, turn or unsure.")
        if not 0.0 <= self.confidence <= 1.0:
            raise InputError(f"confidence is {self.confidence}.", hint="Expected a probability, 0 to 1.")
        if self.probabilities.shape != (4,):
            raise InputError(
                f"probabilities has shape {self.probabilities.shape}.",
                hint="Expected (4,), one for each turn.",
            )
        # `not >=` refuses NaN too; with no negative number and this sum, none is infinite.
        if not (self.probabilities >= 0).all() or abs(float(self.probabilities.sum()) - 1.0) > 1e-3:
            raise InputError(
                "probabilities are not numbers of 0 or more that sum to 1.",
                hint="The network gave NaN or infinity: check its file with `edgeproof check`.",
            )
