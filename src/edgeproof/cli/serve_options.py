"""Options of `edgeproof serve` that belong together."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from edgeproof.cli.faces.gallery_options import ask_once
from edgeproof.core.errors import UsageError

F = Callable[..., Any]


def listen_options(command: F) -> F:
    """Add --host, --port and --api-key-file; the command gets `listen`, fields of the service's settings."""

    @click.option(
        "--host", default="127.0.0.1", show_default=True, help="Where to listen. Others need --api-key-file."
    )
    @click.option(
        "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 for any free one."
    )
    @click.option(
        "--api-key-file",
        type=click.Path(),
        metavar="FILE",
        help="Who may use it: a line for each key, `KEY SCOPE[,SCOPE] [max=N]`, with the scopes infer, enrol and admin"
        " and the most requests at once. Without it everybody on this machine may do everything.",
    )
    @functools.wraps(command)
    def wrapped(*arguments: Any, host: str, port: int, api_key_file: str | None, **others: Any) -> Any:
        key_file = Path(api_key_file) if api_key_file else None
        return command(*arguments, listen={"host": host, "port": port, "key_file": key_file}, **others)

    return wrapped


def collection_options(command: F) -> F:
    """Add --gallery, --key-file and --passphrase; the command gets `collections`, fields of the service's settings."""

    @click.option(
        "--gallery",
        "where",
        multiple=True,
        metavar="[NAME=]FILE|URL",
        help="A gallery to serve as the collection NAME, `default` where there is none: a file, which is made where"
        " it is absent, or postgresql://user@host/database; may be given several times. It brings the task embeddings.",
    )
    @click.option(
        "--key-file",
        "key_files",
        multiple=True,
        metavar="[NAME=]FILE",
        help="Where the key of the galleries lies, or that of one; made with a new gallery. Default:"
        " EDGEPROOF_GALLERY_KEY_FILE, or gallery.key in your configuration folder.",
    )
    @click.option(
        "--passphrase", is_flag=True, help="Ask for a passphrase of the galleries in place of the key file."
    )
    @functools.wraps(command)
    def wrapped(
        *arguments: Any, where: Sequence[str], key_files: Sequence[str], passphrase: bool, **others: Any
    ) -> Any:
        collections = {
            "galleries": _by_name("--gallery", where, unnamed="default"),
            "gallery_keys": _by_name("--key-file", key_files, unnamed=""),
            "passphrase": ask_once("Passphrase of the galleries")() if passphrase else None,
        }
        return command(*arguments, collections=collections, **others)

    return wrapped


def _by_name(option: str, texts: Sequence[str], *, unnamed: str) -> dict[str, str]:
    """Places by collection; what stands before the first "=" is no name where a path or an address goes on there."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, place = text.partition("=")
        if not equals or "/" in name:
            name, place = unnamed, text
        if not place or name in found or (equals and not name and place != text):
            raise UsageError(f"{option} is {text!r}.", hint="Write NAME=FILE, each name once.")
        found[name] = place
    return found
