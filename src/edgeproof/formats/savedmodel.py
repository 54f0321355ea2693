"""Reading TensorFlow SavedModels (a folder with saved_model.pb), by way of TensorFlow's own TFLite converter.

A SavedModel is a program, and TensorFlow runs parts of it while it reads it. So its operators are looked through
first, without TensorFlow, and one that reaches beyond the network's numbers is refused; then TensorFlow reads it in a
process of its own, with a limit of time and of memory.
"""

from __future__ import annotations

import graphlib
import importlib
import importlib.util
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeproof.core.errors import MissingExtraError, ModelError
from edgeproof.core.files import storage_error
from edgeproof.formats import Imported, tflite
from edgeproof.formats.graph import names_in
from edgeproof.formats.wire import BYTES, DamagedError, fields

if TYPE_CHECKING:
    import onnx

_SIGNATURE = "serving_default"
_LARGEST = 2**31 - 1
_MOST_NODES = 1 << 20
_SECONDS, _BYTES = 900, 16 << 30
_AGAIN = "Export the network again, or copy the folder again and compare its size."

# Operators that reach files (printing and debugging can, too), run Python, or talk to other machines.
_REACHING = re.compile(
    r"File|ImmutableConst|PyFunc|Python|Reader|Dataset|Iterator|Summary|Remap|Vocab|Debug|Print|Proto|Send|Recv|Remote|"
    r"Rpc|Collective|Tpu|TPU|Library|Plugin|Restore|Save|Checkpoint|Custom|Host"
)
_INPUT = re.compile(rf"{_SIGNATURE}_(.+):0")
_OUTPUT = re.compile(r"(?:Stateful)?PartitionedCall(?:_\d+)?(?::(\d{1,4}))?")
# The one node of a loop of old through which the next round takes from the last one.
_BACKWARDS = frozenset(["NextIteration", "RefNextIteration"])
# Every SavedModel has a function that saves and restores its variables; the converter doesn't call it.
_SAVER = frozenset(["MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"])


@dataclass
class _Found:
    """What a look through saved_model.pb shows: operators by their kinds, and the outputs of each signature."""

    operators: set[str] = field(default_factory=set)
    signatures: dict[str, list[str]] = field(default_factory=dict)
    nodes: int = 0


def read(path: Path) -> Imported:
    """Read a SavedModel's `serving_default` into ONNX, inputs and outputs as TensorFlow has them.

    Raises:
        StorageError: it can't be read.
        ModelError: damaged, an operator that reaches beyond the network or that can't be converted, another signature.
        MissingExtraError: TensorFlow or onnx is not installed.
    """
    folder = Path(path)
    outputs = check_operators(folder)
    if importlib.util.find_spec("tensorflow") is None:
        raise MissingExtraError(
            "Reading a SavedModel needs the Python package tensorflow, which is not installed.",
            hint='Install it with: pip install "edgeproof[tensorflow]"',
        )
    with tempfile.TemporaryDirectory(prefix="edgeproof-savedmodel-") as place:
        made = Path(place) / "model.tflite"
        _convert(folder, made)
        try:
            imported = tflite.read(made)
        except ModelError as error:
            raise ModelError(error.message.replace(str(made), str(folder)), hint=error.hint) from error
    notes = ["TensorFlow's TFLite converter read it.", *imported.notes]
    for old, new in _rename(imported.model, outputs).items():
        notes = [note.replace(old, new) for note in notes]
    return Imported(imported.model, tuple(notes))


def check_operators(folder: Path) -> list[str]:
    """Refuse a SavedModel that holds an operator which reaches beyond the network, without TensorFlow.

    Gives the names of the outputs that it serves, in the order of their numbers.

    Raises:
        StorageError: it can't be read.
        ModelError: such an operator, named; or a damaged file, or no signature that is served.
    """
    file = folder / "saved_model.pb"
    try:
        size = file.stat().st_size
        if size > _LARGEST:
            raise ModelError(f"{file} is over 2 GB, where protobuf files end.", hint=_AGAIN)
        data = file.read_bytes()
    except OSError as error:
        raise storage_error(file, error) from error
    found = _Found()
    try:
        for graph in _messages(memoryview(data), 2):
            _look_through(graph, found)
    except DamagedError as error:
        raise ModelError(f"{file} is no SavedModel, or it is damaged: {error}.", hint=_AGAIN) from error
    if not found.nodes:
        raise ModelError(f"{file} is no SavedModel: there is no network in it.", hint=_AGAIN)
    reaching = sorted(kind for kind in found.operators if _reaches(kind))
    if reaching:
        raise ModelError(
            f"{folder} holds operators that reach beyond the network, to files, Python or other machines: "
            f"{', '.join(kind[:60] for kind in reaching[:8])}.",
            hint="TensorFlow could run them while it reads them: export the network without them.",
        )
    if _SIGNATURE not in found.signatures:
        names = ", ".join(name[:60] for name in sorted(found.signatures)[:8]) or "none"
        raise ModelError(
            f"{folder} has no signature {_SIGNATURE!r}; it has: {names}.",
            hint="Export it with one: tf.saved_model.save(module, FOLDER, signatures=module.function).",
        )
    return sorted(found.signatures[_SIGNATURE])


