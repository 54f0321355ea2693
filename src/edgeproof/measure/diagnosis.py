"""What `diagnose` answers: what was seen, what causes it, what helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from edgeproof.measure.nodes import Node

NODES_SHOWN = 12


@dataclass(frozen=True)
class Finding:
    """One symptom with its cause.

    Attributes:
        symptom: "jitter", "slow", "throughput", "memory growth", "memory", "heat" or "processor taken away".
        seen: what was measured, with numbers.
        experiment: what was done to find the cause.
        cause: in words; "not found by these experiments" where that is so.
        remedy: what to do, as the exact option where there is one; None where there is none.
        gain: what it brought when tried, as a ratio of times or of memory (0.5 is half); None where it was not tried.
        ci: its 95 % interval.
    """

    symptom: str
    seen: str
    experiment: str
    cause: str
    remedy: str | None
    gain: float | None = None
    ci: tuple[float, float] | None = None

    def as_json(self) -> dict[str, Any]:
        """A row of the document's `findings`."""
        return {
            "symptom": self.symptom,
            "seen": self.seen,
            "experiment": self.experiment,
            "cause": self.cause,
            "remedy": self.remedy,
            "gain": self.gain,
            "ci": list(self.ci) if self.ci else None,
        }


@dataclass(frozen=True)
class Tried:
    """One experiment and what it gave, whether or not it became a finding.

    Attributes:
        ratio: time with it as a multiple of the time without. error: why it could not be tried.
    """

    name: str
    option: str
    ratio: float | None
    ci: tuple[float, float] | None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """A row of the document's `experiments`."""
        return {
            "name": self.name,
            "option": self.option,
            "ratio": self.ratio,
            "ci": list(self.ci) if self.ci else None,
            "error": self.error,
        }


@dataclass(frozen=True)
class Diagnosis:
    """Everything that `diagnose` found out; `observed` holds the figures behind it, None where not measured."""

    target: str
    minutes: float
    findings: Sequence[Finding]
    nodes: Sequence[Node]
    observed: dict[str, Any]
    tried: Sequence[Tried] = field(default_factory=tuple)

    @property
    def verdict(self) -> str:
        """In one line."""
        symptoms = list(dict.fromkeys(finding.symptom for finding in self.findings))
        if symptoms:
            return ", ".join(symptoms)
        return "nothing found" if self.observed.get("enough", True) else "not enough evidence"

    def as_json(self) -> dict[str, Any]:
        """The document of the command."""
        return {
            "target": self.target,
            "minutes": self.minutes,
            "verdict": self.verdict,
            "findings": [finding.as_json() for finding in self.findings],
            "experiments": [one.as_json() for one in self.tried],
            "nodes": [node.as_json() for node in self.nodes],
            "observed": self.observed,
        }
