"""`edgeproof device`: CONTRACT's document, and a page for people."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from boards import BOARDS, Board, bare, jetson_orin, raspberry_pi_5, x86_laptop
from edgeproof.cli import device
from edgeproof.cli.main import main

_KEYS = {
    "board", "processor", "isa", "cores", "memory_mb", "memory_limit_mb", "meters", "thermal", "engines", "checks",
}  # fmt: skip


def _run(board: Board, monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    """The command on a made-up machine, whose programs stand first on PATH."""
    programs = board.root.with_name(f"{board.root.name}-programs")
    programs.mkdir(exist_ok=True)
    cases = "".join(
        f"{words.split()[1]}) cat <<'END'\n{text}\nEND\n;;\n" for words, text in board.answers.items()
    )
    (programs / "vcgencmd").write_text(f"#!/bin/sh\ncase $1 in\n{cases}*) exit 1;;\nesac\n")
    (programs / "vcgencmd").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setattr(device, "_ROOT", board.root)
    with pytest.raises(SystemExit) as done:
        main(["device", *options])
    assert not done.value.code


def _document(board: Board, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    _run(board, monkeypatch, "--json")
    return json.loads(capsys.readouterr().out)


def _page(
    board: Board, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int = 80
) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    _run(board, monkeypatch)
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


@pytest.mark.parametrize("options", [[], ["--start-engines"]], ids=["files", "started"])
def test_the_document(capsys: pytest.CaptureFixture[str], options: list[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["device", "--json", *options])
    document = json.loads(capsys.readouterr().out)
    assert not done.value.code
    assert set(document) >= _KEYS
    assert document["cores"] >= 1
    engines = {engine["name"]: engine for engine in document["engines"]}
    assert "cpu" in engines["onnxruntime"]["devices"]
    assert "CPUExecutionProvider" in engines["onnxruntime"]["providers"]
    assert engines["onnxruntime"]["install"] is None
    for check in document["checks"]:
        assert check["state"] in ("ok", "warn")
        assert (check["fix"] is None) == (check["state"] == "ok")


@pytest.mark.parametrize(
    ("build", "board", "kinds", "meters", "zones"),
    [
        (jetson_orin, "NVIDIA Jetson Orin Nano Developer Kit", ["Cortex-A78AE"], {"ina3221": True}, 3),
        (raspberry_pi_5, "Raspberry Pi 5 Model B Rev 1.0", ["Cortex-A76"], {"pmic": True}, 1),
        (x86_laptop, "21C5000TGE", [None, None], {"rapl": True, "battery": True}, 2),
        (bare, None, [], {}, 0),
    ],
)
def test_every_board_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    build: Any,
    board: str | None,
    kinds: list[str | None],
    meters: dict[str, bool],
    zones: int,
) -> None:
    document = _document(build(tmp_path / "root"), monkeypatch, capsys)
    assert (document["board"] or "").endswith(board or "")
    assert [kind["core"] for kind in document["core_kinds"]] == kinds
    assert {meter["name"]: meter["readable"] for meter in document["meters"]} == meters
    assert all(meter["verified_on_hardware"] is False for meter in document["meters"])
    assert len(document["thermal"]) == zones


def test_what_a_machine_doesnt_show_is_null_and_never_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = _document(bare(tmp_path / "root"), monkeypatch, capsys)
    unknown = [
        "board", "memory_mb", "memory_available_mb", "memory_limit_mb", "swap_mb", "swap_used_mb",
        "cpu_quota", "governor",
    ]  # fmt: skip
    assert [document[name] for name in unknown] == [None] * len(unknown)
    assert (document["meters"], document["thermal"], document["isa"]) == ([], [], [])


@pytest.mark.parametrize("build", BOARDS)
@pytest.mark.parametrize("columns", [80, 120])
def test_the_tables_fit_the_screen(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    build: Any,
    columns: int,
) -> None:
    page = _page(build(tmp_path / "root"), monkeypatch, capsys, columns)
    tables = page[: page.index("Is it fit to measure on?")]
    assert max(map(len, tables.splitlines())) <= columns


def test_a_meter_for_root_only_says_how_to_open_it_in_one_line_to_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    board = x86_laptop(tmp_path / "root").write({"sys/class/powercap/intel-rapl:0/energy_uj": ""})
    page = _page(board, monkeypatch, capsys)
    assert "Energy meters (not verified on hardware)" in page
    assert "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj\n" in page
    meters = {meter["name"]: meter for meter in _document(board, monkeypatch, capsys)["meters"]}
    assert not meters["rapl"]["readable"]
    assert "root" in meters["rapl"]["missing"]
    assert meters["battery"] == {
        "name": "battery",
        "scope": "whole machine, with its screen",
        "interval_s": 1.0,
        "readable": True,
        "missing": None,
        "verified_on_hardware": False,
    }


def test_a_hot_board_is_warned_of_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    board = raspberry_pi_5(tmp_path / "root")
    board.answers["vcgencmd get_throttled"] = "throttled=0x50005"
    page = _page(board, monkeypatch, capsys)
    assert "under-voltage now" in page
    assert "throttled now: Use the board's own power supply and a short, thick cable." in page


def test_people_read_what_is_not_verified(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(
        "onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    with pytest.raises(SystemExit):
        main(["device", "--start-engines"])
    assert "cuda (not verified on hardware)" in capsys.readouterr().err


def test_no_engine_and_no_numpy_is_loaded_for_it() -> None:
    """What makes it quick: half a second is all it may take."""
    code = (
        "import sys\nfrom edgeproof.cli.main import main\ntry: main(['device', '--json'])\nexcept SystemExit: pass\n"
        "print([name for name in ('numpy', 'onnxruntime', 'openvino', 'torch', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