def _reaches(kind: str) -> bool:
    return bool(_REACHING.search(kind)) and kind not in _SAVER


def _messages(data: memoryview, number: int) -> Iterator[memoryview]:
    return (entry.data for entry in fields(data) if entry.number == number and entry.kind == BYTES)


def _look_through(graph: memoryview, found: _Found) -> None:
    """A MetaGraphDef; field numbers as in meta_graph.proto, graph.proto, function.proto and node_def.proto."""
    for entry in fields(graph):
        if entry.kind != BYTES:
            continue
        if entry.number == 2:
            _nodes(entry.data, 1, found)
            for library in _messages(entry.data, 2):
                for function in _messages(library, 1):
                    _nodes(function, 3, found)
        elif entry.number == 5:
            name = "".join(map(_text, _messages(entry.data, 1)))
            outputs = [part for value in _messages(entry.data, 2) for part in _messages(value, 2)]
            found.signatures[name] = [_text(key) for part in outputs for key in _messages(part, 1)]


def _nodes(holder: memoryview, number: int, found: _Found) -> None:
    taken: dict[str, list[str]] = {}
    for node in _messages(holder, number):
        found.nodes += 1
        if found.nodes > _MOST_NODES:
            raise DamagedError(f"more than {_MOST_NODES} nodes")
        # The last one counts where a field is given twice; all of them are looked at.
        kinds = {_text(kind) for kind in _messages(node, 2)}
        found.operators |= kinds
        if not kinds & _BACKWARDS:
            # An input is NAME, NAME:2, NAME:output:2 or, where only the order counts, ^NAME.
            inputs = (_text(name).removeprefix("^").partition(":")[0] for name in _messages(node, 3))
            taken["".join(map(_text, _messages(node, 1)))] = list(inputs)
    try:
        graphlib.TopologicalSorter(taken).prepare()
    except graphlib.CycleError as error:
        names = ", ".join(name[:60] for name in error.args[1][:6])
        raise DamagedError(f"its nodes take from each other in a cycle: {names}") from error


def _text(data: memoryview) -> str:
    return bytes(data[:256]).decode("utf-8", errors="replace")


def _convert(folder: Path, out: Path) -> None:
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "edgeproof.formats.savedmodel", str(folder.absolute()), str(out)]
    with tempfile.TemporaryFile() as said:
        try:
            # In its own folder: whatever it writes beside itself is removed with it.
            done = subprocess.run(
                command,
                env=environment,
                cwd=out.parent,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ModelError(
                f"{folder}: TensorFlow gave no answer in {_SECONDS} seconds.", hint="Use a smaller network."
            ) from error
        if done.returncode == 0 and out.exists():
            return
        said.seek(0)
        lines = said.read()[-20_000:].decode(errors="replace").splitlines()
    reason = next((line for line in reversed(lines) if line.startswith(_SAID)), "")
    why = reason.removeprefix(_SAID).strip() or f"it ended with {done.returncode}"
    raise ModelError(
        f"{folder}: TensorFlow can't convert it: {why[:400]}.",
        hint="Only operators that TFLite has built in are read: end the network before decoding or NMS.",
    )


def _rename(model: onnx.ModelProto, outputs: list[str]) -> dict[str, str]:
    """Give inputs and outputs the signature's names; TensorFlow numbers the outputs in the order of theirs."""
    wanted: dict[str, str] = {}
    for entry in model.graph.input:
        if found := _INPUT.fullmatch(entry.name):
            wanted[entry.name] = found[1]
    for entry in model.graph.output:
        found = _OUTPUT.fullmatch(entry.name)
        number = int(found[1] or 0) if found else len(outputs)
        if number < len(outputs):
            wanted[entry.name] = outputs[number]
    taken = names_in(model.graph) - set(wanted)
    if len(set(wanted.values())) != len(wanted) or taken & set(wanted.values()):
        return {}
    for entry in (*model.graph.input, *model.graph.output):
        entry.name = wanted.get(entry.name, entry.name)
    for node in model.graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = wanted.get(name, name)
    return wanted


_SAID = "edgeproof: "


def _child(folder: str, out: str) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (_BYTES, _BYTES))
    try:
        tf: Any = importlib.import_module("tensorflow")
        loaded = tf.saved_model.load(folder)
        served = loaded.signatures[_SIGNATURE]
        # One picture at a time: for a batch of any size the converter leaves shapes to be computed at a run.
        inputs = {
            name: tf.TensorSpec([1, *spec.shape[1:]] if spec.shape.rank else spec.shape, spec.dtype, name)
            for name, spec in served.structured_input_signature[1].items()
        }
        fixed = tf.function(served).get_concrete_function(**inputs)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([fixed], loaded)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.allow_custom_ops = False
        Path(out).write_bytes(converter.convert())
    except Exception as error:  # TensorFlow's C++ raises what it likes
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        telling = [line for line in lines if "error" in line.lower() or "op " in line]
        words = (telling or lines or [type(error).__name__])[0].rpartition("error: ")[2]
        sys.stderr.write(f"\n{_SAID}{words.rstrip('.')}\n")
        sys.exit(1)


if __name__ == "__main__":
    _child(*sys.argv[1:3])
