"""The networks that edgeproof knows by name: where each is published, its digest, licence and preprocessing."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from edgeproof.core.errors import UnknownNameError, did_you_mean

_DATA = Path(__file__).parents[1] / "data" / "models.toml"
_DEFAULTS = {"face-detection": "yunet", "face-recognition": "mobilefacenet"}


@dataclass(frozen=True)
class ModelFile:
    """One file of a model.

    Attributes:
        name: its plain name, in the store and in a mirror.
        bytes, sha256: of the published file; None where they are not known.
        url: where it is published.
    """

    name: str
    bytes: int | None
    sha256: str | None
    url: str


@dataclass(frozen=True)
class CatalogueModel:
    """One network of the catalogue.

    Attributes:
        name: what commands and functions call it.
        task: face-detection, face-recognition, attributes, detect or classify.
        title: what it is, in one line.
        files: the first is the one that is opened; the others stand beside it.
        licence: as its publisher states it.
        commercial: whether that allows commercial use, as far as we can see.
        source: the page of its publisher.
        note: what else to know about its licence or its weights; may be empty.
        settings: how it sees a picture. `mean` and `std` are per channel on the scale 0 to 255, in the order of
            `colour` ("RGB" or "BGR"); `side` is the edge of a square input in pixels, `dimensions` the length of an
            embedding, `threshold` the cosine from which two embeddings are of one person, `family` the form of the
            outputs. Only those that matter to the network are there.
    """

    name: str
    task: str
    title: str
    files: tuple[ModelFile, ...]
    licence: str
    commercial: bool
    source: str
    note: str
    settings: Mapping[str, Any]

    @property
    def bytes(self) -> int | None:
        """The size of all its files; None where one is not known."""
        sizes = [file.bytes for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)


class _FileRow(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    url: str
    bytes: int | None = None
    sha256: str | None = None


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    task: str
    title: str
    licence: str
    commercial: bool
    source: str
    files: list[_FileRow]
    note: str = ""
    settings: dict[str, str | int | float | tuple[float, float, float]] = {}


@functools.cache
def catalogue() -> Mapping[str, CatalogueModel]:
    """Every network that edgeproof knows, by name."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    rows = msgspec.convert(tomllib.loads(_DATA.read_text(encoding="utf-8")), dict[str, _Row])
    return MappingProxyType({name: _model(name, row) for name, row in rows.items()})


def _model(name: str, row: _Row) -> CatalogueModel:
    return CatalogueModel(
        name,
        row.task,
        row.title,
        tuple(ModelFile(file.name, file.bytes, file.sha256, file.url) for file in row.files),
        row.licence,
        row.commercial,
        row.source,
        row.note,
        row.settings,
    )


def model_named(name: str) -> CatalogueModel:
    """The network of that name.

    Raises:
        UnknownNameError: the catalogue has none.
    """
    known = catalogue()
    if name not in known:
        raise UnknownNameError(
            f"The catalogue has no model {name!r}.",
            hint=f"{did_you_mean(name, known)} All of them: edgeproof models list",
        )
    return known[name]


def default_model(task: str) -> str:
    """The name of the network that a task uses where none was chosen.

    Raises:
        UnknownNameError: the task has none.
    """
    if task not in _DEFAULTS:
        raise UnknownNameError(
            f"There is no default model for {task!r}.",
            hint=f"{did_you_mean(task, _DEFAULTS)} Or name a model.",
        )
    return _DEFAULTS[task]


def tasks() -> tuple[str, ...]:
    """The tasks that the catalogue has networks for, in its order."""
    return tuple(dict.fromkeys(model.task for model in catalogue().values()))
