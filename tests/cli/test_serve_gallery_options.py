"""The options of `edgeproof serve` that name galleries: what can't be meant is one line."""

from __future__ import annotations

from typing import Any

import click
import pytest

from edgeproof.cli.main import main
from edgeproof.cli.serve_options import collection_options

pytest.importorskip("cryptography", reason="needs the extra `gallery`")


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("", "_KEY", "_KEY_FILE", "_PASSPHRASE"):
        monkeypatch.delenv(f"EDGEPROOF_GALLERY{name}", raising=False)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--gallery", "a/b.db", "--gallery", "x=a/b.db"], "one gallery"),
        (["--gallery", "x=a.db", "--gallery", "x=b.db"], "each name once"),
        (["--gallery", "a name=a.db"], "can't be called"),
        (["--gallery", "=a.db"], "NAME=FILE"),
        (["--gallery", ""], "NAME=FILE"),
        (["--key-file", "k"], "no gallery"),
        (["--gallery", "door=a.db", "--key-file", "dor=k"], "Did you mean door"),
    ],
)
def test_what_can_not_be_meant_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--port", "0", *options])
    said = capsys.readouterr().err
    assert caught.value.code == 2
    assert words in said
    assert len(said.strip().splitlines()) == 1


def test_an_address_may_have_an_equals_sign() -> None:
    found: dict[str, Any] = {}

    @click.command()
    @collection_options
    def command(collections: dict[str, Any]) -> None:
        found.update(collections)

    address = "postgresql://door@server/faces?sslmode=require"
    command(["--gallery", address, "--gallery", f"staff={address}"], standalone_mode=False)
    assert found["galleries"] == {"default": address, "staff": address}
