"""Bringing one published file here: resumed where it stopped, bounded in size and time, hashed on the way."""

from __future__ import annotations

import errno
import http.client
import ipaddress
import socket
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edgeproof._version import __version__
from edgeproof.bundles.part import MAX_BYTES, PIECE, Part, Progress, append, check_size
from edgeproof.core.errors import DownloadError, UsageError

_TIMEOUT = 30.0  # seconds without a byte
_SLOWEST = 1024  # bytes a second, over a whole attempt
_GRACE = 60.0
_ATTEMPTS = 20
_FRUITLESS = 5  # attempts in a row that brought nothing new
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}


class _AgainError(Exception):
    """This attempt failed in a way that the next may not."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def fetch(url: str, part: Path, *, size: int | None, keep: bool, progress: Progress) -> str:
    """Bring what is published at `url` into the file `part`.

    Arguments:
        url: https; http only to this machine itself.
        part: where it grows. It stays there when this fails, and the next call goes on from it.
        size: how many bytes it must have; None where that isn't known: then at most `MAX_BYTES`.
        keep: go on from what `part` holds. Only where the digest is known: else two versions could be mixed.

    Returns:
        The SHA-256 of the file.

    Raises:
        DownloadError: it can't be had, after several attempts where the cause may pass.
        WrongDigestError: it has another size than `size`.
        StorageError: it can't be written.
    """
    check_address(url)
    part_file = Part(part, keep=keep)
    try:
        if size is not None and part_file.size > size:
            part_file.restart()
        _try_often(url, part_file, size, progress)
        return part_file.finish()
    except BaseException as error:
        part_file.leave(error)
        raise
    finally:
        part_file.close()


def check_address(url: str) -> None:
    """Check that an address is one that we fetch from.

    Raises:
        UsageError: neither https, nor http to this machine itself; or with a password in it.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{url!r} is no address.", hint="Use an https address, or a folder.") from error
    if "@" in parts.netloc:
        raise UsageError(
            f"The address of {host} has a user name in it.",
            hint="Leave that out; a mirror that asks for a password can't be used. Copy it to a folder.",
        )
    if not host or any(letter <= " " for letter in url):
        raise UsageError(f"{url!r} is no address.", hint="Use an https address, or a folder.")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_machine(host)):
        raise UsageError(
            f"{url} is not https.",
            hint="Files are fetched by https, from a folder, or by http from this machine itself.",
        )


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _try_often(url: str, part: Part, size: int | None, progress: Progress) -> None:
    fruitless, reason = 0, ""
    for _ in range(_ATTEMPTS):
        if size is not None and part.size == size:
            return
        before = part.size
        try:
            _attempt(url, part, size, progress)
            return
        except _AgainError as error:
            reason = str(error)
            fruitless = 0 if part.size > before else fruitless + 1
            if fruitless == _FRUITLESS:
                break
            time.sleep(min(_LONGEST_WAIT, error.wait or _FIRST_WAIT * 2 ** max(0, fruitless - 1)))
    raise DownloadError(
        f"Can't fetch {url}: {reason}.",
        hint="Try again later: it goes on where it stopped where that is possible.",
    )


def _attempt(url: str, part: Part, size: int | None, progress: Progress) -> None:
    try:
        with _open(url, part) as response:
            total = _begin(response, part, size, url)
            slowest = time.monotonic() + _GRACE + ((total or MAX_BYTES) - part.size) / _SLOWEST
            while piece := response.read1(PIECE):
                append(part, piece, url, size)
                progress(part.size, total)
                if time.monotonic() > slowest:
                    raise _AgainError(f"the server sends less than {_SLOWEST} bytes a second")
    except urllib.error.HTTPError as error:
        error.close()
        raise _status(error, part, url) from error
    except urllib.error.URLError as error:
        raise _unreachable(error.reason, url) from error
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(error, url) from error
    if total is not None and part.size < total:
        raise _AgainError(f"it broke off after {part.size} of {total} bytes")


