"""The budget: what a device allows, one clause for each limit.

    p99<35ms, rss<200MB, size<2MB, cold<2s, fps>30, energy<50mJ, drop<1%

or the same as a TOML file:

    [budget]
    p99 = "<35ms"
    rss = "<200MB"
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeproof.core.errors import BudgetError, NotFoundError, did_you_mean
from edgeproof.core.files import storage_error

_TIME = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3}
_SIZE = {
    "B": 1e-6,
    "kB": 1e-3,
    "KB": 1e-3,
    "MB": 1.0,
    "GB": 1e3,
    "KiB": 1024 / 1e6,
    "MiB": 1.048576,
    "GiB": 1073.741824,
}
_RATE = {"": 1.0, "/s": 1.0, "fps": 1.0}
_ENERGY = {"uJ": 1e-3, "µJ": 1e-3, "mJ": 1.0, "J": 1e3}
_SHARE = {"%": 0.01, "pt": 0.01, "pp": 0.01}


@dataclass(frozen=True)
class Metric:
    """One thing a budget can bound: its unit (of values and limits alike) and what it means."""

    unit: str
    units: dict[str, float]
    bound: str
    meaning: str


METRICS: dict[str, Metric] = {
    "p50": Metric("ms", _TIME, "<", "median latency of one run"),
    "p90": Metric("ms", _TIME, "<", "90th percentile of latency"),
    "p95": Metric("ms", _TIME, "<", "95th percentile of latency"),
    "p99": Metric("ms", _TIME, "<", "99th percentile of latency"),
    "p999": Metric("ms", _TIME, "<", "99.9th percentile of latency"),
    "cold": Metric("ms", _TIME, "<", "process start to first result"),
    "fps": Metric("/s", _RATE, ">", "runs a second, one after another"),
    "rss": Metric("MB", _SIZE, "<", "peak resident memory of the process"),
    "size": Metric("MB", _SIZE, "<", "size of the model file"),
    "energy": Metric("mJ", _ENERGY, "<", "energy of one run"),
    "drop": Metric("", _SHARE, "<", "accuracy lost against the original"),
}

_CLAUSE = re.compile(r"^\s*([A-Za-z_]\w*)\s*(<=|>=|<|>|=+)\s*(\S.*?)\s*$")
_NUMBER = re.compile(r"^([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*(\D*)$")
_MAX_FILE = 64 * 1024


@dataclass(frozen=True)
class Clause:
    """One limit. `limit` is in the metric's unit (ms, MB, mJ, runs a second; `drop` as a fraction)."""

    metric: str
    limit: float
    text: str

    @property
    def upper(self) -> bool:
        """Whether the limit bounds from above (all but fps)."""
        return METRICS[self.metric].bound == "<"

    def margin(self, value: float) -> float:
        """How far inside the limit a value is, as a share of the limit; negative outside."""
        room = self.limit - value if self.upper else value - self.limit
        return room / self.limit if self.limit else room


@dataclass(frozen=True)
class Budget:
    """The clauses, in the order given."""

    clauses: tuple[Clause, ...] = ()

    def __iter__(self) -> Any:
        return iter(self.clauses)

    def __str__(self) -> str:
        return ", ".join(clause.text for clause in self.clauses)

    def get(self, metric: str) -> Clause | None:
        """The clause on `metric`, if there is one."""
        return next((clause for clause in self.clauses if clause.metric == metric), None)

    def with_default(self, text: str) -> Budget:
        """This budget, and the clause `text` unless its metric is bounded already."""
        clause = _clause(text)
        return self if self.get(clause.metric) else Budget((*self.clauses, clause))

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read a budget from its short form, or from a TOML file when `text` ends in `.toml`.

        Raises:
            BudgetError: an unknown clause, a missing or wrong unit, a limit in the wrong direction.
        """
        if text.strip().endswith(".toml"):
            return cls(_unique([_clause(part) for part in _read_toml(Path(text.strip()))]))
        return cls(_unique([_clause(part) for part in text.split(",") if part.strip()]))


def _clause(text: str) -> Clause:
    found = _CLAUSE.match(text)
    if not found:
        raise BudgetError(
            f"Can't read the budget clause {text.strip()!r}.",
            hint="A clause is a name, < or >, a number and a unit, like p99<35ms; commas between clauses.",
        )
    name, sign, amount = found.groups()
    amount = "".join(amount.split()) if _NUMBER.match(amount) else amount
    metric = METRICS.get(name.lower())
    if metric is None:
        raise BudgetError(f"A budget has no clause {name!r}.", hint=did_you_mean(name, METRICS))
    if sign[0] != metric.bound:
        raise BudgetError(
            f"{text.strip()!r} bounds {name} from the wrong side.",
            hint=f"Write {name}{metric.bound}{amount}: {metric.meaning}.",
        )
    number = _NUMBER.match(amount)
    unit = number.group(2) if number else ""
    if number is None or unit not in metric.units:
        known = ", ".join(unit or "no unit" for unit in metric.units)
        raise BudgetError(
            f"Can't read the limit {amount!r} of {name}.",
            hint=f"Give a number with one of these units: {known}. Example: {_example(name, metric)}.",
        )
    limit = float(number.group(1)) * metric.units[unit]
    if not 0 < limit < float("inf"):
        raise BudgetError(
            f"The limit of {name} is {amount}.",
            hint="A limit is a number above 0; leave the clause out for none.",
        )
    return Clause(name.lower(), limit, f"{name.lower()}{metric.bound}{amount}")


def _example(name: str, metric: Metric) -> str:
    return (
        f"{name}{metric.bound}30{next(iter(unit for unit, factor in metric.units.items() if factor != 1e-3))}"
    )


def _unique(clauses: list[Clause]) -> tuple[Clause, ...]:
    seen: dict[str, Clause] = {}
    for clause in clauses:
        if clause.metric in seen:
            raise BudgetError(
                f"The budget bounds {clause.metric} twice: {seen[clause.metric].text} and {clause.text}.",
                hint="Keep the one you mean.",
            )
        seen[clause.metric] = clause
    return tuple(clauses)


def _read_toml(path: Path) -> list[str]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    if "\0" in str(path):
        raise NotFoundError(f"{str(path)!r} isn't a path.", hint="Check the spelling of the path.")
    try:
        if path.stat().st_size > _MAX_FILE:
            raise BudgetError(
                f"{path} is larger than {_MAX_FILE} bytes.", hint="A budget is a few lines of TOML."
            )
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise storage_error(path, error) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BudgetError(f"{path} is not TOML: {error}.", hint='Lines look like: p99 = "<35ms"') from error
    clauses = table.get("budget", table)
    if not isinstance(clauses, dict) or not all(isinstance(value, str) for value in clauses.values()):
        raise BudgetError(
            f"{path} has no table of clauses.", hint='Under [budget], lines like: p99 = "<35ms"'
        )
    return [f"{name}{limit.strip()}" for name, limit in clauses.items()]
