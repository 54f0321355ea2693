"""A bundle opens whole and unchanged, or not at all; what is in it can't do harm."""

from __future__ import annotations

import io
import json
import os
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bundles.sample_bundles import EVIDENCE, GOLDEN, MODEL, names, packed, put, reseal
from edgeproof.bundles.bundle import Bundle, is_bundle, open_bundle
from edgeproof.core.errors import BundleError, NewerBundleError, NotFoundError, TamperedBundleError

FILES = ("manifest.json", "model.onnx", "golden.npz", "evidence.json")


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return packed(tmp_path / "o.edge")


def test_what_was_packed_is_what_is_opened(bundle: Bundle) -> None:
    again = open_bundle(str(bundle.path))
    assert again == bundle
    assert names(bundle.path) == sorted(FILES)
    assert again.model.read_bytes() == MODEL
    assert again.evidence() == EVIDENCE
    assert again.manifest.settings == {"temperature": 1.5, "threshold": 0.9}
    golden = again.golden()
    for found, packed_ in ((golden.inputs, GOLDEN.inputs), (golden.outputs, GOLDEN.outputs)):
        assert list(found) == list(packed_)
        for name, array in packed_.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype


def test_a_bundle_can_be_moved(bundle: Bundle, tmp_path: Path) -> None:
    bundle.path.rename(tmp_path / "moved.edge")
    assert open_bundle(tmp_path / "moved.edge").model.read_bytes() == MODEL


@pytest.mark.parametrize("name", FILES)
def test_any_flipped_byte_is_refused(bundle: Bundle, name: str) -> None:
    file = bundle.path / name
    whole = file.read_bytes()
    choose = random.Random(name)
    positions = {0, len(whole) - 1, *choose.sample(range(len(whole)), min(len(whole), 150))}
    for position in sorted(positions):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << choose.randrange(8)
        file.write_bytes(damaged)
        with pytest.raises(BundleError):
            open_bundle(bundle.path)
    file.write_bytes(whole)
    open_bundle(bundle.path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["cut", "longer", "empty"])
def test_a_file_of_another_length_is_refused(bundle: Bundle, name: str, how: str) -> None:
    whole = (bundle.path / name).read_bytes()
    changed = {"cut": whole[:-5], "longer": whole + b"\n", "empty": b""}
    (bundle.path / name).write_bytes(changed[how])
    with pytest.raises(BundleError):
        open_bundle(bundle.path)


@pytest.mark.parametrize("name", FILES[1:])
def test_a_missing_file_is_named(bundle: Bundle, name: str) -> None:
    (bundle.path / name).unlink()
    with pytest.raises(TamperedBundleError, match=f"{name} is missing"):
        open_bundle(bundle.path)


@pytest.mark.parametrize("path", ["nowhere.edge", "nul\0.edge", "o.edge/model.onnx", "o.edge/model.onnx/x"])
def test_there_is_no_bundle_there(bundle: Bundle, tmp_path: Path, path: str) -> None:
    assert not is_bundle(tmp_path / path)
    with pytest.raises(NotFoundError):
        open_bundle(tmp_path / path)


@pytest.mark.parametrize("version", [2, 999])
def test_a_newer_format_says_what_to_do(bundle: Bundle, version: int) -> None:
    reseal(bundle.path, format=version)
    with pytest.raises(NewerBundleError) as caught:
        open_bundle(bundle.path)
    assert f"format {version}" in caught.value.message
    assert "pip install -U edgeproof" in caught.value.hint


@pytest.mark.parametrize(
    "name",
    [
        "../model.onnx",
        "sub/model.onnx",
        "/etc/passwd",
        "model.onnx\0",
        "mod\0el.onnx",
        "..",
        ".",
        "",
        ".hidden",
        "model.onnx\n",
        "a\\b",
        "é.onnx",
        "x" * 200,
    ],
)
@pytest.mark.parametrize("where", ["model", "files"])
def test_a_path_that_is_no_plain_name_is_refused(bundle: Bundle, name: str, where: str) -> None:
    files = json.loads((bundle.path / "manifest.json").read_bytes())["files"]
    entry = files["model.onnx"]
    changes: dict[str, Any] = {"files": {**files, name: entry}}
    if where == "model":
        changes["model"] = name
    reseal(bundle.path, **changes)
    with pytest.raises(BundleError, match="not a plain name"):
        open_bundle(bundle.path)


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "other.onnx"},
        {"files": {}},
        {"files": []},
        {"settings": {"threshold": "high"}},
        {"engine": None},
        {"tolerance": None},
        {"format": "1"},
        {"files": {"model.onnx": {"sha256": 1, "bytes": 1}}},
        {"files": {"model.onnx": {"sha256": "0" * 64, "bytes": 10**30}}},
    ],
    ids=str,
)
def test_a_manifest_that_makes_no_sense_is_refused(bundle: Bundle, changed: dict[str, Any]) -> None:
    reseal(bundle.path, **changed)
    with pytest.raises(BundleError):
        open_bundle(bundle.path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"{}",
        b'{"format": 1}',
        b"[" * 100_000,
        b'{"format": 1, "x": ' + b"[" * 100_000,
        b" " * (2 << 20),
    ],
)
def test_a_file_that_is_no_manifest_is_refused(bundle: Bundle, data: bytes) -> None:
    (bundle.path / "manifest.json").write_bytes(data)
    with pytest.raises(BundleError):
        open_bundle(bundle.path)


