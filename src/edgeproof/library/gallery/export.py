"""Everything that a gallery holds about one person, in clear, for that person."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from edgeproof.core.errors import StorageError
from edgeproof.core.files import directory_atomically, storage_error, write_atomically
from edgeproof.gallery.gallery import Gallery, Person, Template
from edgeproof.gallery.retention import when


def export_person(gallery: Gallery, name: str, out: Path) -> Person:
    """Write a person's data to a folder, or a .zip file, that wasn't there: person.json and the kept crops.

    Only the owner may read what is written.

    Raises:
        UnknownNameError: nobody of that name is here.
        StorageError: `out` is there already, or can't be written.
    """
    person = gallery.find(name)
    if out.exists():
        raise StorageError(f"{out} is there already.", hint="Choose another place, or move it away first.")
    contents = _contents(gallery, person)
    if out.suffix.lower() == ".zip":
        write_atomically(out, _zipped(contents), overwrite=False)
        _private(out, 0o600)
    else:
        _write_folder(out, contents)
    _record(gallery, person)
    return person


def person_as_zip(gallery: Gallery, name: str) -> tuple[Person, bytes]:
    """The same as a zip file's bytes, which are written nowhere.

    Raises:
        UnknownNameError: nobody of that name is here.
    """
    person = gallery.find(name)
    data = _zipped(_contents(gallery, person))
    _record(gallery, person)
    return person, data


def _contents(gallery: Gallery, person: Person) -> dict[str, bytes]:
    templates = list(gallery.templates(person.person))
    files = {_crop_name(one): one.crop for one in templates if one.crop is not None}
    text = json.dumps(_document(gallery, person, templates), ensure_ascii=False, indent=2)
    return {"person.json": text.encode() + b"\n", **files}


def _record(gallery: Gallery, person: Person) -> None:
    with gallery.store.changing("export", person.person) as change:
        change.count = person.templates


def _document(gallery: Gallery, person: Person, templates: list[Template]) -> dict[str, Any]:
    return {
        "name": person.name,
        "number": person.person,
        "enrolled": when(person.created),
        "expires": when(person.expires),
        "model_sha256": gallery.head.model,
        "templates": [
            {
                "number": one.template,
                "created": when(one.created),
                "crop": _crop_name(one) if one.crop is not None else None,
                "embedding": [float(value) for value in one.embedding],
            }
            for one in templates
        ],
        "log": [
            {"at": when(row.at), "action": row.action, "who": row.who, "count": row.count}
            for row in gallery.audit(person.person)
        ],
    }


def _crop_name(template: Template) -> str:
    return f"{template.template}.png"


def _zipped(contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _write_folder(out: Path, contents: dict[str, bytes]) -> None:
    with directory_atomically(out) as folder:
        for name, data in contents.items():
            (folder / name).touch(0o600)
            (folder / name).write_bytes(data)
    _private(out, 0o700)


def _private(path: Path, mode: int) -> None:
    try:
        path.chmod(mode)
    except OSError as error:
        raise storage_error(path, error) from error
