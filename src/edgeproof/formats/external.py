"""Weights that an ONNX file keeps in other files of its folder (onnx/docs/ExternalData.md)."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeproof.core.errors import ModelError
from edgeproof.core.files import storage_error
from edgeproof.formats.graph import all_tensors

if TYPE_CHECKING:
    import onnx

_EXTERNAL = 1  # TensorProto.EXTERNAL in onnx.proto
_AGAIN = "Get the network again with its data files, and keep them in one folder."
# Tied weights may share bytes; more than this is a small file that asks for much memory.
_MOST_SHARING = 2


def stored_outside(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """The tensors whose values lie in another file."""
    return [tensor for tensor in all_tensors(model.graph) if tensor.data_location == _EXTERNAL]


def load_external(
    tensors: Sequence[onnx.TensorProto], folder: Path, *, name: str, most_bytes: int
) -> list[str]:
    """Read the values of `tensors` into the network itself; gives the names of the files that were read.

    Only regular files inside `folder` are opened. A link anywhere on the way is refused: through one, a network
    that somebody else made could read any file of yours.

    Arguments:
        tensors: of one network, see `stored_outside`.
        folder: where the network's file lies.
        name: what errors call the network.
        most_bytes: the most that all values together may have.

    Raises:
        ModelError: a place outside the folder, a link, no such file, a range beyond its end, or over `most_bytes`.
        StorageError: a data file can't be read.
    """
    files: dict[str, int] = {}
    try:
        places = [_place(tensor, name) for tensor in tensors]
        for location, _, _ in places:
            if location not in files:
                files[location] = _open_inside(folder, location, name)
        sizes = {location: os.fstat(handle).st_size for location, handle in files.items()}
        ranges = []
        for tensor, (location, offset, length) in zip(tensors, places, strict=True):
            end = sizes[location] if length is None else offset + length
            if not offset <= end <= sizes[location]:
                raise ModelError(
                    f"{name}: the weight {tensor.name!r} lies at bytes {offset} to {end} of {location}, "
                    f"which has {sizes[location]}.",
                    hint="The data file is cut short or of another network. " + _AGAIN,
                )
            ranges.append((location, offset, end - offset))
        _check_total(sum(count for _, _, count in ranges), sum(sizes.values()), name, most_bytes)
        for tensor, (location, offset, count) in zip(tensors, ranges, strict=True):
            tensor.raw_data = _read(files[location], offset, count, folder / location)
            del tensor.external_data[:]
            tensor.ClearField("data_location")
    finally:
        for handle in files.values():
            os.close(handle)
    return sorted(files)


def _check_total(total: int, on_disk: int, name: str, most_bytes: int) -> None:
    if total > most_bytes:
        raise ModelError(
            f"{name}: its weights have {total / 2**30:.1f} GB; the limit is {most_bytes / 2**30:.1f} GB.",
            hint="Use a smaller network, or one whose weights are stored as float16.",
        )
    if total > _MOST_SHARING * on_disk:
        raise ModelError(
            f"{name}: its weights ask for {total} bytes of data files that have {on_disk}.",
            hint="Weights overlap in the data file, which no exporter does: get the network elsewhere.",
        )


def _place(tensor: onnx.TensorProto, name: str) -> tuple[str, int, int | None]:
    """Location, offset and length (None: to the end of the file) of a tensor's values."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    parts = location.split("/")
    if (
        any(part in ("", ".", "..") for part in (parts[1:] if parts[0] == "." else parts))
        or "\\" in location
        or ":" in location
        or "\0" in location
    ):
        raise ModelError(
            f"{name}: the weight {tensor.name!r} is said to lie in {location!r}, which is no file inside the "
            "network's own folder.",
            hint="A network may only read beside itself: don't use it unless you know who made it.",
        )
    numbers: list[int | None] = []
    for key, default in (("offset", "0"), ("length", None)):
        text = entries.get(key, default)
        # isdecimal alone lets other alphabets' digits through, and int() takes any number of them.
        if text is not None and not (text.isascii() and text.isdecimal() and len(text) < 20):
            raise ModelError(f"{name}: the {key} of the weight {tensor.name!r} is {text!r}.", hint=_AGAIN)
        numbers.append(None if text is None else int(text))
    return "/".join(part for part in parts if part != "."), numbers[0] or 0, numbers[1]


def _open_inside(folder: Path, location: str, name: str) -> int:
    # Step by step, each relative to the open folder before it: nobody can put a link in between meanwhile.
    *above, last = location.split("/")
    here = -1
    try:
        here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        for part in above:
            deeper = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = deeper
        status = os.stat(last, dir_fd=here, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            linked = stat.S_ISLNK(status.st_mode) or stat.S_ISREG(status.st_mode)
            kind = "is a link" if linked else "is no regular file"
            raise ModelError(
                f"{name}: its data file {location} {kind}, and only real files are read.",
                hint="Put a copy of it in the network's folder: cp -L --remove-destination FILE COPY.",
            )
        # Not blocking: between the look and the opening it could have become a pipe.
        return os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
    except FileNotFoundError as error:
        raise ModelError(f"{name}: its data file {location} isn't there.", hint=_AGAIN) from error
    except NotADirectoryError as error:
        raise ModelError(
            f"{name}: its data file {location} lies behind a link, or behind what is no folder.",
            hint="Put a copy of the data file in the network's folder.",
        ) from error
    except OSError as error:
        raise storage_error(folder / location, error) from error
    finally:
        if here >= 0:
            os.close(here)


def _read(handle: int, offset: int, count: int, path: Path) -> bytes:
    try:
        data = b""
        while len(data) < count:  # one call gives 2 GB at the most, and may give less
            piece = os.pread(handle, count - len(data), offset + len(data))
            if not piece:
                raise ModelError(f"{path} became shorter while it was read.", hint="Try again.")
            data = data + piece if data else piece
    except OSError as error:
        raise storage_error(path, error) from error
    return data