@pytest.mark.parametrize("name", FILES)
def test_a_link_is_refused_even_to_the_same_bytes(bundle: Bundle, tmp_path: Path, name: str) -> None:
    (bundle.path / name).rename(tmp_path / "elsewhere")
    (bundle.path / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="link"):
        open_bundle(bundle.path)


@pytest.mark.parametrize("size", [0, 768])
def test_a_pipe_in_place_of_a_file_is_refused_at_once(bundle: Bundle, size: int) -> None:
    files = json.loads((bundle.path / "manifest.json").read_bytes())["files"]
    reseal(bundle.path, files={**files, "model.onnx": {"sha256": "0" * 64, "bytes": size}})
    (bundle.path / "model.onnx").unlink()
    os.mkfifo(bundle.path / "model.onnx")
    with pytest.raises(BundleError):
        open_bundle(bundle.path)


def _npz(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _npy(array: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def _header(shape: str, dtype: str = "<f4") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (63 - (len(text) + 10) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def _claims_little(data: bytes) -> bytes:
    """The archive whose directory claims that its first member unpacks to 100 bytes."""
    at = data.index(b"PK\x01\x02") + 24
    return data[:at] + (100).to_bytes(4, "little") + data[at + 4 :]


_BOMB = _npz(**{"in.x.npy": _header("(400000000,)", "|u1") + bytes(300 << 20)})


@pytest.mark.parametrize(
    "data",
    [
        _BOMB,
        _claims_little(_BOMB),
        _npz(**{"in.x.npy": _npy(np.array([print], dtype=object), allow_pickle=True)}),
        _npz(**{"in.x.npy": _header("(1000000000000000,)")}),
        _npz(**{"in.x.npy": _header("(-5,)")}),
        _npz(**{"in.x.npy": _header("(" * 500)}),
        _npz(**{"in.x.npy": _header("('a',)")}),
        _npz(**{"in.x.npy": _header("(4,)")}),
        _npz(**{"in.x.npy": b"\x93NUMPY\x01\x00\xff\xff"}),
        _npz(**{"in.x.npy": b""}),
        _npz(**{"in.x": b"these bytes are no array"}),
        _npy(np.arange(5)),
        _npy(np.array([print], dtype=object), allow_pickle=True),
        b"",
        b"PK\x05\x06" + bytes(18)[:-2],
    ],
    ids=[
        "bomb",
        "bomb that lies",
        "pickle",
        "vast shape",
        "negative shape",
        "brackets",
        "shape of text",
        "short",
        "cut header",
        "empty member",
        "no array",
        "npy",
        "bare pickle",
        "empty",
        "cut zip",
    ],
)
def test_golden_tensors_that_do_harm_are_refused(bundle: Bundle, data: bytes) -> None:
    put(bundle.path, "golden.npz", data)
    opened = open_bundle(bundle.path)
    with pytest.raises(BundleError):
        opened.golden()


def test_damaged_golden_tensors_are_refused_whatever_is_damaged(bundle: Bundle) -> None:
    whole = (bundle.path / "golden.npz").read_bytes()
    choose = random.Random(1)
    for position in choose.sample(range(len(whole)), min(len(whole), 300)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << choose.randrange(8)
        (bundle.path / "golden.npz").write_bytes(damaged)
        try:
            found = bundle.golden()
        except BundleError:
            continue
        assert all(isinstance(array, np.ndarray) for array in found.inputs.values())


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"a":' * 50_000])
def test_evidence_that_cant_be_read_is_refused(bundle: Bundle, data: bytes) -> None:
    put(bundle.path, "evidence.json", data)
    opened = open_bundle(bundle.path)
    with pytest.raises(BundleError):
        opened.evidence()


@pytest.mark.parametrize(("method", "name"), [("golden", "golden.npz"), ("evidence", "evidence.json")])
def test_a_file_without_a_digest_is_never_read(bundle: Bundle, method: str, name: str) -> None:
    files = json.loads((bundle.path / "manifest.json").read_bytes())["files"]
    reseal(bundle.path, files={key: value for key, value in files.items() if key != name})
    opened = open_bundle(bundle.path)
    with pytest.raises(BundleError):
        getattr(opened, method)()
