"""The doors of the command line: help, unknown verbs, exit codes, pipes, Ctrl-C."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

import edgeproof
from cli.processes import start
from edgeproof.cli.main import VERBS, main
from imaging.picture_files import encode, scene

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(list(arguments))
        captured = capsys.readouterr()
        return int(caught.value.code or 0), captured.out, captured.err

    return call


@pytest.mark.parametrize("verb", ["", *VERBS])
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_under_every_verb(run: Run, verb: str, option: str) -> None:
    code, out, err = run(*verb.split(), option)
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: edgeproof {verb}".rstrip())
    assert "Examples:" in out or verb == "check"
    if not verb:
        words = " ".join(out.split())  # a narrow terminal breaks the lines
        assert all(f"{name} {line}" in words for name, (_, line) in VERBS.items())


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"edgeproof, version {edgeproof.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rotat", "x"], "Did you mean rotate?"),
        (["FITT"], "Did you mean fit?"),
        (["serve-tea"], "There is no command 'serve-tea'."),
        (["rotate"], "Missing argument"),
        (["rotate", "x", "--trns", "4"], "--turns"),
        (["rotate", "x", "--turns", "3"], "'3'"),
        (["rotate", "x", "--threshold", "high"], "'high'"),
        (["rotate", "x", "--workers", "0"], "0"),
        (["rotate", "evaluate"], "Missing argument"),
        (["--nonsense"], "--nonsense"),
    ],
    ids=" ".join,
)
def test_a_slip_of_the_keyboard_is_usage(run: Run, arguments: list[str], says: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert "Traceback" not in err


def test_no_verb_shows_the_help(run: Run) -> None:
    code, out, err = run()
    assert "rotate" in out + err
    assert code in (0, 2)


def test_a_shell_completes_the_verbs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"": "bash_complete", "COMP_WORDS": "edgeproof ro", "COMP_CWORD": "1"}.items():
        monkeypatch.setenv(name or "_EDGEPROOF_COMPLETE", value)
    code, out, _ = run()
    assert (code, out.split()) == (0, ["plain,rotate", "plain,rotate", "evaluate"])


@pytest.fixture
def many(tmp_path: Path) -> Path:
    for number in range(150):
        (tmp_path / f"a rather long name of a photo, so that the document is long {number}.png").write_bytes(
            encode(scene(16, 12), "PNG")
        )
    return tmp_path


@pytest.mark.parametrize("arguments", [["rotate", "{}", "--json", "-q"], ["--help"]])
def test_a_reader_that_has_gone_is_no_error(many: Path, arguments: list[str]) -> None:
    process = start(*[argument.format(many) for argument in arguments])
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 0
    assert err == ""


def test_ctrl_c_is_130_with_one_line_and_nothing_half_written(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    data = encode(scene(2000, 1500), "PNG", compress_level=1)
    for number in range(300):
        (photos / f"{number:03}.png").write_bytes(data)
    # Where the tests run in the background Ctrl-C is ignored, which a child would inherit.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = start("rotate", str(photos), "--out", str(tmp_path / "out"), "--json", "--threshold", "0.01")
    signal.signal(signal.SIGINT, before)
    while not list((tmp_path / "out").glob("*.png")):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert "Interrupted." in err
    assert "Traceback" not in err
    left = list((tmp_path / "out").rglob("*"))
    assert 0 < len(left) < 300
    assert not [path for path in left if path.name.startswith(".")]
    assert len({path.stat().st_size for path in left}) == 1


def test_a_real_process_prints_one_document(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(scene(), "PNG"))
    (tmp_path / "b.png").write_bytes(b"")
    process = start("rotate", str(tmp_path), "--json")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert [row["decision"] == "error" for row in json.loads(out)["photos"]] == [False, True]
    assert out.count("\n") == 1
    assert "b.png" in err


def test_too_little_memory_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def hungry(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("edgeproof.devices.host.describe_host", hungry)
    code, out, err = run("device", "--json")
    assert (code, out) == (1, "")
    assert "not enough memory" in err
    assert "Traceback" not in err
