"""The text form of protobuf, in which .prototxt files are written (protobuf.dev, Text Format Specification)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from edgeproof.core.errors import ModelError

# Real networks stay far below these; they bound what a hostile file can make us allocate.
_MAX_TEXT = 4 << 20
_MAX_FIELDS = 200_000
_MAX_DEPTH = 32
_MAX_TOKEN = 1024

_TOKEN = re.compile(
    r"""(?P<space>[\s]+|\#[^\n]*)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<word>[-+.\w]+)
    |(?P<mark>[{}<>\[\]:;,])""",
    re.VERBOSE,
)
_CLOSING = {"{": "}", "<": ">"}
_ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True)
class Field:
    """One `name: value`; the value is the text of a scalar, or a message."""

    name: str
    value: str | Message
    line: int


@dataclass(frozen=True)
class Message:
    """What stands between braces, in the order written."""

    line: int
    fields: list[Field] = field(default_factory=list)

    def all(self, name: str) -> list[Field]:
        """Every field of that name."""
        return [entry for entry in self.fields if entry.name == name]


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    line: int


class _Tokens:
    """One token of look-ahead, so that the list of all of them is never in memory."""

    def __init__(self, text: str, name: str) -> None:
        self._text, self._name = text, name
        self._at, self._line = 0, 1
        self.next = self._read()

    def _read(self) -> _Token:
        while self._at < len(self._text):
            found = _TOKEN.match(self._text, self._at)
            if found is None:
                raise self.error(f"can't read {self._text[self._at]!r} here", self._line)
            self._at = found.end()
            kind, text, line = found.lastgroup or "", found.group(), self._line
            self._line += text.count("\n")
            if kind == "space":
                continue
            if len(text) > _MAX_TOKEN:
                raise self.error(f"a word of {len(text)} characters", line)
            return _Token(kind, text, line)
        return _Token("end", "", self._line)

    def take(self) -> _Token:
        token, self.next = self.next, self._read()
        return token

    def error(self, what: str, line: int) -> ModelError:
        return ModelError(
            f"{self._name} line {line}: {what}.",
            hint="Correct the line, or copy the file again: it may be cut short or damaged.",
        )


def parse(text: str, name: str) -> Message:
    """Parse a text-format message; `name` is what errors call the file.

    Raises:
        ModelError: naming the line; also for files that are too large or nested too deeply.
    """
    if len(text) > _MAX_TEXT:
        raise ModelError(f"{name} has {len(text)} characters.", hint=f"At most {_MAX_TEXT} are read.")
    tokens = _Tokens(text, name)
    root = Message(1)
    stack: list[tuple[Message, str]] = [(root, "")]
    count = 0
    while True:
        message, closing = stack[-1]
        token = tokens.take()
        if token.kind == "end":
            if closing:
                raise tokens.error(f"the file ends inside what was opened on line {message.line}", token.line)
            return root
        if token.text == closing and token.kind == "mark":
            stack.pop()
            continue
        if token.kind == "mark" and token.text in ";,":
            continue
        if token.kind != "word":
            raise tokens.error(f"expected a field's name, found {token.text[:40]!r}", token.line)
        count += 1
        if count > _MAX_FIELDS:
            raise tokens.error(f"more than {_MAX_FIELDS} fields", token.line)
        if tokens.next.text == ":":
            tokens.take()
        if tokens.next.kind == "mark" and tokens.next.text in _CLOSING:
            opened = tokens.take()
            if len(stack) > _MAX_DEPTH:
                raise tokens.error(f"nested more than {_MAX_DEPTH} deep", opened.line)
            inner = Message(token.line)
            message.fields.append(Field(token.text, inner, token.line))
            stack.append((inner, _CLOSING[opened.text]))
            continue
        values = _values(tokens, token)
        count += len(values)
        message.fields.extend(Field(token.text, value, token.line) for value in values)


def _values(tokens: _Tokens, name: _Token) -> list[str]:
    if tokens.next.text != "[":
        return [_scalar(tokens, name)]
    tokens.take()
    values: list[str] = []
    while tokens.next.text != "]":
        values.append(_scalar(tokens, name))
        if len(values) > _MAX_FIELDS:
            raise tokens.error(f"more than {_MAX_FIELDS} values", name.line)
        if tokens.next.text == ",":
            tokens.take()
    tokens.take()
    return values


def _scalar(tokens: _Tokens, name: _Token) -> str:
    token = tokens.take()
    if token.kind == "word":
        return token.text
    if token.kind != "string":
        raise tokens.error(f"{name.text[:40]!r} has no value", name.line)
    parts = [_ESCAPE.sub(r"\1", token.text[1:-1])]
    while tokens.next.kind == "string":  # neighbours are one string, as in C
        parts.append(_ESCAPE.sub(r"\1", tokens.take().text[1:-1]))
        if len(parts) > _MAX_DEPTH:
            raise tokens.error(f"{name.text[:40]!r} is one string of too many pieces", name.line)
    return "".join(parts)
