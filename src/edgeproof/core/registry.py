"""One registry for everything that is found by name and imported on use."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from edgeproof.core.errors import UnknownNameError, did_you_mean


class Registry:
    """Names mapped to `package.module:attribute`, imported when first asked for.

    Third parties add rows through the entry-point group `edgeproof.<kind>`; our own rows win, so that
    nothing installed beside us can replace a built-in engine or task.
    """

    def __init__(self, kind: str, rows: Mapping[str, str]) -> None:
        self.kind = kind
        self._own = dict(rows)

    def _rows(self) -> dict[str, str]:
        from importlib.metadata import entry_points  # brings the email package with it: 30 ms and 3 MB

        found = {point.name: point.value for point in entry_points(group=f"edgeproof.{self.kind}s")}
        return {**found, **self._own}

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._rows()))

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._rows()

    def load(self, name: str) -> Any:
        """Import and return what is registered under `name`.

        Raises:
            UnknownNameError: no row of that name; the hint names the nearest.
        """
        target = self._own.get(name) or self._rows().get(name)
        if target is None:
            raise UnknownNameError(f"There is no {self.kind} called {name!r}.", hint=did_you_mean(name, self))
        module, _, attribute = target.partition(":")
        return getattr(importlib.import_module(module), attribute)
