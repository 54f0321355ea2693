"""The page in a real browser: a wide window and a phone, light and dark."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from PIL import Image

from cli.processes import ENVIRONMENT
from serve.browser import Browser, browser
from serve.real_server import running
from serve.served_models import face_photo, install

_DONE = """new Promise((done, fail) => { const ends = Date.now() + 20000; const look = () => {
  const said = document.getElementById('answer').textContent;
  if (!document.getElementById('raw').hidden && said !== 'Looking …') done(true);
  else if (Date.now() > ends) done(false); else setTimeout(look, 50); }; look(); })"""


def _open(page: Browser, url: str) -> None:
    """Load the page anew, and wait until it is there: for a moment the browser still answers from the last one."""
    page.run("window.isTheLastOne = true")
    page.do("Page.navigate", url=f"{url}/")
    ends = time.monotonic() + 30
    while not page.run("!window.isTheLastOne && document.readyState === 'complete'"):
        assert time.monotonic() < ends
        time.sleep(0.02)
    page.run("status()")


def test_the_page_shows_what_was_found(shared: Path, tmp_path: Path) -> None:
    upright = Image.open(shared / "data" / "coco" / "images" / "000000000872.jpg")
    upright.rotate(90, expand=True).save(tmp_path / "turned.jpg", quality=92)
    (tmp_path / "none.jpg").write_bytes(b"no picture")
    with running() as server, browser(tmp_path / "profile") as page:
        for domain in ("Page", "Runtime", "Network", "DOM"):
            page.do(f"{domain}.enable")
        for width, mode in ((1280, "light"), (390, "dark")):
            page.do(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=844,
                deviceScaleFactor=1,
                mobile=False,
            )
            page.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": mode}])
            _open(page, server.url)
            for file, words in (("turned.jpg", "90° clockwise"), ("none.jpg", "not a picture")):
                root = page.do("DOM.getDocument")["root"]["nodeId"]
                field = page.do("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
                page.run("document.getElementById('raw').hidden = true")
                page.do("DOM.setFileInputFiles", files=[str(tmp_path / file)], nodeId=field)
                assert page.run(_DONE)
                assert words in page.run("document.getElementById('answer').textContent")
                root_width = "document.documentElement.scrollWidth"
                assert page.run(f"{root_width} <= document.documentElement.clientWidth")
            assert "MB" in page.run("document.getElementById('load').textContent")
            ground = page.run("getComputedStyle(document.body).backgroundColor")
            assert ground == ("rgb(246, 247, 245)" if mode == "light" else "rgb(18, 23, 20)")
        asked = [
            event["params"]["request"]["url"]
            for event in page.events
            if event.get("method") == "Network.requestWillBeSent"
        ]
        assert asked
        assert all(url.startswith((server.url, "data:", "blob:")) for url in asked)
        broken = [event for event in page.events if event.get("method") == "Runtime.exceptionThrown"]
        if broken:
            pytest.fail(str(broken[0]["params"])[:500])


def test_the_page_draws_faces_and_what_is_said_of_them(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(shared, tmp_path, monkeypatch, "yunet")
    monkeypatch.setitem(ENVIRONMENT, "EDGEPROOF_HOME", str(tmp_path / "home"))
    (tmp_path / "people.jpg").write_bytes(face_photo(shared))
    with running("--task", "faces", task="attributes") as server, browser(tmp_path / "profile") as page:
        for domain in ("Page", "Runtime", "DOM"):
            page.do(f"{domain}.enable")
        page.do(
            "Emulation.setDeviceMetricsOverride", width=1280, height=844, deviceScaleFactor=1, mobile=False
        )
        _open(page, server.url)
        root = page.do("DOM.getDocument")["root"]["nodeId"]
        field = page.do("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
        for task, words in (("attributes", "20-29 years"), ("faces", "%")):
            page.run(f"document.getElementById('task').value = '{task}'")
            page.run("document.getElementById('raw').hidden = true")
            page.do("DOM.setFileInputFiles", files=[str(tmp_path / "people.jpg")], nodeId=field)
            assert page.run(_DONE)
            assert page.run("document.getElementById('answer').textContent") == "2 faces"
            assert words in page.run("document.getElementById('facts').textContent")
        broken = [event for event in page.events if event.get("method") == "Runtime.exceptionThrown"]
        assert not broken
