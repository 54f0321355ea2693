"""Who may do what: keys with scopes, and without keys only programs of this machine that mean it."""

from __future__ import annotations

import hmac
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeproof.core.errors import UsageError
from edgeproof.core.files import storage_error
from edgeproof.serve.http_errors import HttpError

SCOPES = ("infer", "enrol", "admin")
_SHORTEST = 16
_MAX_FILE = 1 << 20
_HOST = re.compile(r"(localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?", re.IGNORECASE)
_HINT = "A line is: KEY SCOPE[,SCOPE] [max=N], with the scopes infer, enrol and admin; # begins a comment."


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        name: for counting; never the key itself.
        most: requests that it may have under way at once; None for as many as there are places.
    """

    name: str
    most: int | None = None


@dataclass(frozen=True)
class _Key:
    secret: bytes
    scopes: frozenset[str]
    most: int | None


class Access:
    """The keys that are known; none at all lets every program of this machine do everything.

    Arguments:
        loopback: whether only this machine can reach the service.
    """

    def __init__(self, keys: Sequence[_Key] | None, *, loopback: bool) -> None:
        self._keys, self._loopback = keys, loopback

    @property
    def open(self) -> bool:
        """Whether no key is needed."""
        return self._keys is None

    def check(self, headers: Mapping[str, str], scope: str) -> Caller:
        """Who asks, if it may; `scope` "" is for everybody.

        Raises:
            HttpError: 401 without a known key, 403 with one that has not that scope, or from another web page.
        """
        if self._keys is None:
            _check_same_machine(headers)
            return Caller("")
        if not scope:
            return Caller("")
        given = _given(headers)
        found = None
        for key in self._keys:  # every one is compared, so that the time says nothing
            if hmac.compare_digest(key.secret, given):
                found = key
        if found is None:
            raise HttpError(
                401,
                "unauthorized",
                "A key is needed: Authorization: Bearer KEY.",
                headers={"www-authenticate": "Bearer"},
            )
        if scope not in found.scopes:
            raise HttpError(403, "forbidden", f"This key has not the scope {scope!r}.")
        return Caller(str(self._keys.index(found)), found.most)


def _given(headers: Mapping[str, str]) -> bytes:
    word, _, key = headers.get("authorization", "").partition(" ")
    text = key.strip() if word.lower() == "bearer" else headers.get("x-api-key", "")
    return text.encode("utf-8", errors="replace")


def _check_same_machine(headers: Mapping[str, str]) -> None:
    # A web page elsewhere can have a name that leads to 127.0.0.1, or post a form here: browsers tell both.
    if not _HOST.fullmatch(headers.get("host", "localhost")):
        raise HttpError(
            403, "forbidden_host", "Without keys it answers only to localhost, 127.0.0.1 and [::1]."
        )
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise HttpError(403, "forbidden_origin", "Without keys other web pages may not use it.")


def read_keys(path: Path) -> list[_Key]:
    """The keys of a file.

    Raises:
        UsageError: a line can't be read, a key is short, or others may read the file.
        StorageError, NotFoundError: the file can't be read.
    """
    try:
        status = path.stat()
        if status.st_size > _MAX_FILE or not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{path} is no key file.", hint=_HINT)
        if status.st_mode & 0o077:
            raise UsageError(f"Others than you can use {path}.", hint=f"chmod 600 {path}")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise storage_error(path, error) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text.", hint=_HINT) from error
    lines = [line.partition("#")[0].split() for line in text.splitlines()]
    keys = [_key(words, number, path) for number, words in enumerate(lines, 1) if words]
    if not keys:
        raise UsageError(f"{path} has no key.", hint=_HINT)
    return keys


def _key(words: Sequence[str], number: int, path: Path) -> _Key:
    secret, *rest = words
    scopes = frozenset(rest[0].split(",")) if rest else frozenset()
    most = re.fullmatch(r"max=([1-9]\d{0,5})", rest[1]) if len(rest) > 1 else None
    if not scopes or not scopes <= set(SCOPES) or len(rest) > 2 or (len(rest) == 2 and not most):
        raise UsageError(f"Line {number} of {path} can't be read.", hint=_HINT)
    if len(secret) < _SHORTEST:
        raise UsageError(
            f"The key in line {number} of {path} has fewer than {_SHORTEST} characters.",
            hint="Make one with: openssl rand -hex 24",
        )
    return _Key(secret.encode(), scopes, int(most[1]) if most else None)
