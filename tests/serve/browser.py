"""A headless Chromium, told what to do over its debugging protocol; with nothing but the standard library."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class Browser:
    """One page (chromedevtools.github.io/devtools-protocol)."""

    def __init__(self, port: int) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
            pages = [one for one in json.load(answer) if one["type"] == "page"]
        self._line = socket.create_connection(("127.0.0.1", port), 30)
        path = pages[0]["webSocketDebuggerUrl"].split(str(port), 1)[1]
        key = base64.b64encode(os.urandom(16)).decode()
        self._line.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._file = self._line.makefile("rb")
        while self._file.readline().strip():
            pass
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command, and its result."""
        self._number += 1
        data = json.dumps({"id": self._number, "method": method, "params": parameters}).encode()
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
        self._line.sendall(b"\x81" + size + bytes(4) + data)  # masked with zeros
        while True:
            message = self._read()
            if message.get("id") == self._number:
                result: dict[str, Any] = message.get("result", message)
                return result
            self.events.append(message)

    def run(self, code: str) -> Any:
        """The value of JavaScript, waited for."""
        done = self.do("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        return done["result"].get("value")

    def close(self) -> None:
        self._file.close()
        self._line.close()

    def _read(self) -> dict[str, Any]:
        data = b""
        while True:
            first, size = self._file.read(2)
            size &= 0x7F
            if size >= 126:
                size = int.from_bytes(self._file.read(2 if size == 126 else 8), "big")
            data += self._file.read(size)
            if first & 0x80:
                message: dict[str, Any] = json.loads(data)
                return message


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser while the block runs; skips where there is none."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not program:
        pytest.skip("needs the browser chromium on the PATH")
    process = subprocess.Popen(
        [
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
            f"--user-data-dir={profile}", "about:blank",
        ],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        line = next((line for line in process.stderr if "DevTools listening on" in line), "")
        if not line:
            pytest.skip("the browser doesn't start here")
        page = Browser(int(line.rsplit(":", 1)[1].split("/")[0]))
        yield page
        page.close()
    finally:
        process.terminate()
        process.wait(30)
        process.stderr.close()
