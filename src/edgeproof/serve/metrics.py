"""Counters and histograms, as Prometheus reads them (text format 0.0.4); seconds and bytes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_COUNTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

RESTART_REASONS = ("died", "hung", "memory", "did not start")

Labels = tuple[str, ...]


@dataclass
class Counter:
    """Something that is counted."""

    name: str
    about: str
    labels: Labels = ()
    values: dict[Labels, float] = field(default_factory=dict)

    def add(self, *labels: str, amount: float = 1) -> None:
        """Count one more."""
        self.values[labels] = self.values.get(labels, 0) + amount

    def lines(self) -> Iterator[str]:
        """As text."""
        yield from _lines(self.name, self.about, "counter", self.labels, self.values)


@dataclass
class Histogram:
    """How something is distributed."""

    name: str
    about: str
    labels: Labels = ()
    bounds: Sequence[float] = _SECONDS
    _counts: dict[Labels, list[int]] = field(default_factory=dict)
    _sums: dict[Labels, float] = field(default_factory=dict)

    def observe(self, value: float, *labels: str) -> None:
        """One more value."""
        counts = self._counts.setdefault(labels, [0] * (len(self.bounds) + 1))
        counts[bisect_left(self.bounds, value)] += 1
        self._sums[labels] = self._sums.get(labels, 0.0) + value

    def lines(self) -> Iterator[str]:
        """As text."""
        yield f"# HELP {self.name} {self.about}"
        yield f"# TYPE {self.name} histogram"
        for labels, counts in self._counts.items():
            total = 0
            for bound, count in zip((*map(_number, self.bounds), "+Inf"), counts, strict=True):
                total += count
                yield f"{self.name}_bucket{_label_text((*self.labels, 'le'), (*labels, bound))} {total}"
            yield f"{self.name}_sum{_label_text(self.labels, labels)} {_number(self._sums[labels])}"
            yield f"{self.name}_count{_label_text(self.labels, labels)} {total}"


def gauge(name: str, about: str, labels: Labels, values: Mapping[Any, float]) -> Iterator[str]:
    """Something that goes up and down, read in this moment; nothing where nothing was measured."""
    if values:
        yield from _lines(name, about, "gauge", labels, values)


class Metrics:
    """Everything that is counted as requests go by."""

    def __init__(self) -> None:
        self.requests = Counter(
            "edgeproof_requests_total", "Requests answered.", ("route", "method", "status")
        )
        self.durations = Histogram("edgeproof_request_duration_seconds", "From header to answer.", ("route",))
        self.rejections = Counter(
            "edgeproof_rejections_total", "Requests refused, by the error's code.", ("reason",)
        )
        self.waits = Histogram("edgeproof_queue_wait_seconds", "Waiting for memory and for a worker.")
        self.batches = Histogram(
            "edgeproof_batch_size", "Pictures, faces or rows in one run.", ("model",), bounds=_COUNTS
        )
        self.batched_requests = Histogram(
            "edgeproof_batch_requests", "Requests that one run was for.", ("model",), bounds=_COUNTS
        )
        self.inference = Histogram(
            "edgeproof_inference_duration_seconds", "Preparing, running, reading the outputs.", ("model",)
        )
        self.decoding = Histogram("edgeproof_decode_duration_seconds", "Decoding one picture.")
        self.restarts = Counter(
            "edgeproof_worker_restarts_total",
            "Workers replaced.",
            ("reason",),
            {(reason,): 0 for reason in RESTART_REASONS},
        )

    def lines(self) -> Iterable[str]:
        """As text."""
        for one in vars(self).values():
            yield from one.lines()


def _lines(name: str, about: str, kind: str, labels: Labels, values: Mapping[Labels, float]) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"
    for given, value in values.items():
        yield f"{name}{_label_text(labels, given)} {_number(value)}"


def _label_text(names: Labels, values: Labels) -> str:
    pairs = (f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}" if names else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
