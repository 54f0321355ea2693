"""The power over time that an external meter wrote as CSV."""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from edgeproof.core.errors import DataError, NotFoundError, StorageError

# Ten hours at 250 readings a second; each takes 16 bytes.
_MOST_ROWS = 10_000_000
# Some meters write lines about themselves before the header.
_HEADER_WITHIN = 20
# Beyond nanoseconds since 1970, and so small that no product or sum of it overflows.
_LARGEST = 1e20
_WORDS = {
    "time": {"time", "timestamp", "elapsed", "seconds", "t"},
    "power": {"power", "watt", "watts", "p"},
    "voltage": {"voltage", "volt", "volts", "u"},
    "current": {"current", "ampere", "amperes", "amps", "i"},
}
_UNITS = {"time": "s", "power": "w", "voltage": "v", "current": "a"}
_SCALES = {"n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3}
_Columns = dict[str, tuple[int, float]]  # what -> which column, and what its unit is worth


class Trace(NamedTuple):
    """Readings of power, oldest first.

    Attributes:
        seconds: by the meter's own clock.
        watts: the power at those times.
    """

    seconds: array[float]
    watts: array[float]


def read_trace(path: Path) -> Trace:
    """Read a CSV file that has a column of time and one of power, or of voltage and current.

    Its header names them, and their unit in brackets or after an underscore: `time (ms),power_mW`. Without a unit they
    are seconds, watts, volts, amperes; a time may be a date and time as ISO 8601 has it. With `;` between the columns,
    numbers may have a decimal comma. A last line that is cut short is left out.

    Raises:
        NotFoundError: there is no such file.
        StorageError: it can't be read.
        DataError: it has no such columns, holds what is no number, or its time goes backwards.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            delimiter = ";" if ";" in file.read(4096) else ","
            file.seek(0)
            return _read(path, csv.reader(file, delimiter=delimiter), "," if delimiter == ";" else ".")
    except (FileNotFoundError, IsADirectoryError, ValueError) as error:
        raise NotFoundError(f"There is no file {path}.", hint="Check the spelling of the path.") from error
    except OSError as error:
        raise StorageError(
            f"{path} can't be read: {error.strerror}.", hint="Check its permissions."
        ) from error
    except csv.Error as error:
        raise DataError(f"{path} is no CSV file: {error}.", hint="Export the trace as CSV again.") from error


def _read(path: Path, rows: Iterator[list[str]], comma: str) -> Trace:
    columns = next(
        (found for _, row in zip(range(_HEADER_WITHIN), rows, strict=False) if (found := _columns(row))), {}
    )
    if not columns:
        raise DataError(
            f"{path} has no column of time and power (or voltage and current).",
            hint="Name them in a first line, such as: time_s,power_w",
        )
    trace, cut = Trace(array("d"), array("d")), ""
    for number, row in enumerate(rows):
        if cut:
            raise DataError(f"{path} holds {cut!r} where a number should be.", hint="Export the trace again.")
        if number >= _MOST_ROWS:
            raise DataError(
                f"{path} has over {_MOST_ROWS:,} lines.", hint="Cut out the time of the measurement."
            )
        if not any(cell.strip() for cell in row):
            continue
        values = {what: _number(row, index, comma) for what, (index, _) in columns.items()}
        if None in values.values():
            cut = ",".join(row)[:60]  # an error unless it is the last line
            continue
        scaled = {what: value * columns[what][1] for what, value in values.items() if value is not None}
        if trace.seconds and scaled["time"] < trace.seconds[-1]:
            raise DataError(
                f"In {path} the time goes backwards at {scaled['time']:g} s.", hint="Sort its lines by time."
            )
        trace.seconds.append(scaled["time"])
        trace.watts.append(scaled["power"] if "power" in scaled else scaled["voltage"] * scaled["current"])
    return trace


def _columns(header: list[str]) -> _Columns:
    found: _Columns = {}
    for index, cell in enumerate(header):
        words = re.split(r"[\W\d_]+", cell.lower())
        for what, names in _WORDS.items():
            units = {prefix + _UNITS[what]: scale for prefix, scale in _SCALES.items()}
            if what not in found and names & set(words):
                found[what] = index, next((units[word] for word in words if word in units), 1.0)
    complete = "time" in found and ("power" in found or {"voltage", "current"} <= set(found))
    if "power" in found:
        found = {what: found[what] for what in ("time", "power") if what in found}
    return found if complete else {}


def _number(row: list[str], index: int, comma: str) -> float | None:
    text = row[index].strip() if index < len(row) else ""
    try:
        value = float(text.replace(comma, ".") if comma != "." else text)
    except ValueError:
        try:
            value = datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
        except (ValueError, OverflowError, OSError):
            return None
    return value if abs(value) < _LARGEST else None  # NaN is not below it either
