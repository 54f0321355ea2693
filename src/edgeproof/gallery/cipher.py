"""Keys and sealing: the master key wraps a key per person, which seals all that is known of that person."""

from __future__ import annotations

import hmac
import secrets
import struct
import unicodedata
from functools import cache, cached_property
from typing import TYPE_CHECKING

from edgeproof.core.errors import TamperedTemplateError, UsageError
from edgeproof.core.extras import require
from edgeproof.gallery.schema import SCHEMA

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
IDENTITY_BYTES = 16
# AES-GCM's own nonce and tag (NIST SP 800-38D): a wrapped key has 12 + 32 + 16 bytes.
_NONCE = 12
WRAPPED_BYTES = _NONCE + KEY_BYTES + 16
DESTROYED = bytes(WRAPPED_BYTES)
_LONGEST_NAME = 200
UNKNOWN = "unknown"


@cache
def _library() -> tuple[type[AESGCM], type[Exception]]:
    """AES-GCM, and what it raises where a seal is broken. Looked up once: opening a gallery makes 100,000 of them."""
    ciphers = require(
        "cryptography.hazmat.primitives.ciphers.aead", extra="gallery", purpose="A face gallery"
    )
    exceptions = require("cryptography.exceptions", extra="gallery", purpose="A face gallery")
    return ciphers.AESGCM, exceptions.InvalidTag


def clean_name(name: str) -> str:
    """A name as it is kept: one normal form, single spaces.

    Raises:
        UsageError: empty, longer than 200 characters, with control characters, or "unknown".
    """
    clean = " ".join(unicodedata.normalize("NFC", name).split())
    if not clean or len(clean) > _LONGEST_NAME or not clean.isprintable():
        raise UsageError(
            f"{name[:_LONGEST_NAME]!r} can't be a person's name.",
            hint=f"Give 1 to {_LONGEST_NAME} characters that can be printed.",
        )
    if clean.casefold() == UNKNOWN:
        raise UsageError(
            f"{name!r} can't be a person's name: it is the answer for faces that nobody here has.",
            hint="Choose another name.",
        )
    return clean


class Cipher:
    """All that needs the master key.

    Arguments:
        master: 32 secret bytes.
        identity: 16 random bytes that make this gallery different from all others.

    Attributes:
        aead: AES-256-GCM under a key.
        refused: what that raises where a seal is broken.
    """

    def __init__(self, master: bytes, identity: bytes) -> None:
        self._master, self._identity = master, identity
        self.aead, self.refused = _library()
        self._wrapping = self.aead(self._derive(b"wrap"))

    def __repr__(self) -> str:
        return "Cipher()"

    def _derive(self, purpose: bytes) -> bytes:
        # One step of a key derivation in counter form (NIST SP 800-108) with HMAC: one block is all we need.
        return hmac.digest(
            self._master, b"\x01edgeproof gallery " + purpose + b"\x00" + self._identity, "sha256"
        )

    @cached_property
    def check(self) -> bytes:
        """What the store keeps to know this master key again; says nothing about it."""
        return self._derive(b"check")

    @cached_property
    def _finding(self) -> bytes:
        return self._derive(b"lookup")

    def lookup(self, name: str) -> bytes:
        """The keyed hash that a name is found by; capitals don't count."""
        return hmac.digest(self._finding, clean_name(name).casefold().encode(), "sha256")

    def bound(self, purpose: str, person: int, template: int = 0, model: str = "") -> bytes:
        """The associated data of what is sealed for `purpose`."""
        head = struct.pack(">16sI16sqq", purpose.encode(), SCHEMA, self._identity, person, template)
        return head + model.encode()

    def new_key(self, person: int) -> tuple[PersonKey, bytes]:
        """A fresh key for a person, and the same wrapped."""
        key, nonce = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(_NONCE)
        return PersonKey(self, key, person), nonce + self._wrapping.encrypt(
            nonce, key, self.bound("key", person)
        )

    def unwrap(self, person: int, wrapped: bytes) -> PersonKey:
        """A person's key.

        Raises:
            TamperedTemplateError: it was changed, moved, or destroyed.
        """
        return PersonKey(self, self._unwrapped(person, wrapped), person)

    def rewrap(self, person: int, wrapped: bytes, new: Cipher) -> bytes:
        """The same person's key under another master key."""
        nonce = secrets.token_bytes(_NONCE)
        key = self._unwrapped(person, wrapped)
        return nonce + new._wrapping.encrypt(nonce, key, new.bound("key", person))

    def _unwrapped(self, person: int, wrapped: bytes) -> bytes:
        try:
            return self._wrapping.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], self.bound("key", person))
        except (self.refused, ValueError) as error:
            raise tampered(f"The key of person {person}", f"--person {person}") from error


class PersonKey:
    """Seals and opens what belongs to one person."""

    def __init__(self, cipher: Cipher, key: bytes, person: int) -> None:
        self._cipher, self._aead, self._person = cipher, cipher.aead(key), person

    def __repr__(self) -> str:
        return f"PersonKey(person={self._person})"

    def seal(self, data: bytes, purpose: str, template: int = 0, model: str = "") -> bytes:
        """Encrypt `data`, bound to its purpose, this person, the template and the model."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._aead.encrypt(
            nonce, data, self._cipher.bound(purpose, self._person, template, model)
        )

    def open(self, sealed: bytes, purpose: str, template: int = 0, model: str = "") -> bytes:
        """The data of `seal`.

        Raises:
            TamperedTemplateError: naming the row.
        """
        try:
            bound = self._cipher.bound(purpose, self._person, template, model)
            return self._aead.decrypt(sealed[:_NONCE], sealed[_NONCE:], bound)
        except (self._cipher.refused, ValueError) as error:
            row = f"template {template}" if template else "row"
            out = f"--template {template}" if template else f"--person {self._person}"
            raise tampered(f"The {purpose} in {row} of person {self._person}", out) from error


def tampered(what: str, option: str) -> TamperedTemplateError:
    """The error for a broken seal."""
    return TamperedTemplateError(
        f"{what} is not what was sealed: it was changed, moved or damaged.",
        hint=f"Restore a backup, or take it out with `edgeproof faces forget {option}`.",
    )
