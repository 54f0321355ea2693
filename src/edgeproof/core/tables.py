"""Tables with known answers, as CSV files that people write."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from edgeproof.core.errors import DataError
from edgeproof.core.files import storage_error


def read_table(path: str | Path, columns: Sequence[str]) -> list[tuple[int, list[str]]]:
    """The lines of a CSV file with these columns: each line's number, and its cells in the order of the columns.

    Raises:
        DataError: it is no CSV file in UTF-8, or lacks a column.
        NotFoundError, StorageError: it can't be read.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(
                    f"{path} has no column {', '.join(missing)}.",
                    hint=f"Its first line has to be: {','.join(columns)}",
                )
            return [(reader.line_num, [(row[name] or "").strip() for name in columns]) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} is no CSV file in UTF-8: {error}.", hint="Save it as CSV in UTF-8."
        ) from error
    except ValueError as error:  # a path with a NUL in it
        raise DataError(f"{str(path)!r} isn't a path.", hint="Check the spelling of the path.") from error
    except OSError as error:
        raise storage_error(path, error) from error
