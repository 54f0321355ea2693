"""What `edgeproof serve` was asked to do, checked before anything is started."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgeproof.core.errors import NotFoundError, UsageError, did_you_mean
from edgeproof.serve.tasks import TASK_ROWS

_UNITS = {"kb": 1_000, "mb": 10**6, "gb": 10**9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmg]i?b)\s*", re.IGNORECASE)
# Longer than this nobody should wait for somebody else's picture.
_LONGEST_BATCH_WAIT_S = 0.1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")


@dataclass(frozen=True)
class Settings:
    """Everything that the service needs to know.

    Attributes:
        tasks: names of `TASK_ROWS`; empty for those that are served by default.
        models: bundles or .onnx files by the name that /v2 knows them by. A bundle made for a served task, or one
            that is called as a task is, is what that task runs on.
        host, port: where to listen; port 0 for any free one.
        memory: bytes that all processes together may take.
        workers: worker processes; threads: pictures that each looks at side by side, None for one a core.
        batch_wait_s: the longest that a request waits for others whose rows a network then runs with its own.
        model_ttl_s: seconds after which an unused network is closed; None for never.
        galleries: files or postgresql:// addresses of galleries by the name of their collection. Where there is one,
            the task `embeddings` is served, and alone where no task was asked for.
        gallery_keys: files of their keys by collection; "" for those that are not named; without one the user's own.
        passphrase: of those that have one in place of a key file.
        key_file: who may do what; None where everybody on this machine may do everything.
        max_upload: the most bytes of one request's body.
        max_images: the most pictures of one request.
        body_grace_s, body_rate: a body of N bytes must have come after `body_grace_s` + N / `body_rate` seconds.
        header_timeout_s: seconds in which a request's header must have come.
        wait_timeout_s: the longest that a request waits for its turn.
        run_timeout_s: the longest that a worker may take for one picture or one run.
        drain_s: the longest that requests in flight are waited for when the service ends.
    """

    tasks: Sequence[str] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = 8080
    memory: int = 180_000_000
    workers: int = 1
    threads: int | None = None
    batch_wait_s: float = 0.002
    model_ttl_s: float | None = None
    galleries: Mapping[str, str] = field(default_factory=dict)
    gallery_keys: Mapping[str, str] = field(default_factory=dict)
    passphrase: str | None = field(default=None, repr=False)
    key_file: Path | None = None
    max_upload: int = 10_000_000
    max_images: int = 32
    body_grace_s: float = 4.0
    body_rate: int = 100_000
    header_timeout_s: float = 5.0
    wait_timeout_s: float = 10.0
    run_timeout_s: float = 20.0
    drain_s: float = 20.0

    @property
    def loopback(self) -> bool:
        """Whether only programs of this machine can reach it."""
        return _LOOPBACK.fullmatch(self.host) is not None

    @property
    def served(self) -> tuple[str, ...]:
        """The tasks that are served, in the order asked for; one that a model is named for is always."""
        for_galleries = ("embeddings",) if self.galleries else ()
        by_default = for_galleries or [name for name, row in TASK_ROWS.items() if row.by_default]
        models = (name for name in self.models if name in TASK_ROWS)
        return tuple(dict.fromkeys((*(self.tasks or by_default), *for_galleries, *models)))

    def check(self) -> None:
        """Refuse what can't be meant.

        Raises:
            UsageError: with what to give instead.
        """
        for name in self.tasks:
            if name not in TASK_ROWS:
                raise UsageError(f"There is no task {name!r} to serve.", hint=did_you_mean(name, TASK_ROWS))
        for name, path in self.models.items():
            if not _NAME.fullmatch(name):
                raise UsageError(
                    f"A model can't be called {name!r}.", hint="Use letters, digits, '.', '_' and '-'."
                )
            if not Path(path).exists():
                raise NotFoundError(
                    f"{path} isn't there.", hint="Give the path of a bundle or of an .onnx file."
                )
        self._check_galleries()
        if not self.loopback and self.key_file is None:
            raise UsageError(
                f"On {self.host} everybody in the network could use it.",
                hint="Say who may with --api-key-file, or leave --host at 127.0.0.1.",
            )
        if self.model_ttl_s is not None and not 0 < self.model_ttl_s < math.inf:
            raise UsageError(f"--model-ttl is {self.model_ttl_s}.", hint="Give seconds, more than 0.")
        if not 0 <= self.batch_wait_s <= _LONGEST_BATCH_WAIT_S:
            raise UsageError(
                f"--batch-wait is {self.batch_wait_s * 1e3:g}.",
                hint=f"Give milliseconds, 0 to {_LONGEST_BATCH_WAIT_S * 1e3:g}.",
            )

    def _check_galleries(self) -> None:
        for name in self.galleries:
            if not _NAME.fullmatch(name):
                raise UsageError(
                    f"A collection can't be called {name!r}.", hint="Use letters, digits, '.', '_' and '-'."
                )
        places = [
            place if "://" in place else str(Path(place).resolve()) for place in self.galleries.values()
        ]
        if len(set(places)) < len(places):
            raise UsageError("Two collections are one gallery.", hint="Give each gallery once.")
        for name in self.gallery_keys:
            if name and name not in self.galleries:
                raise UsageError(
                    f"There is a key for the collection {name!r}, and no such collection.",
                    hint=did_you_mean(name, self.galleries) if self.galleries else "Give it with --gallery.",
                )
        if (self.gallery_keys or self.passphrase is not None) and not self.galleries:
            raise UsageError(
                "There is a gallery's key, and no gallery.", hint="Give one with --gallery FILE."
            )


def parse_size(text: str) -> int:
    """ "200MB" to bytes; kB, MB, GB, KiB, MiB, GiB.

    Raises:
        UsageError: it isn't a size.
    """
    match = _SIZE.fullmatch(text)
    if not match or float(match[1]) <= 0:
        raise UsageError(f"{text!r} is not a size.", hint="Write for example 200MB or 1.5GB.")
    return int(float(match[1]) * _UNITS[match[2].lower()])
