"""Files that are no network, or a broken one: a typed error that names the file and the place; nothing is run."""

from __future__ import annotations

import io
import json
import random
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeproof.core.errors import EdgeproofError, ModelError, NotFoundError
from edgeproof.formats import read_network
from formats.keras.keras_models import functional, imported, layer, sequential

FILES = Path(__file__).parent / "files"
WHOLE = (FILES / "functional.h5").read_bytes()
ARCHIVE = (FILES / "functional.keras").read_bytes()
CONFIG = json.loads(zipfile.ZipFile(io.BytesIO(ARCHIVE)).read("config.json"))
WEIGHTS = zipfile.ZipFile(io.BytesIO(ARCHIVE)).read("model.weights.h5")


def _packed(config: bytes, weights: bytes = WEIGHTS, *, how: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", weights)
    return buffer.getvalue()


def _of_units(units: int) -> bytes:
    changed = json.loads(json.dumps(CONFIG))
    for each in changed["config"]["layers"]:
        if each["config"].get("name") == "classes":
            each["config"]["units"] = units
    return _packed(json.dumps(changed).encode())


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("net.h5", b"", "is empty"),
        ("net.keras", b"", "is empty"),
        ("net.h5", b"GIF89a" * 50, "doesn't begin with its mark"),
        ("net.keras", b"GIF89a" * 50, r"is no \.keras archive"),
        ("net.h5", WHOLE[:30], "lie outside its 30"),
        ("net.h5", WHOLE[: len(WHOLE) // 2], "lie outside|no object where one should be"),
        ("net.keras", ARCHIVE[: len(ARCHIVE) // 2], r"is no \.keras archive, or it is damaged"),
        ("net.keras", _packed(b"{"), r"config\.json is no JSON"),
        ("net.keras", _packed(b"[" * 200_000), "nested too deep"),
        ("net.keras", _packed(b"{}"), "holds no Keras architecture"),
        ("net.keras", _packed(json.dumps(CONFIG).encode(), b""), r"model\.weights\.h5 is no HDF5 file"),
        ("net.keras", _packed(b" " * (30 << 20), how=zipfile.ZIP_DEFLATED), "unpacks to 31,457,280 bytes"),
        (
            "net.keras",
            _of_units(5),
            r"layer 'classes' \(Dense\) has the kernel of shape \[120, 4\], and needs",
        ),
        ("net.h5", (FILES / "sequential.weights.h5").read_bytes(), "holds weights only"),
    ],
)
def test_damaged_file_is_refused_with_its_place(name: str, data: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(data)
    with pytest.raises(ModelError, match=said) as raised:
        read_network(file)
    assert str(file) in raised.value.message
    assert raised.value.hint


def test_file_that_is_not_there() -> None:
    with pytest.raises(NotFoundError):
        read_network("nowhere/net.keras")


_DENSE = sequential((4,), layer("Dense", units=2))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("external_link", "link to another file"),
        ("external_storage", "keeps an array in another file"),
        ("virtual", "made of other files"),
        ("chunked", "in pieces"),
        ("packed", "compressed"),
    ],
)
def test_form_that_isnt_read_says_what_to_do(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.h5").write_bytes((FILES / f"{name}.h5").read_bytes())
    (tmp_path / f"{name}.json").write_text(json.dumps(_DENSE))
    with pytest.raises(ModelError, match=said) as raised:
        read_network(tmp_path / f"{name}.h5")
    assert "again" in raised.value.hint


def test_array_larger_than_its_file_isnt_made(tmp_path: Path) -> None:
    # The dataspace of the kernel (120 x 4) becomes one of 2^40 rows.
    sizes = struct.pack("<QQ", 120, 4)
    assert sizes in WHOLE
    (tmp_path / "net.h5").write_bytes(WHOLE.replace(sizes, struct.pack("<QQ", 1 << 40, 4)))
    tracemalloc.start()
    try:
        with pytest.raises(ModelError, match="in 1920 bytes"):
            read_network(tmp_path / "net.h5")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def _cycle() -> dict[str, Any]:
    one, other = layer("Activation", "a", [["b"]]), layer("Activation", "b", [["a"]])
    return functional([layer("InputLayer", "x", batch_input_shape=[None, 4]), one, other], ["x"], ["b"])


def _named(*calls: Any) -> dict[str, Any]:
    end = layer("Activation", "end", list(calls))
    return functional([layer("InputLayer", "x", batch_input_shape=[None, 4]), end], ["x"], ["end"])


def _trained() -> dict[str, Any]:
    shown = _named([["x", 0, 0, {"training": True}]])
    shown["config"]["layers"][1]["class_name"] = "Dropout"
    return shown


def _deep(depth: int) -> dict[str, Any]:
    shown = sequential((4,), layer("Activation"))
    for _ in range(depth):
        shown = sequential((4,), {**shown, "name": "s"})
    return shown


def _multiplying(depth: int) -> dict[str, Any]:
    """Models inside models, each called four times: a small file that asks for 4^depth layers."""
    taken = layer("InputLayer", "x", batch_input_shape=[None, 4])
    made = functional([taken, layer("Dropout", "end", [["x"]])], ["x"], ["end"])
    for _ in range(depth):
        calls = [[["x", 0, 0, {}]], *([["t", number, 0, {}]] for number in range(3))]
        made = functional([taken, {**made, "name": "t", "inbound_nodes": calls}], ["x"], ["t"])
        made["config"]["output_layers"] = [["t", 3, 0]]
    return made


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        (_cycle(), "layer 'a' .* form a cycle"),
        (_named([["x", 0, 7, {}]]), "waits for a tensor"),
        (_named(["nobody"]), "takes what nothing makes: call 0 of 'nobody'"),
        (_named([]), "takes nothing"),
        (_named([["x", 0, 0, {"mask": [1]}]]), "is called with mask"),
        (_trained(), "is called with training = True"),
        (_deep(40), "models inside models"),
        (_multiplying(10), "beyond 100000 calls"),
        (
            sequential((4,), layer("Attention", "look")),
            r"layer 'look' \(Attention\) is of a kind that can't be read",
        ),
        (sequential((4,), layer("Mine>Layer", "own")), r"layer 'own' \(Mine>Layer\)"),
        (sequential((4,), layer("Activation", activation="mine")), "has the activation 'mine'"),
        (sequential((4,), layer("Reshape", target_shape=[3, 3])), r"can't make the shape \[\?, 4\] into"),
        (sequential((4,), layer("MaxPooling2D", pool_size=2)), "takes a picture"),
        (sequential((4, 4, 1), layer("MaxPooling2D", pool_size=5)), "slides a window of 5 over 4"),
        (sequential((4, 4, 1), layer("MaxPooling2D", pool_size="2")), "has pool_size '2'"),
        (sequential((4, 4, 1), layer("Cropping2D", cropping=2)), r"makes the shape \[\?, 0, 0, 1\]"),
        (sequential((4, 4, 1), layer("UpSampling2D", interpolation="lanczos3")), "has interpolation"),
        (sequential((4, 4, 1), layer("Softmax", axis=9)), "goes along axis 9"),
        (sequential((0,), layer("Activation")), "has the input shape"),
        ({"class_name": "Sequential", "config": {"layers": []}}, "has no layers"),
        ({"class_name": "Sequential", "config": 3}, "no list of layers"),
        ({"class_name": "Model", "config": {"layers": [3]}}, "describes no layer"),
        (
            sequential((4,), layer("Activation", "a"), layer("Activation", "a")),
            "two layers of 's' are called 'a'",
        ),
    ],
)
def test_architecture_that_doesnt_hold_together(architecture: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said) as raised:
        imported(architecture)
    assert "net.h5" in raised.value.message
    assert raised.value.hint


def _mutated(data: bytes, chance: random.Random, until: int) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(until)
        match chance.randrange(5):
            case 0:
                changed[at] = chance.randrange(256)
            case 1:
                changed[at] ^= 1 << chance.randrange(8)
            case 2:
                changed[at : at + 8] = struct.pack(
                    "<Q", chance.choice([0, 1, 96, len(data) - 1, 1 << 40, 2**64 - 1])
                )
            case 3:
                changed[at : at + 4] = data[(other := chance.randrange(until)) : other + 4]
            case _:
                del changed[at : at + chance.choice([1, 8, 500])]
                changed.extend(bytes(len(data) - len(changed)))
    return bytes(changed)


def _text(data: bytes, chance: random.Random) -> bytes:
    pieces = data.split(b",")
    for _ in range(chance.randint(1, 3)):
        at, other = chance.randrange(len(pieces)), chance.randrange(len(pieces))
        match chance.randrange(3):
            case 0:
                pieces[at] = pieces[other]
            case 1:
                name, colon, _ = pieces[at].partition(b":")
                pieces[at] = (
                    name + colon + chance.choice([b"null", b"-1", b"[]", b"{}", b'"x"', b"1e99", b"99999999"])
                )
            case _:
                del pieces[at]
    return b",".join(pieces)


def _of_h5(chance: random.Random) -> bytes:
    return _mutated(WHOLE, chance, len(WHOLE))


def _of_archive(chance: random.Random) -> bytes:
    if chance.random() < 0.5:
        return _packed(_text(json.dumps(CONFIG).encode(), chance))
    return _packed(json.dumps(CONFIG).encode(), _mutated(WEIGHTS, chance, len(WEIGHTS)))


@pytest.mark.parametrize(("suffix", "make"), [(".h5", _of_h5), (".keras", _of_archive)])
def test_two_thousand_mutations_give_a_network_or_a_typed_error(
    suffix: str, make: Callable[[random.Random], bytes], tmp_path: Path
) -> None:
    file = tmp_path / f"net{suffix}"
    errors, read = [], 0
    for seed in range(2000):
        file.write_bytes(make(random.Random(seed)))
        try:
            read_network(file)
            read += 1
        except EdgeproofError as error:
            errors.append(error)
        except BaseException as error:
            raise AssertionError(f"seed {seed}") from error
    assert 0 < read < 2000
    assert all(error.message and error.hint for error in errors)
