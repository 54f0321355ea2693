"""Fetching one file from a real server on loopback, well-behaved or not."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from urllib.request import Request

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundles.file_server import (
    Files,
    cut,
    endless,
    lengthless,
    page,
    ranged,
    serving,
    silent,
    status,
    whole,
    whole_cut,
    wrong_range,
)
from edgeproof.bundles import download
from edgeproof.bundles import part as parts
from edgeproof.bundles.download import check_address, fetch
from edgeproof.core.errors import DownloadError, UsageError, WrongDigestError

DATA = os.urandom(300_000)
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_FIRST_WAIT", 0.0)
    monkeypatch.setattr(download, "_LONGEST_WAIT", 0.0)


def _fetch(url: str, part: Path, size: int | None = len(DATA), *, keep: bool = True) -> str:
    return fetch(f"{url}/file", part, size=size, keep=keep, progress=lambda *_: None)


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([ranged], [None]),
        ([whole], [None]),
        ([lengthless], [None]),
        ([cut(100_000), cut(200_000), ranged], [None, "bytes=100000-", "bytes=200000-"]),
        ([cut(0), ranged], [None, None]),
        ([whole_cut(100_000), whole], [None, "bytes=100000-"]),
        ([status(503), status(429, Retry_After="7"), ranged], [None, None, None]),
        ([cut(100_000), wrong_range, ranged], [None, "bytes=100000-", None]),
        ([cut(100_000), status(416), ranged], [None, "bytes=100000-", None]),
        ([cut(50_000 * n) for n in range(1, 6)] + [ranged], [None, *(f"bytes={50_000 * n}-" for n in range(1, 6))]),
    ],
    ids=[
        "at once", "no ranges", "no length", "cut twice", "cut at once", "cut, no ranges", "busy", "wrong range",
        "416", "cut more often than it may be fruitless",
    ],
)  # fmt: skip
def test_it_comes_in_the_end(
    tmp_path: Path, answers: list[Callable[[Files], None]], asked: list[str | None]
) -> None:
    with serving(DATA, *answers) as server:
        assert _fetch(server.url, tmp_path / "part") == DIGEST
        assert [range_ for _, range_ in server.asked] == asked
    assert (tmp_path / "part").read_bytes() == DATA


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (status(404), DownloadError, "404"),
        (status(403), DownloadError, "403"),
        (status(500), DownloadError, "500"),
        (cut(0), DownloadError, "broke off after 0 of 300000"),
        (whole_cut(100_000), DownloadError, "broke off after 100000 of 300000"),
        (page, DownloadError, "web page"),
        (endless, WrongDigestError, "300,000"),
        (status(200, Content_Encoding="gzip"), DownloadError, "packed"),
        (status(302, Location="http://example.com/x"), DownloadError, "not https|can't be used"),
        (status(302, Location="ftp://127.0.0.1/x"), DownloadError, "302|can't be used"),
        (status(302, Location="/again"), DownloadError, "302"),
    ],
    ids=[
        "404", "403", "500", "cut at once", "cut, no ranges", "page", "endless", "gzip", "to http", "to ftp", "circle",
    ],
)  # fmt: skip
def test_it_says_why_it_does_not_come(
    tmp_path: Path, answer: Callable[[Files], None], kind: type[DownloadError], words: str
) -> None:
    with serving(DATA, answer) as server, pytest.raises(DownloadError, match=words) as caught:
        _fetch(server.url, tmp_path / "part")
    assert type(caught.value) is kind
    assert caught.value.hint


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1, 1, 10 * len(DATA)])
@pytest.mark.parametrize("answer", [ranged, whole])
def test_another_size_is_another_file(tmp_path: Path, size: int, answer: Callable[[Files], None]) -> None:
    with serving(DATA, answer) as server, pytest.raises(WrongDigestError, match=f"{size:,}"):
        _fetch(server.url, tmp_path / "part", size)
    assert not list(tmp_path.iterdir())


def test_without_a_known_size_the_server_must_state_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(DATA, lengthless) as server, pytest.raises(DownloadError, match="how long"):
        _fetch(server.url, tmp_path / "part", None)
    with serving(DATA, ranged) as server:
        assert _fetch(server.url, tmp_path / "part", None) == DIGEST
    monkeypatch.setattr(parts, "MAX_BYTES", 1000)
    with serving(DATA, ranged) as server, pytest.raises(WrongDigestError, match="1,000"):
        _fetch(server.url, tmp_path / "other", None)


@pytest.mark.parametrize("here", [0, 1, 100_000, len(DATA)])
def test_a_later_call_goes_on_from_the_part(tmp_path: Path, here: int) -> None:
    (tmp_path / "part").write_bytes(DATA[:here])
    with serving(DATA, ranged) as server:
        assert _fetch(server.url, tmp_path / "part") == DIGEST
        expected = [] if here == len(DATA) else [f"bytes={here}-" if here else None]
        assert [range_ for _, range_ in server.asked] == expected


def test_a_part_that_can_not_be_of_the_file_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(bytes(len(DATA) + 5))
    with serving(DATA, ranged) as server:
        assert _fetch(server.url, tmp_path / "part") == DIGEST
        assert server.asked == [("/file", None)]


def test_a_part_is_not_kept_where_it_could_not_be_checked(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(b"of another version")
    with serving(DATA, ranged) as server:
        assert _fetch(server.url, tmp_path / "part", None, keep=False) == DIGEST


def test_silence_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_TIMEOUT", 0.05)
    with serving(DATA, silent, ranged) as server:
        assert _fetch(server.url, tmp_path / "part") == DIGEST
        assert [range_ for _, range_ in server.asked] == [None, "bytes=1000-"]
    with serving(DATA, silent) as server, pytest.raises(DownloadError, match="nothing for"):
        _fetch(server.url, tmp_path / "part2")


def test_a_trickle_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_GRACE", -1e9)
    monkeypatch.setattr(download, "PIECE", 100)
    with serving(DATA, ranged) as server, pytest.raises(DownloadError, match="bytes a second"):
        _fetch(server.url, tmp_path / "part")


def test_nobody_there(tmp_path: Path) -> None:
    with serving(DATA) as server:
        url = server.url
    with pytest.raises(DownloadError, match="no way to 127"):
        _fetch(url, tmp_path / "part")


def test_a_proxy_is_not_asked_for_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with serving(DATA, ranged) as server:
        assert _fetch(server.url, tmp_path / "part") == DIGEST


def test_a_proxy_is_asked_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(DATA, ranged) as server:
        url = server.url
    monkeypatch.setenv("https_proxy", url)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(DownloadError, match="refused"):
        _fetch("https://published.invalid", tmp_path / "part")


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:9/x", "http://example.com/x", "https://user@example.com/x"]
)
def test_a_server_elsewhere_does_not_send_us_here(target: str) -> None:
    request = Request("https://published.invalid/file")
    with pytest.raises(DownloadError, match="sends us on"):
        download._Redirects().redirect_request(request, io.BytesIO(), 302, "Found", {}, target)


def test_progress_counts_up_to_the_end(tmp_path: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    with serving(DATA, cut(100_000), ranged) as server:
        fetch(server.url, tmp_path / "part", size=None, keep=True, progress=lambda *step: steps.append(step))
    assert steps == sorted(steps)
    assert steps[-1] == (len(DATA), len(DATA))


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://example.com/a", True),
        ("http://localhost:8000", True),
        ("http://127.0.0.1/a", True),
        ("http://[::1]:80/a", True),
        ("http://example.com/a", False),
        ("http://127.0.0.1.example.com/a", False),
        ("ftp://example.com", False),
        ("file:///etc/passwd", False),
        ("https://", False),
        ("https://user:secret@example.com", False),
        ("https://example.com/a b", False),
        ("https://example.com:port", False),
        ("http://[::1", False),
        ("", False),
    ],
)
def test_addresses(url: str, good: bool) -> None:
    if good:
        check_address(url)
        return
    with pytest.raises(UsageError) as caught:
        check_address(url)
    assert "secret" not in str(caught.value)


@given(cuts=st.lists(st.integers(0, 5000), max_size=4), size=st.integers(1, 5000))
@settings(max_examples=25, deadline=None)
def test_whatever_the_cuts_the_file_is_the_file(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], size: int
) -> None:
    data, folder = DATA[:size], tmp_path_factory.mktemp("cuts")
    with serving(data, *map(cut, cuts), ranged) as server:
        assert _fetch(server.url, folder / "part", size) == hashlib.sha256(data).hexdigest()
    assert (folder / "part").read_bytes() == data
