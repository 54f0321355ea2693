"""Running pnnx (https://github.com/Tencent/ncnn/tree/master/tools/pnnx) on a prepared network."""

from __future__ import annotations

import importlib.util
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edgeproof.core.errors import MissingExtraError, ModelError
from edgeproof.formats.onnx import save_model
from edgeproof.formats.to_ncnn.prepare import Prepared, Shape
from edgeproof.formats.to_ncnn.refuse import CHANGE

_TIMEOUT_S = 300
# What it prints when it knows that it drops something, like "mean along batch axis is not supported yet".
_DROPPED = re.compile(r"^.*\b(?:is|are) not supported\b.*$", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_OUTPUT = re.compile(r"^pnnx\.Output\s+out(\d+)\s.*?#\w+=\(([\d,]*)\)(\w+)", re.MULTILINE)
_BATCHED = re.compile(r"\bMat\(in(\d+)(?:\.squeeze\(0\)|\.numpy\(\), batch_index=(?!233)\d+)")


@dataclass(frozen=True)
class Converted:
    """What pnnx made of a network.

    Attributes:
        param: the .param file, with pnnx's own names.
        weights: the .bin file.
        outputs: the shape of each output with a batch of 1, in the order of the network's outputs.
        batched: which inputs come without their batch axis; the others keep it, as a size of 1.
    """

    param: Path
    weights: Path
    outputs: tuple[Shape, ...]
    batched: tuple[bool, ...]


def converter() -> Path:
    """The program, found without importing the Python package around it, which would bring PyTorch with it.

    Raises:
        MissingExtraError: it is not installed.
    """
    found = importlib.util.find_spec("pnnx")
    folder = Path(found.origin).parent if found is not None and found.origin else None
    if folder is None or not (folder / "pnnx").is_file():
        raise MissingExtraError(
            "Exporting to ncnn needs the Python package pnnx, which is not installed.",
            hint='Install it with: pip install "edgeproof[to-ncnn]"',
        )
    return folder / "pnnx"


def run_converter(program: Path, prepared: Prepared, folder: Path) -> Converted:
    """Let pnnx convert a network in `folder`, which has to be there and empty.

    Raises:
        ModelError: it failed, took over five minutes, or left out a part.
        OSError: the program can't be started, or the folder can't be written to.
    """
    save_model(prepared.model, folder / "model.onnx")
    sizes = ",".join(f"[{','.join(map(str, shape))}]f32" for shape in prepared.inputs.values())
    try:
        done = subprocess.run(
            [str(program), "model.onnx", "fp16=0", f"inputshape={sizes}"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"pnnx, ncnn's converter, took over {_TIMEOUT_S} seconds and was stopped.",
            hint="Export a smaller part of the network, or one with fewer steps.",
        ) from error
    said = done.stdout.decode(errors="replace")
    made = folder / "model.ncnn.param"
    weights = made.with_suffix(".bin")
    if done.returncode or not made.is_file() or not weights.is_file():
        raise ModelError(
            f"pnnx, ncnn's converter, can't take the network: {_why(done.returncode, said)}.", hint=CHANGE
        )
    if dropped := list(dict.fromkeys(_DROPPED.findall(said))):
        raise ModelError(
            f"pnnx, ncnn's converter, would leave out a part of the network: {'; '.join(dropped)[:600]}.",
            hint=CHANGE,
        )
    outputs = {
        int(place): (tuple(int(size) for size in sizes.split(",") if size), kind)
        for place, sizes, kind in _OUTPUT.findall((folder / "model.pnnx.param").read_text())
    }
    for place, name in enumerate(prepared.outputs):
        shape, kind = outputs.get(place, ((), "unknown"))
        if kind != "f32" or not shape:
            raise ModelError(
                f"The output {name!r} is of the type {kind} and the shape {list(shape)}; ncnn gives float32.",
                hint="End the network before that step, and do it on the answers in numpy.",
            )
    batched = {int(place) for place in _BATCHED.findall((folder / "model_ncnn.py").read_text())}
    for place, (name, shape) in enumerate(prepared.inputs.items()):
        if place not in batched and len(shape) > 4:
            raise ModelError(
                f"pnnx can't tell which axis of the input {name!r} is the batch, and ncnn takes 4 axes at most.",
                hint=CHANGE,
            )
    return Converted(
        made,
        weights,
        tuple(outputs[place][0] for place in range(len(prepared.outputs))),
        tuple(place in batched for place in range(len(prepared.inputs))),
    )


def _why(code: int, said: str) -> str:
    """What went wrong, from its exit code and the last line that says something."""
    lines = [_COLOUR.sub("", line).strip().rstrip(".") for line in said.splitlines()]
    reason = next((line for line in reversed(lines) if "fail" in line.lower() or "error" in line.lower()), "")
    how = f"it crashed ({signal.Signals(-code).name})" if code < 0 else f"it ended with {code}"
    return f"{how}: {reason[:300]}" if reason else how
