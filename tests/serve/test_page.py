"""The page in a real browser: a wide window and a phone, light and dark."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from serve.browser import browser
from serve.real_server import running

_DONE = """new Promise((done, fail) => { const ends = Date.now() + 20000; const look = () => {
  const said = document.getElementById('answer').textContent;
  if (!document.getElementById('raw').hidden && said !== 'Looking …') done(true);
  else if (Date.now() > ends) done(false); else setTimeout(look, 50); }; look(); })"""


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
            page.do("Page.navigate", url=f"{server.url}/")
            assert page.run(
                "new Promise(done => document.readyState === 'complete' ? done(1) : onload = done(1))"
            )
            page.run("status()")
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
