"""A layer's settings, as its JSON has them, checked where they are taken."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgeproof.core.errors import ModelError

AGAIN = "Save the network again in Keras, or copy the file again and compare its size."
_LARGEST = 1 << 24


@dataclass(frozen=True)
class Settings:
    """The `config` of a layer; `where` begins each error: the file and the layer."""

    table: Mapping[str, Any]
    where: str

    def error(self, what: str, hint: str = AGAIN) -> ModelError:
        """The error for something in this layer."""
        return ModelError(f"{self.where} {what}.", hint=hint)

    def has(self, name: str) -> bool:
        """Whether a setting is given, and not null."""
        return self.table.get(name) is not None

    def _wrong(self, name: str, wanted: str) -> ModelError:
        return self.error(f"has {name} {str(self.table.get(name))[:80]!r}, not {wanted}")

    def flag(self, name: str, default: bool) -> bool:
        """true or false."""
        value = self.table.get(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def integer(self, name: str, default: int, *, low: int = -_LARGEST, high: int = _LARGEST) -> int:
        """A whole number of `low` to `high`."""
        value = self.table.get(name, default)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._wrong(name, f"a whole number of {low} to {high}")
        return value

    def number(self, name: str, default: float) -> float:
        """A finite number."""
        value = self.table.get(name, default)
        value = default if value is None else value
        if isinstance(
            value, dict
        ):  # Keras 2 wrote numpy's numbers as {"class_name": "__numpy__", "value": ..}
            value = value.get("value")
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < math.inf:
            raise self._wrong(name, "a finite number")
        return float(value)

    def text(self, name: str, default: str, known: tuple[str, ...] = ()) -> str:
        """A word, one of `known` where that is given."""
        value = self.table.get(name)
        value = default if value is None else value
        if not isinstance(value, str) or (known and value not in known):
            raise self._wrong(name, f"one of {', '.join(known)}" if known else "a word")
        return value

    def integers(self, name: str, *, low: int = -_LARGEST, high: int = _LARGEST) -> list[int]:
        """A whole number or a list of some."""
        value = self.table.get(name)
        values = value if isinstance(value, list | tuple) else [value]
        if len(values) > 64 or not all(
            isinstance(each, int) and not isinstance(each, bool) and low <= each <= high for each in values
        ):
            raise self._wrong(name, f"whole numbers of {low} to {high}")
        return list(values)

    def sizes(self, name: str, count: int, default: int | list[int] = 1, *, low: int = 1) -> list[int]:
        """A whole number for each of `count` axes; one number stands for all."""
        if not self.has(name):
            return default if isinstance(default, list) else [default] * count
        values = self.integers(name, low=low, high=1 << 16)
        values = values * count if not isinstance(self.table[name], list | tuple) else values
        if len(values) != count:
            raise self._wrong(name, f"{count} whole numbers")
        return values

    def borders(self, name: str, count: int) -> list[tuple[int, int]]:
        """Before and after, for each of `count` axes: one number, one for each axis, or a pair for each."""
        value = self.table.get(name, 1)
        pairs = value if isinstance(value, list | tuple) else [value] * count
        if count == 1 and len(pairs) == 2:
            pairs = [pairs]
        found = []
        for pair in pairs:
            both = pair if isinstance(pair, list | tuple) else [pair, pair]
            if len(both) != 2 or not all(type(each) is int and 0 <= each <= 1 << 16 for each in both):
                raise self._wrong(name, "numbers of 0 or more")
            found.append((both[0], both[1]))
        if len(found) != count:
            raise self._wrong(name, f"a pair for each of {count} axes")
        return found

    def numbers(self, name: str) -> list[float]:
        """A finite number or a flat list of some; nested lists are laid flat."""
        rows, found = [self.table.get(name)], []
        while rows:
            value = rows.pop()
            if isinstance(value, list | tuple):
                rows.extend(reversed(value))
            elif isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < math.inf:
                raise self._wrong(name, "finite numbers")
            else:
                found.append(float(value))
        return found
