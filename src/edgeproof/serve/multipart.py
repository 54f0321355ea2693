"""A multipart form as it comes: the files of the wanted fields in memory, never on a disk, all bounded."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterable, Collection
from typing import TYPE_CHECKING, Any

from edgeproof.serve.http_errors import HttpError, too_large

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartParser

# RFC 2046, 5.1.1.
_MAX_BOUNDARY = 70
_MAX_NAME = 100
# The library warns of what it was sent, and what was sent is in no log of ours.
logging.getLogger("python_multipart").addHandler(logging.NullHandler())


def boundary_of(content_type: str) -> bytes:
    """The boundary in a Content-Type header.

    Raises:
        HttpError: there is none, or no usable one.
    """
    from python_multipart.multipart import parse_options_header

    try:
        _, options = parse_options_header(content_type)
    except Exception as error:  # the library is given what anybody wrote
        raise HttpError(400, "bad_form", "The Content-Type header can't be read.") from error
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= _MAX_BOUNDARY:
        raise HttpError(
            400, "bad_form", f"The form's boundary must have 1 to {_MAX_BOUNDARY} characters (RFC 2046)."
        )
    return boundary


async def read_files(
    pieces: AsyncIterable[bytes], boundary: bytes, fields: Collection[str], most: int
) -> list[bytes]:
    """The contents of the parts whose field is one of `fields`, in order.

    Arguments:
        most: parts that the form may have.

    Raises:
        HttpError: it is no form, has too many parts, or ends in the middle.
    """
    from python_multipart.exceptions import FormParserError

    form = _Form(boundary, {name.encode() for name in fields}, most)
    try:
        async for piece in pieces:
            form.parser.write(piece)
        form.parser.finalize()
    except FormParserError as error:
        raise HttpError(400, "bad_form", f"The form can't be read: {str(error)[:200]}") from error
    finally:
        # Parser and form know each other: without this the pictures would stay until the next collection.
        form.parser.callbacks = {}
    if not form.ended:
        raise HttpError(400, "bad_form", "The form ends before its last boundary.")
    return form.files


class _Form:
    def __init__(self, boundary: bytes, fields: Collection[bytes], most: int) -> None:
        from python_multipart.multipart import MultipartParser

        self._fields, self._most = fields, most
        self._parts, self._wanted = 0, False
        self._field, self._value = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._part = bytearray()
        self.files: list[bytes] = []
        self.ended = False
        self.parser: MultipartParser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begins,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._part_data,
                "on_part_end": self._part_ends,
                "on_end": self._all_ends,
            },
        )

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > self._most:
            raise too_large(f"A form may have {self._most} parts.", limit=self._most)
        self._headers, self._wanted, self._part = {}, False, bytearray()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ends(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _headers_end(self) -> None:
        from python_multipart.multipart import parse_options_header

        disposition = self._headers.get(b"content-disposition", b"")
        try:
            options: dict[bytes, Any] = parse_options_header(disposition)[1]
        except Exception:  # as above; a part that can't say what it is, is none that is wanted
            options = {}
        self._wanted = options.get(b"name", b"")[:_MAX_NAME] in self._fields

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._wanted:
            self._part += memoryview(data)[start:end]

    def _part_ends(self) -> None:
        if self._wanted:
            self.files.append(bytes(self._part))
            self._part = bytearray()

    def _all_ends(self) -> None:
        self.ended = True
