"""Cores by kind: big and little, performance and efficiency, or all alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from boards import Board, bare, jetson_orin, raspberry_pi_5, x86_laptop
from edgeproof.devices.cores import core_kinds, cpu_list


def _arm(board: Board, parts: list[str], **values: list[int]) -> Board:
    """Processors with one part each, and values below their folders in /sys."""
    blocks = [
        f"processor\t: {n}\nCPU implementer\t: 0x41\nCPU part\t: {part}" for n, part in enumerate(parts)
    ]
    board.write({"proc/cpuinfo": "\n\n".join(blocks)})
    for name, numbers in values.items():
        place = {"capacity": "cpu_capacity", "khz": "cpufreq/cpuinfo_max_freq"}[name]
        board.write({f"sys/devices/system/cpu/cpu{n}/{place}": number for n, number in enumerate(numbers)})
    return board


@pytest.mark.parametrize(
    ("build", "kinds"),
    [
        (jetson_orin, [("all alike", 6, "Cortex-A78AE", 1510.4)]),
        (raspberry_pi_5, [("all alike", 4, "Cortex-A76", 2400.0)]),
        (x86_laptop, [("performance", 4, None, 4400.0), ("efficiency", 4, None, 3300.0)]),
        (bare, []),
    ],
)
def test_boards(tmp_path: Path, build, kinds: list[object]) -> None:  # type: ignore[no-untyped-def]
    found = core_kinds(build(tmp_path).root)
    assert [(kind.kind, len(kind.cpus), kind.core, kind.max_mhz) for kind in found] == kinds


def test_big_and_little_are_told_by_their_capacity(tmp_path: Path) -> None:
    little, big = ["0xd05"] * 4, ["0xd0b"] * 2
    board = _arm(
        bare(tmp_path), little + big, capacity=[414] * 4 + [1024] * 2, khz=[1_800_000] * 4 + [2_400_000] * 2
    )
    found = [(kind.kind, kind.cpus, kind.core, kind.max_mhz) for kind in core_kinds(board.root)]
    assert found == [("big", [4, 5], "Cortex-A76", 2400.0), ("little", [0, 1, 2, 3], "Cortex-A55", 1800.0)]


def test_without_capacities_an_arm_processors_clocks_tell(tmp_path: Path) -> None:
    board = _arm(bare(tmp_path), ["0xd03"] * 2 + ["0xd08"], khz=[1_400_000] * 2 + [1_800_000])
    assert [(kind.kind, kind.cpus) for kind in core_kinds(board.root)] == [("big", [2]), ("little", [0, 1])]


def test_three_and_more_kinds(tmp_path: Path) -> None:
    three = _arm(bare(tmp_path / "3"), ["0xd05", "0xd0d", "0xd44"], capacity=[250, 800, 1024])
    assert [kind.kind for kind in core_kinds(three.root)] == ["big", "middle", "little"]
    four = _arm(bare(tmp_path / "4"), ["0xd05"] * 4, capacity=[1, 2, 3, 4])
    assert [kind.kind for kind in core_kinds(four.root)] == ["kind 1", "kind 2", "kind 3", "kind 4"]


def test_favoured_cores_of_an_intel_processor_are_no_kind(tmp_path: Path) -> None:
    clocks = {
        f"sys/devices/system/cpu/cpu{n}/cpufreq/cpuinfo_max_freq": 4_900_000 + 100_000 * n for n in range(2)
    }
    board = bare(tmp_path).write(
        {"proc/cpuinfo": "processor\t: 0\nflags\t: avx2\n\nprocessor\t: 1", **clocks}
    )
    (kind,) = core_kinds(board.root)
    assert (kind.kind, kind.cpus, kind.max_mhz) == ("all alike", [0, 1], 5000.0)


def test_an_unknown_part_is_told_by_its_number(tmp_path: Path) -> None:
    (kind,) = core_kinds(_arm(bare(tmp_path), ["0xfff"], khz=[1]).root)
    assert kind.core == "part 0xfff of implementer 0x41"


def test_processors_that_are_offline_dont_count(tmp_path: Path) -> None:
    board = jetson_orin(tmp_path).write({"sys/devices/system/cpu/online": "0-1,3"})
    (kind,) = core_kinds(board.root)
    assert kind.cpus == [0, 1, 3]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0", [0]),
        ("0-3,8", [0, 1, 2, 3, 8]),
        ("", []),
        ("3-1", []),
        ("a-b", []),
        ("0-99999999999", []),
        ("-1", []),
    ],
)
def test_lists_of_processors(text: str, numbers: list[int]) -> None:
    assert cpu_list(text) == numbers
