"""What a network is shown, on disk: rows of any shape, so that memory doesn't grow with their number.

An archive of .npy files, "0.npy", "1.npy" and so on, without compression: each is read when it is asked for.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import overload

import numpy as np
from numpy.lib import format as npy

from edgeproof.core.tensor import Array

# Of a local file header up to the name and the extra field; its last two numbers are their lengths (APPNOTE.TXT 4.3.7).
_LOCAL_HEADER = 30


class RowWriter:
    """Writes rows to a new archive, one at a time; a context manager.

    Attributes:
        count: how many it holds.
        bytes: that they take.
    """

    def __init__(self, path: Path) -> None:
        self._archive = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)
        self.count = self.bytes = 0

    def add(self, row: Array) -> None:
        """Write one; whole numbers from 0 to 255 take a byte each, whatever their type."""
        narrow = _narrowed(row)
        with self._archive.open(f"{self.count}.npy", "w", force_zip64=True) as file:
            npy.write_array(file, narrow, allow_pickle=False)
        self.count += 1
        self.bytes += narrow.nbytes

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()


class Rows(Sequence[Array]):
    """The rows of an archive, read when they are asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with zipfile.ZipFile(path) as archive:
            self._places = [info.header_offset for info in archive.infolist()]
        self._count = len(self._places)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Array: ...

    @overload
    def __getitem__(self, place: slice) -> list[Array]: ...

    def __getitem__(self, place: int | slice) -> Array | list[Array]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(self._count))]
        if not 0 <= place < self._count:
            raise IndexError(place)
        # Not through `zipfile`, which takes a tenth of a small network's run to sum up every byte of our own file.
        with self._path.open("rb") as file:
            file.seek(self._places[place])
            header = file.read(_LOCAL_HEADER)
            file.seek(sum(int.from_bytes(header[at : at + 2], "little") for at in (26, 28)), 1)
            row: Array = npy.read_array(file, allow_pickle=False)
            return row


def _narrowed(row: Array) -> Array:
    if row.dtype == np.uint8 or row.min(initial=0) < 0 or not row.max(initial=0) <= 255:
        return row
    narrow = row.astype(np.uint8)
    return narrow if (narrow == row).all() else row
