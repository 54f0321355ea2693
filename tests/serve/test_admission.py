"""The bounds: what a picture can cost, and who waits for what."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.processes import ENVIRONMENT
from edgeproof.imaging.header import read_header
from edgeproof.serve.admission import Share, picture_cost
from edgeproof.serve.http_errors import HttpError
from edgeproof.serve.tasks import TASK_ROWS
from imaging.picture_files import encode, scene

_MEASURE = """
import sys
import numpy, simplejpeg, PIL.Image
from edgeproof.core.allocator import return_large_blocks
from edgeproof.imaging.decode import decode
from edgeproof.measure.memory import peak_mb, reset_peak
from edgeproof.tasks.orientation import OrientationTask
return_large_blocks()
data = sys.stdin.buffer.read()
decode(open(sys.argv[1], "rb").read(), cover=288)
reset_peak()
before = peak_mb()
OrientationTask().prepare(decode(data, cover=288).pixels)
print(int((peak_mb() - before) * 1e6))
"""


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "subsampling": 0}),
        ("PNG", {}),
        ("PNG", {"grey": True}),
        ("PNG", {"alpha": True}),
        ("WEBP", {}),
        ("BMP", {}),
        ("GIF", {}),
        ("TIFF", {}),
    ],
)
def test_a_picture_takes_no_more_than_its_header_says(
    kind: str, options: dict[str, object], tmp_path: object
) -> None:
    from PIL import Image

    options = dict(options)
    picture = Image.fromarray(scene(2000, 1500))
    if options.pop("grey", False):
        picture = picture.convert("I;16")
    if options.pop("alpha", False):
        picture = picture.convert("RGBA")
    data = encode(picture, kind, **options)
    small = f"{tmp_path}/small"
    with open(small, "wb") as file:  # noqa: PTH123
        file.write(encode(scene(), kind))
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, small], input=data, capture_output=True, env=ENVIRONMENT, check=True
    )
    assert int(done.stdout) <= picture_cost(read_header(data), len(data), 288)


def test_a_share_never_gives_more_than_it_has_and_keeps_the_order() -> None:
    @given(st.lists(st.integers(1, 10), max_size=30))
    def check(amounts: list[int]) -> None:
        order: list[int] = []

        async def take(share: Share, number: int, amount: int) -> None:
            async with share.holding(amount, 60):
                order.append(number)
                assert share.taken <= share.capacity
                await asyncio.sleep(0)

        async def go() -> None:
            share = Share(10)
            await asyncio.gather(*(take(share, number, amount) for number, amount in enumerate(amounts)))
            assert (share.taken, share.waiting) == (0, 0)

        asyncio.run(go())
        assert order == sorted(order)

    check()


def test_who_is_called_off_gives_back() -> None:
    async def go() -> None:
        share = Share(10)

        async def hold() -> None:
            async with share.holding(10, 60):
                await asyncio.Event().wait()

        first, second, third = (asyncio.create_task(hold()) for _ in range(3))
        await asyncio.sleep(0)
        second.cancel()
        first.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert share.taken == 10
        third.cancel()
        await asyncio.gather(first, second, third, return_exceptions=True)
        assert (share.taken, share.waiting) == (0, 0)

    asyncio.run(go())


def test_too_much_and_too_late() -> None:
    async def go() -> None:
        share = Share(10)
        with pytest.raises(HttpError) as large:
            async with share.holding(11, 1):
                pass
        assert large.value.status == 413
        async with share.holding(10, 1):
            with pytest.raises(HttpError) as late:
                async with share.holding(1, 0.01):
                    pass
        assert (late.value.status, late.value.headers["retry-after"]) == (503, "2")

    asyncio.run(go())


@pytest.mark.parametrize("task", sorted(TASK_ROWS))
def test_what_a_tasks_run_takes_is_counted(task: str) -> None:
    data = encode(scene(640, 480), "JPEG")
    row = TASK_ROWS[task]
    cost = picture_cost(read_header(data), len(data), row.cover, row.run_bytes)
    assert cost >= row.run_bytes + len(data) + 640 * 480 * 3
