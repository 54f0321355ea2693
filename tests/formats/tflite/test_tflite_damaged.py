"""Files that are no network, or a broken one: a typed error that names the file and the place."""

from __future__ import annotations

import random
import resource
import struct
from pathlib import Path

import numpy as np
import pytest

from edgeproof.core.errors import EdgeproofError, ModelError, NotFoundError
from edgeproof.formats import read_network
from edgeproof.formats.tflite import read
from formats.tflite.tflite_writer import Entry, Step, stored, write

_CONV = {0: ("b", 0), 1: ("i", 1), 2: ("i", 1), 3: ("b", 3), 4: ("i", 1), 5: ("i", 1)}


def small() -> bytes:
    """A convolution, a pool, a reshape and a softmax, with a quantised weight among them."""
    noise = np.random.default_rng(0)
    tensors = [
        Entry((1, 4, 4, 2)),
        stored(noise.integers(-9, 9, (3, 3, 3, 2)).astype(np.int8), scale=[0.1, 0.2, 0.3], zero=[0, 0, 0]),
        stored(np.zeros(3, np.float32)),
        Entry((1, 4, 4, 3)),
        Entry((1, 2, 2, 3)),
        stored(np.int32([1, 12])),
        Entry((1, 12)),
        Entry((1, 12)),
    ]
    pool = {0: ("b", 1), 1: ("i", 2), 2: ("i", 2), 3: ("i", 2), 4: ("i", 2), 5: ("b", 0)}
    steps = [
        Step("CONV_2D", [0, 1, 2], [3], _CONV),
        Step("MAX_POOL_2D", [3], [4], pool),
        Step("RESHAPE", [4, 5], [6]),
        Step("SOFTMAX", [6], [7], {0: ("f", 1.0)}),
    ]
    return write(tensors, steps, [0], [7])


def _one(kind: str, inputs: list[int], outputs: list[int]) -> bytes:
    return write([Entry((2, 3)), Entry((2, 3))], [Step(kind, inputs, outputs)], [0], [1])


def _shapes_that_lie() -> bytes:
    tensors = [Entry((1, 4, 4, 2)), stored(np.zeros(4, np.float32)), Entry((9, 9))]
    return write(tensors, [Step("RELU", [0], [2])], [0], [2])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"TFL", "mark TFL3"),
        (b"\x1c\0\0\0TFL4" + bytes(64), "mark TFL3"),
        (b"\xff\xff\xff\x7fTFL3" + bytes(64), "lies outside the file at byte 2147483647"),
        (small()[:-40], "damaged or cut short"),
        (_one("WHERE", [0], [1]), r"WHERE \(operator 0\)"),
        (_one("RELU", [1], [1]), r"operator 0 \(RELU\) takes tensor 1 \(t1\), which nothing makes before it"),
        (_one("RELU", [0], [0]), "there already: the graph is cyclic"),
        (_one("RELU", [9], [1]), r"operator 0 \(RELU\) refers to tensor 9 of 2"),
        (_one("ADD", [0], [1]), r"operator 0 \(ADD\) doesn't fit its inputs"),
        (_one("ADD", [0, -1], [1]), r"operator 0 \(ADD\)"),
        (_one("RELU", [0], []), r"operator 0 \(RELU\) doesn't fit its inputs"),
        (_one("CONV_2D", [0, 0, 0], [1]), r"operator 0 \(CONV_2D\) doesn't fit its inputs"),
        (_one("RESHAPE", [0], [0]), "there already"),
        (_shapes_that_lie(), r"operator 0 \(RELU\) makes 4 axes"),
    ],
)
def test_damaged_file_is_refused_with_its_place(data: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.tflite"
    file.write_bytes(data)
    with pytest.raises(ModelError, match=said) as raised:
        read_network(file)
    assert str(file) in raised.value.message
    assert raised.value.hint


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read(tmp_path / "none.tflite")


def test_every_cut_is_refused(tmp_path: Path) -> None:
    whole, file = small(), tmp_path / "cut.tflite"
    for end in range(0, len(whole) - 8, 7):
        file.write_bytes(whole[:end])
        with pytest.raises(ModelError):
            read(file)


def test_mutations_give_a_network_or_a_typed_error(tmp_path: Path) -> None:
    chance, whole, file = random.Random(20), small(), tmp_path / "mutated.tflite"
    huge = [0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x40000000, 0, 1, len(whole)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = 0
    for _ in range(2000):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 1, 2, 8))):
            place = chance.randrange(8, len(data) - 4)
            if chance.random() < 0.3:
                struct.pack_into("<I", data, place // 4 * 4, chance.choice(huge))
            else:
                data[place] = chance.randrange(256)
        file.write_bytes(data)
        try:
            read(file)
        except EdgeproofError:
            refused += 1
    assert 200 < refused < 2000
    # In kB: nothing of the size that a length field can claim is ever allocated.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_one_table_listed_over_and_over_is_not_read_over_and_over(tmp_path: Path) -> None:
    # 3,000 operators that are all the same one of 20,000 inputs: 60 million numbers from 100 kB.
    step = Step("ADD", [0] * 20_000, [1])
    data = write([Entry((2, 3)), Entry((2, 3))], [step] * 3_000, [0], [1])
    assert len(data) < 200_000
    file = tmp_path / "repeated.tflite"
    file.write_bytes(data)
    with pytest.raises(ModelError, match="more elements than the file has bytes"):
        read(file)