def _open(url: str, part: Part) -> http.client.HTTPResponse:
    request = urllib.request.Request(  # noqa: S310  # check_address looked at the scheme
        url, headers={"User-Agent": f"edgeproof/{__version__}", "Accept-Encoding": "identity"}
    )
    if part.size:
        request.add_header("Range", f"bytes={part.size}-")
        if part.tag:
            request.add_header("If-Range", part.tag)
    local = _is_this_machine(urlsplit(url).hostname or "")
    handlers: list[urllib.request.BaseHandler] = [_Redirects()]
    if local:
        handlers.append(urllib.request.ProxyHandler({}))  # a proxy can't reach this machine's own server
    response: http.client.HTTPResponse = urllib.request.build_opener(*handlers).open(
        request, timeout=_TIMEOUT
    )
    return response


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = 5

    http_error_308 = urllib.request.HTTPRedirectHandler.http_error_302  # Python 3.10 doesn't know it

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        # A server elsewhere has no business with the servers of this machine.
        outward = not _is_this_machine(req.host.rpartition(":")[0] or req.host)
        if outward and urlsplit(newurl).scheme != "https":
            fp.close()
            raise DownloadError(
                f"{req.full_url} sends us on to {newurl}, which is not https.",
                hint="Nothing was fetched from there. Use a mirror: --mirror FOLDER.",
            )
        try:
            check_address(newurl)
        except UsageError as error:
            fp.close()
            raise DownloadError(
                f"{req.full_url} sends us on to an address that can't be used: {error.message}",
                hint="Nothing was fetched from there. Use a mirror: --mirror FOLDER.",
            ) from error
        return super().redirect_request(req, fp, 307 if code == 308 else code, msg, headers, newurl)


def _begin(response: http.client.HTTPResponse, part: Part, size: int | None, url: str) -> int | None:
    """Make `part` fit the answer; gives the size that the whole file will have, where the server says so."""
    headers = response.headers
    if headers.get("Content-Type", "").startswith("text/html"):
        raise DownloadError(
            f"{url} answers with a web page, not with the file.",
            hint="Fetch it with a browser, and pull it from that folder: --mirror FOLDER.",
        )
    if headers.get("Content-Encoding", "identity") != "identity":
        raise DownloadError(f"{url} answers in a packed form that wasn't asked for.", hint="Use a mirror.")
    length = headers.get("Content-Length", "")
    total = int(length) if length.isdecimal() and len(length) < 16 else None
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        start = headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
        if start != str(part.size):
            part.restart()
            raise _AgainError("the server sent another part than the one asked for")
        total = None if total is None else total + part.size
    else:
        part.restart()
    part.tag = headers.get("ETag") or headers.get("Last-Modified") or ""
    if part.tag.startswith("W/"):
        part.tag = headers.get("Last-Modified", "")
    if total is not None:
        check_size(url, total, size)
    elif size is not None:
        total = size
    elif headers.get("Transfer-Encoding", "") != "chunked":
        raise DownloadError(
            f"{url} doesn't say how long the file is: one that broke off would look whole.",
            hint="Fetch it with a browser, and pull it from that folder: --mirror FOLDER.",
        )
    return total


def _status(error: urllib.error.HTTPError, part: Part, url: str) -> Exception:
    if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and part.size:
        part.restart()
        return _AgainError("the server has no such part of the file", wait=0.01)
    if error.code in _TRANSIENT:
        after = error.headers.get("Retry-After", "")
        wait = float(after) if after.isdecimal() and len(after) < 6 else None
        return _AgainError(f"the server answers {error.code} {error.reason}", wait)
    hint = {
        404: "It was moved or taken away. Fetch it elsewhere, and pull it from that folder: --mirror FOLDER.",
        407: "The proxy asks for a password: put it into https_proxy, or use --mirror FOLDER.",
    }.get(error.code, "Fetch it with a browser, and pull it from that folder: --mirror FOLDER.")
    return DownloadError(f"Can't fetch {url}: the server answers {error.code} {error.reason}.", hint=hint)


def _unreachable(reason: object, url: str) -> Exception:
    host = urlsplit(url).netloc
    match reason:
        case ssl.SSLCertVerificationError():
            return DownloadError(
                f"{host} can't prove who it is: {reason.verify_message}.",
                hint="Check this machine's clock; a company's own certificate authority goes into SSL_CERT_FILE.",
            )
        case socket.gaierror():
            return DownloadError(
                f"There is no way to {host}: its name can't be looked up.",
                hint="Is there a network? Without one, pull from a folder: --mirror FOLDER.",
            )
        case ConnectionRefusedError() | OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH):
            return DownloadError(
                f"There is no way to {host}: {reason.strerror}.",
                hint="Is there a network, and does that server run? Without one: --mirror FOLDER.",
            )
        case TimeoutError():
            return _AgainError(f"the server sent nothing for {_TIMEOUT:.0f} seconds")
        case _:
            return _AgainError(getattr(reason, "strerror", None) or str(reason) or type(reason).__name__)
