"""Options that the verbs of a gallery share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from edgeproof.gallery.gallery import Gallery

F = Callable[..., Any]


def gallery_options(command: F) -> F:
    """Add --gallery, --key-file and --passphrase.

    The command gets `open_gallery`: the library's function with these given, which takes the rest.
    """

    @click.option(
        "--gallery",
        "where",
        metavar="FILE|URL",
        help="A file, or postgresql://user@host/database. Default: EDGEPROOF_GALLERY, or gallery.db in your data"
        " folder.",
    )
    @click.option(
        "--key-file",
        metavar="FILE",
        help="Where its key lies; made on the first enrolment. Default: EDGEPROOF_GALLERY_KEY_FILE, or gallery.key in"
        " your configuration folder.",
    )
    @click.option("--passphrase", is_flag=True, help="Ask for a passphrase in place of the key file.")
    @functools.wraps(command)
    def wrapped(
        *arguments: Any, where: str | None, key_file: str | None, passphrase: bool, **others: Any
    ) -> Any:
        def opened(**given: Any) -> Gallery:
            from edgeproof.gallery.master_key import KeySource
            from edgeproof.gallery.opening import open_gallery

            source = KeySource(Path(key_file) if key_file else None, ask_once() if passphrase else None)
            return open_gallery(where, source, **given)

        return command(*arguments, open_gallery=opened, **others)

    return wrapped


def ask_once(prompt: str = "Passphrase of the gallery") -> Callable[[], str]:
    """Asks for a passphrase on the terminal, the first time only."""

    @functools.cache
    def ask() -> str:
        return str(click.prompt(prompt, hide_input=True, err=True, default="", show_default=False))

    return ask
