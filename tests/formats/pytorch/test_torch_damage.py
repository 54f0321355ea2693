"""PyTorch files that are wrong or hostile: a typed error that says why, and nothing in them is run."""

from __future__ import annotations

import collections
import json
import os
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeproof.core.errors import EdgeproofError, ModelError
from edgeproof.core.pytorch.archive import read_members
from edgeproof.core.pytorch.program import load_program
from edgeproof.core.pytorch.script import load_script
from edgeproof.core.pytorch.weights import load_weights
from edgeproof.formats import read_network

torch = pytest.importorskip("torch", reason="torch isn't installed (extra `torch`)")
pytest.importorskip("onnxscript", reason="onnxscript isn't installed (extra `torch`)")


class Payload:
    """A pickle of it calls `function(*arguments)` when it is loaded."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def load(path: Path) -> Any:
    """What the importer loads, without the seconds that the conversion takes."""
    members = read_members(path)
    if path.suffix == ".pt2":
        return load_program(torch, path, members)
    if path.name.startswith("script"):
        return load_script(torch, path, members or {})
    return load_weights(torch, path, members)


def repacked(source: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    members = read_members(source)
    assert members is not None
    change(members)
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"archive/{name}", data)
    return target


@pytest.mark.parametrize("as_zip", [True, False])
@pytest.mark.parametrize("kind", ["os.system", "eval"])
def test_a_state_dict_with_a_payload_is_refused_and_not_run(tmp_path: Path, as_zip: bool, kind: str) -> None:
    mark = tmp_path / "mark"
    payload = (
        Payload(os.system, f"touch {mark}")
        if kind == "os.system"
        else Payload(eval, f"open({str(mark)!r}, 'w')")
    )
    path = tmp_path / "net.pth"
    state = collections.OrderedDict(weight=torch.zeros(2), more=payload)
    torch.save(state, path, _use_new_zipfile_serialization=as_zip)
    with pytest.raises(ModelError) as caught:
        read_network(path)
    assert str(path) in caught.value.message
    assert ("posix.system" if kind == "os.system" else "object eval") in caught.value.message
    assert not mark.exists()


def test_a_pickled_module_names_what_it_wanted(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(1, 1), tmp_path / "net.pth")
    with pytest.raises(ModelError, match=r"torch\.nn\.modules\.linear\.Linear.*state_dict"):
        read_network(tmp_path / "net.pth")


def _edit(members: dict[str, bytes], change: Callable[[Any], None]) -> None:
    program = json.loads(members["models/model.json"])
    change(program)
    members["models/model.json"] = json.dumps(program).encode()


def _graph(program: Any) -> Any:
    return program["graph_module"]["graph"]


def _set_target(program: Any, text: str) -> None:
    _graph(program)["nodes"][-1]["target"] = text


def _set_size(program: Any, text: str) -> None:
    for value in _graph(program)["tensor_values"].values():
        for size in value["sizes"]:
            if "as_expr" in size:
                size["as_expr"]["expr_str"] = text


def _set_tree(program: Any, tree: Any) -> None:
    signature = program["graph_module"]["module_call_graph"][0]["signature"]
    signature["in_spec"] = json.dumps([1, tree])


def _set_name(program: Any, text: str) -> None:
    _graph(program)["inputs"][-1]["as_tensor"]["name"] = text


_LEAVES: dict[str, Any] = {"children_spec": []}
HOSTILE: dict[str, tuple[Callable[[Any], None], str]] = {
    "function": (lambda p: _set_target(p, "torch.os.system"), r"calls 'torch\.os\.system'"),
    "deep": (lambda p: _set_target(p, "torch.ops.aten.relu.default.__globals__"), "calls"),
    "library": (lambda p: _set_target(p, "torch.ops.load_library"), "calls"),
    "file": (lambda p: _set_target(p, "torch.ops.aten.from_file.default"), "calls"),
    "operator": (lambda p: _set_target(p, "_operator.methodcaller"), "calls"),
    "size": (lambda p: _set_size(p, "__import__('os').system('touch MARK')"), "a size is"),
    "power": (lambda p: _set_size(p, "Pow(Integer(9), Pow(Integer(9), Integer(9)))"), "a size is"),
    "enum": (
        lambda p: _set_tree(
            p, {"type": "builtins.tuple", "context": '{"__enum__": 1, "fqn": "os:x"}', **_LEAVES}
        ),
        "inputs or outputs",
    ),
    "factory": (
        lambda p: _set_tree(p, {"type": "collections.defaultdict", "context": "{}", **_LEAVES}),
        "inputs or",
    ),
    "keyword": (
        lambda p: _set_tree(
            p,
            {"type": "builtins.dict", "context": "[\"x=__import__('os').system('touch MARK')\"]", **_LEAVES},
        ),
        "inputs are called",
    ),
    "name": (lambda p: _set_name(p, "x=__import__('os').system('touch MARK')"), "is called"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_program_that_could_run_anything_is_refused(
    files: dict[str, Path], tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    change, message = HOSTILE[name]
    path = repacked(files["program"], tmp_path / "net.pt2", lambda members: _edit(members, change))
    with pytest.raises(ModelError, match=f"(?s){message}"):
        load(path)
    assert [one.name for one in tmp_path.iterdir()] == ["net.pt2"]


def test_pickles_and_libraries_in_a_program_are_never_opened(files: dict[str, Path], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    evil = pickle.dumps(Payload(os.system, f"touch {mark}"))

    def add(members: dict[str, bytes]) -> None:
        members["data/sample_inputs/model.pt"] = members["data/weights/model.pt"] = evil
        members["data/constants/opaque_obj_0"] = members["data/aotinductor/model/x.so"] = evil

    assert load(repacked(files["program"], tmp_path / "more.pt2", add)) is not None

    def mark_pickled(members: dict[str, bytes]) -> None:
        name = "data/weights/model_weights_config.json"
        config = json.loads(members[name])
        next(iter(config["config"].values()))["use_pickle"] = True
        members |= {name: json.dumps(config).encode(), "data/weights/weight_0": evil}

    with pytest.raises(ModelError, match="stored as a pickle"):
        load(repacked(files["program"], tmp_path / "net.pt2", mark_pickled))
    assert not mark.exists()


@pytest.mark.parametrize("call", ["torch.save(x, 'mark')", "torch.from_file('mark', True, 9)"])
def test_torchscript_that_touches_files_is_refused_before_it_is_loaded(
    files: dict[str, Path], tmp_path: Path, call: str
) -> None:
    def change(members: dict[str, bytes]) -> None:
        name = next(name for name in members if name.endswith(".py"))
        members[name] = members[name].replace(b"return", f"_ = {call}\n    return".encode(), 1)

    with pytest.raises(ModelError, match="could touch files"):
        load(repacked(files["script"], tmp_path / "script.pt", change))


def test_what_unpacks_to_far_more_is_refused_before_it_is(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(100_000_000))
    with pytest.raises(ModelError, match="would unpack to 100,000,000"):
        read_network(path)


@pytest.mark.parametrize("suffix", [".pth", ".pt2", ".pt"])
@pytest.mark.parametrize("content", [b"", b"not a network", bytes(999), b"PK\3\4" + bytes(99), b"\x80\2."])
def test_files_that_are_none_are_named(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_network(path)
    assert str(path) in caught.value.message


def test_members_that_pytorchs_reader_could_mistake_are_refused(
    files: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
        archive.writestr("archive/DATA.pkl", pickle.dumps({}))
    with pytest.raises(ModelError, match="clash"):
        load(path)


def _damaged(data: bytes, chance: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(chance.choice((1, 1, 4))):
        place = chance.randrange(len(made))
        match chance.randrange(4):
            case 0:
                made[place] ^= 1 << chance.randrange(8)
            case 1:
                made[place] = chance.randrange(256)
            case 2:
                del made[place : place + chance.randrange(1, 9)]
            case _:
                made[place:place] = chance.randbytes(chance.randrange(1, 9))
    return bytes(made[: chance.randrange(len(made))] if chance.random() < 0.1 else made)


@pytest.mark.parametrize(
    ("name", "count"), [("zip", 2000), ("pickle", 2000), ("program", 2000), ("script", 2000)]
)
def test_damage_anywhere_is_a_typed_error_or_harmless(
    files: dict[str, Path], tmp_path: Path, name: str, count: int
) -> None:
    chance = random.Random(name)
    path = tmp_path / files[name].name
    data = files[name].read_bytes()
    messages = []
    for _ in range(count):
        path.write_bytes(_damaged(data, chance))
        try:
            load(path)
        except EdgeproofError as error:
            messages.append(error.message)
    assert len(messages) > count // 4
    assert all(str(path) in message for message in messages)


def test_damaged_json_of_a_program_is_a_typed_error(files: dict[str, Path], tmp_path: Path) -> None:
    """With the right CRC, so that PyTorch's own reader sees it."""
    chance, messages = random.Random(0), []
    for _ in range(600):

        def change(members: dict[str, bytes]) -> None:
            name = chance.choice([name for name in members if name.endswith(".json")])
            members[name] = _damaged(members[name], chance)

        try:
            load(repacked(files["program"], tmp_path / "net.pt2", change))
        except EdgeproofError as error:
            messages.append(error.message)
    assert messages
    assert all("net.pt2" in message for message in messages)


def test_a_damaged_pickle_inside_a_whole_archive_is_a_typed_error(
    files: dict[str, Path], tmp_path: Path
) -> None:
    chance, messages = random.Random(0), []
    for _ in range(2000):

        def change(members: dict[str, bytes]) -> None:
            members["data.pkl"] = _damaged(members["data.pkl"], chance)

        try:
            load(repacked(files["zip"], tmp_path / "net.pth", change))
        except EdgeproofError as error:
            messages.append(error.message)
    assert messages
    assert all("net.pth" in message for message in messages)


def test_the_pickle_of_old_is_read(files: dict[str, Path]) -> None:
    assert isinstance(load(files["pickle"])["0.weight"], torch.Tensor)
