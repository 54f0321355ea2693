"""Whatever a kernel's files hold, or don't, nothing breaks and nothing is made up."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boards import Board, jetson_orin, raspberry_pi_5, x86_laptop
from edgeproof.devices.cgroup import cpu_quota, cpu_throttling, memory_limit_mb
from edgeproof.devices.checks import machine_checks
from edgeproof.devices.cores import core_kinds
from edgeproof.devices.frequency import frequency_policies
from edgeproof.devices.host import describe_host, usable_cores
from edgeproof.devices.load import cpu_times, pressure
from edgeproof.devices.memory import memory
from edgeproof.devices.meters import present_meters
from edgeproof.devices.thermal import thermal_zones
from edgeproof.devices.throttling import raspberry_throttling, throttle_counts

_READERS = (
    describe_host, usable_cores, core_kinds, frequency_policies, thermal_zones, throttle_counts, memory, cpu_times,
    pressure, memory_limit_mb, cpu_quota, cpu_throttling,
)  # fmt: skip

CONTENT = st.one_of(
    st.none(),  # the file is gone
    st.just("a folder"),
    st.sampled_from(
        [b"", b"\n", b"\x00", b"-1", b"0", b"9" * 20, b"9" * 400, b"1e400", b"nan", b"<unknown>", b"max"]
    ),
    st.integers().map(lambda number: str(number).encode()),
    st.binary(max_size=60),
    st.text(max_size=40).map(str.encode),
)
ANSWER = st.one_of(
    st.none(), st.text(max_size=80), st.sampled_from(["throttled=0x5", "VDD_CORE_A current(7)=1.5A"])
)


@pytest.fixture(scope="module", params=[jetson_orin, raspberry_pi_5, x86_laptop])
def board(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Board:
    made: Board = request.param(tmp_path_factory.mktemp("board"))
    limits = {"sys/fs/cgroup/cpu.max": "150000 100000", "sys/fs/cgroup/memory.max": "268435456"}
    return made.write({**limits, "sys/fs/cgroup/cpu.stat": "nr_periods 9\nnr_throttled 2\nthrottled_usec 5"})


@contextlib.contextmanager
def _broken(board: Board, changes: dict[Path, bytes | str | None]) -> Iterator[None]:
    before = {path: path.read_bytes() for path in changes}
    try:
        for path, content in changes.items():
            path.unlink()
            if isinstance(content, str):
                path.mkdir()
            elif content is not None:
                path.write_bytes(content)
        yield
    finally:
        for path, content in before.items():
            if path.is_dir():
                shutil.rmtree(path)
            path.write_bytes(content)


def _read_everything(board: Board) -> list[object]:
    found: list[object] = [reader(board.root) for reader in _READERS]
    found += [raspberry_throttling(board.run), machine_checks(board.root, board.run, cores=4, earlier=None)]
    for meter in present_meters(board.root, board.run):
        assert meter.available() == (meter.missing() is None)
        meter.start()
        energy = meter.stop()
        assert energy.joules is None or (math.isfinite(energy.joules) and energy.joules >= 0)
        assert (energy.joules is None) == (energy.reason is not None)
        found += [energy, meter.scope, meter.interval_s]
        assert 0 < meter.interval_s <= 1
    return found


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_broken_files_never_break_a_reader(board: Board, data: st.DataObject) -> None:
    files = sorted(path for path in board.root.rglob("*") if path.is_file())
    changes = data.draw(st.dictionaries(st.sampled_from(files), CONTENT, min_size=1, max_size=6))
    answers = dict(board.answers)
    board.answers.update({words: text for words in answers if (text := data.draw(ANSWER)) is not None})
    try:
        with _broken(board, changes):
            json.dumps(msgspec.to_builtins(_read_everything(board)), allow_nan=False)
    finally:
        board.answers.update(answers)


def test_files_that_may_not_be_read_are_as_if_they_werent_there(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def refused(path: Path, *words: Any, **options: Any) -> object:
        if path.is_relative_to(board.root):
            raise PermissionError(13, "Permission denied")
        return real(path, *words, **options)

    monkeypatch.setattr(Path, "open", refused)
    found = _read_everything(Board(board.root, {}))
    assert json.dumps(msgspec.to_builtins(found))
