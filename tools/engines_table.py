"""Write docs/reference/engines.md: the engines, from their modules, and how their answers compare, measured.

EDGEPROOF_SHARED=FOLDER python tools/engines_table.py

The measured half needs the published networks and photos (FOLDER/models, weights, data), and the engines; without the
networks it keeps its text. It takes two minutes.
"""

from __future__ import annotations

import inspect
import os
import platform
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

from edgeproof.core.errors import EdgeproofError
from edgeproof.core.protocols import Pixels
from edgeproof.core.tensor import Array, Tensors
from edgeproof.devices.host import describe_host
from edgeproof.engines import ENGINES, open_engine
from edgeproof.formats import EXPORT_SUFFIXES, EXPORTERS, format_of
from edgeproof.formats.caffe import read as read_caffe
from edgeproof.formats.fixed_shape import fed_inputs, fix_shapes
from edgeproof.formats.graph import value_of
from edgeproof.formats.onnx import load_model, save_model
from edgeproof.tasks.orientation import builtin_model
from edgeproof.verify.conversion import (
    EXPORT_TOLERANCE,
    NATIVE,
    ConversionCheck,
    check_export,
    known_ranges,
)
from edgeproof.verify.importing import import_network
from edgeproof.verify.outputs import OutputDifference, compare_outputs
from edgeproof.verify.samples import USUAL_RANGES, find_samples, sample_inputs

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "engines.md"
SHARED = Path(os.environ.get("EDGEPROOF_SHARED", ROOT.parent / "shared"))
NOTE = (
    "<!-- Written by tools/engines_table.py; tests/test_docs.py checks the part above the measured one. -->\n"
)
MEASURED = "## Do they answer alike?\n"

# What the engines' modules don't hold as a constant.
FILES = {
    "litert": ".tflite",
    "ncnn": ".param with its .bin",
    "null": ".json that describes one",
    "onnxruntime": ".onnx",
    "opencv": ".onnx, .caffemodel with its .prototxt, .pb (TensorFlow)",
    "openvino": ".onnx, .xml with its .bin (OpenVINO IR)",
    "tensorrt": ".onnx, .plan or .engine with its .plan.json (built by edgeproof)",
    "torch": ".pt2 (exported program), TorchScript (.pt, .pth, .torchscript)",
}
BUILT_IN = ("null", "onnxruntime")  # the others' extras have their names
ENGINES_COMPARED = ("openvino", "opencv", "ncnn", "litert")
DISTRIBUTIONS = (
    "onnxruntime",
    "openvino",
    "opencv-python-headless",
    "ncnn",
    "pnnx",
    "ai-edge-litert",
    "torch",
)
# What values a network was made for, where that isn't 0 to 255: its place in USUAL_RANGES.
RANGE_NAMES = ("0 to 1", "-1 to 1", "0 to 255")
MADE_FOR = {
    "fastestdet.onnx": 0,
    "mobilefacenet-foamliu.onnx": 1,
    "ultraface-rfb-320.onnx": 1,
    "yolo11n-topology.onnx": 0,
    "yolo26n-topology.onnx": 0,
    "yolov8n-topology.onnx": 0,
}
OPEN_SIZE = 320
PHOTOS = 2
_OPENCV_NODE = re.compile(r"Node \[(\w+)@[\w.]+\]:\((?:onnx_node!)?([^)]+)\)")


def engines_half() -> str:
    """The half that needs no network: what each engine takes, where it runs, its options."""
    modules = {name: module for name in ENGINES if (module := _own_module(name)) is not None}
    return "\n".join(
        [
            NOTE + "# The engines\n",
            "An engine runs a network in one runtime. Name it with `--engine` where a command has that option, or with "
            "`open_engine(model, engine=..., device=...)` in Python. A device is strict: where it isn't there, opening "
            "fails with what would bring it; nothing runs elsewhere silently. The conformance suite in `tests/engines` "
            "runs on the processor only: every other device is written to its runtime's documentation and **not "
            "verified on hardware**.\n",
            "| engine | install | files | devices | options | verified on hardware |",
            "|---|---|---|---|---|---|",
            *(engine_row(name, module) for name, module in modules.items()),
            "",
            "Options, given by name (`open_engine(..., options={...})`):\n",
            "| engine | option | |",
            "|---|---|---|",
            *(
                f"| {name} | `{option}` | {meaning.replace('|', chr(92) + '|')} |"
                for name, module in modules.items()
                for option, meaning in options_of(module)
            ),
            "",
            "A new one: [add an engine](../how_to/add_an_engine.md).\n",
        ]
    )


def _own_module(name: str) -> ModuleType | None:
    """The module of an engine that comes with edgeproof; third parties' are no part of the page."""
    module = sys.modules[ENGINES.load(name).__module__]
    return module if module.__name__.startswith("edgeproof.engines.") else None


def engine_row(name: str, module: ModuleType) -> str:
    """One row of the table of engines."""
    install = "comes with edgeproof" if name in BUILT_IN else f"`edgeproof[{name}]`"
    devices = getattr(module, "PROVIDERS", getattr(module, "_DEVICES", ("cpu",)))
    options = ", ".join(f"`{option}`" for option, _ in options_of(module)) or "none"
    verified = {"null": "needs none", "tensorrt": "no"}.get(name, "cpu")
    return f"| {name} | {install} | {FILES[name]} | {', '.join(devices)} | {options} | {verified} |"


def options_of(module: ModuleType) -> list[tuple[str, str]]:
    """Each option and what it does, from the `Options:` block of a module's text."""
    text = inspect.cleandoc(module.__doc__ or "")
    block = re.search(r"^Options:\n((?:[ ]{4}.*\n?)+)", text, re.MULTILINE)
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", block[1], re.MULTILINE) if block else []
    return [(option, " ".join(meaning.split())) for option, meaning in found]


class Network(NamedTuple):
    """A network of the first table: its name, as one .onnx file with fixed sizes, and its usual range's place."""

    name: str
    file: Path
    size: str
    made_for: int


def measured_half(shared: Path) -> str:
    """The half that runs every network of `shared`."""
    photos = find_samples(shared / "data" / "coco", most=PHOTOS, cover=640)
    files = [*sorted((shared / "models").glob("*.onnx")), builtin_model(), shared / "weights/attributes.onnx"]
    with tempfile.TemporaryDirectory(prefix="edgeproof-table-") as name:
        folder = Path(name)
        rows = [network_row(ready(file, folder), photos, folder) for file in files]
        imports = list(import_rows(shared, folder))
    return "\n".join(
        [
            MEASURED,
            f"Each network on {len(photos)} photos of COCO, the middle square scaled to its input, in the range of "
            "values that it was made for, one thread; through OpenVINO and OpenCV as the ONNX file, through ncnn and "
            "LiteRT as what `edgeproof export` makes of it. The figure is the largest difference from ONNX Runtime "
            "over all outputs, as a share of that output's largest value, or of its known range (1 behind a sigmoid or "
            f"softmax); **ok** is within {EXPORT_TOLERANCE:g}, the limit of `edgeproof export`. Where the same photos "
            "in another of the usual ranges (0 to 1, -1 to 1, 0 to 255) go beyond it, that stands behind it.\n",
            f"Measured with {', '.join(f'{name} {version(name)}' for name in DISTRIBUTIONS)}, on "
            f"{platform.machine()} ({describe_host().processor}); another processor rounds differently.\n",
            "The column *onnxruntime, nudged* is ONNX Runtime against itself with every input value changed by about a "
            "millionth, over all the ranges: how much the network enlarges a rounding. A figure of that size is the "
            "network's own sensitivity; one well above it is worth a look. The `-topology` files have patterned "
            "weights in place of trained ones. Sizes that a file leaves open were fixed first.\n",
            f"| network | input | onnxruntime, nudged | {' | '.join(ENGINES_COMPARED)} |",
            "|---|---|---|" + "---|" * len(ENGINES_COMPARED),
            *rows,
            "",
            "Networks of other formats, by `edgeproof import`: the original in the runtime of its own format against "
            "its import in ONNX Runtime, on 8 photos (of faces, where it looks for them) in each of the usual ranges. "
            "What is allowed depends on how the weights are stored: "
            "[import a network](../how_to/import_a_network.md). The Levi-Hassner files are topologies, run with "
            "seeded weights, a batch of 1.\n",
            "| network | original in | difference | allowed | |",
            "|---|---|---|---|---|",
            *imports,
            "",
            "Run as it is, compared with nothing:\n",
            "| network | engine | outputs | |",
            "|---|---|---|---|",
            detector_row(shared),
            "",
        ]
    )


def ready(file: Path, folder: Path) -> Network:
    """A network as one .onnx file in `folder`, its open sizes but the batch fixed."""
    model = load_model(file)
    (entry,) = fed_inputs(model)
    sizes = [dim.dim_value for dim in entry.type.tensor_type.shape.dim]
    fixed = [size or (OPEN_SIZE if axis else 1) for axis, size in enumerate(sizes)]
    if not all(sizes[1:]):
        model = fix_shapes(model, {entry.name: fixed})
    save_model(model, folder / file.name)
    return Network(file.name, folder / file.name, "x".join(map(str, fixed)), MADE_FOR.get(file.name, 2))


def network_row(network: Network, photos: Sequence[Pixels], folder: Path) -> str:
    """A row of the first table: what the network takes, its own sensitivity, and each other engine."""
    cells = [engine_cell(network, name, photos, folder) for name in ENGINES_COMPARED]
    takes = f"{network.size}, {RANGE_NAMES[network.made_for]}"
    return f"| {network.name} | {takes} | {sensitivity(network, photos):.0e} | {' | '.join(cells)} |"


def engine_cell(network: Network, name: str, photos: Sequence[Pixels], folder: Path) -> str:
    """How far an engine is from ONNX Runtime, or why it can't take the network."""
    made = network.file
    try:
        if name in EXPORTERS and name != "openvino":  # which takes .onnx too
            made = (folder / name / network.name).with_suffix(EXPORT_SUFFIXES[name])
            made.parent.mkdir(exist_ok=True)
            EXPORTERS.load(name)(load_model(network.file), made)
        with open_engine(network.file) as reference, open_engine(made, engine=name):
            specs = reference.inputs
    except EdgeproofError as error:
        return reason(error, made)
    ranges = known_ranges(load_model(network.file))
    cell, elsewhere = "", []
    for place, usual in enumerate(USUAL_RANGES):
        check = check_export(network.file, made, name, sample_inputs(specs, photos, ranges=[usual]))
        if place == network.made_for:
            cell = verdict(check, ranges)
        elif check.verdict != "ok":
            elsewhere.append(f"{verdict(check, ranges)} on {RANGE_NAMES[place]}")
    return "; ".join([cell, *elsewhere])


def verdict(check: ConversionCheck, ranges: Mapping[str, float]) -> str:
    """A cell: how far, and in which output where it is too far."""
    if not check.differences:
        return f"{check.verdict}: {check.reason}"
    name, worst = max(
        ((found.output, share(found, ranges)) for found in check.differences), key=lambda found: found[1]
    )
    return f"ok ({worst:.0e})" if check.verdict == "ok" else f"**differs**: {worst:.0e} in `{name}`"


def share(found: OutputDifference, ranges: Mapping[str, float]) -> float:
    """A difference as what decides about it: a share of the largest value, or of the known range."""
    within = ranges.get(found.output)
    return min(found.max_rel, found.max_abs / within) if within else found.max_rel


def sensitivity(network: Network, photos: Sequence[Pixels]) -> float:
    """The largest difference that a millionth of each input value makes in ONNX Runtime."""
    ranges = known_ranges(load_model(network.file))
    with open_engine(network.file) as engine:
        return max(
            share(found, ranges)
            for feeds in sample_inputs(engine.inputs, photos)
            for found in compare_outputs(engine.run(feeds), engine.run(nudged(feeds)))
        )


def nudged(feeds: Tensors) -> dict[str, Array]:
    """Each float32 changed by about a millionth of itself, some eight roundings; the same each time."""
    chance = np.random.default_rng(0)
    return {
        name: np.asarray(np.multiply(array, 1 + 1e-6 * chance.standard_normal(array.shape)), array.dtype)
        for name, array in feeds.items()
    }


def reason(error: EdgeproofError, file: Path) -> str:
    """Why an engine can't, in a few words for a table."""
    if node := _OPENCV_NODE.search(error.message):
        return f"can't read {node[1]} (`{node[2]}`)"
    text = error.message.replace(str(file), "it").replace("|", "/")
    return text if len(text) <= 200 else text[:197] + "..."


def import_rows(shared: Path, folder: Path) -> Iterator[str]:
    """A row for each network of another format than ONNX."""
    suffixes = (".caffemodel", ".h5", ".pth", ".tflite")
    for file in sorted(file for file in (shared / "models").iterdir() if file.suffix in suffixes):
        yield import_row(file, shared, folder)
    for name in ("levi-hassner-age", "levi-hassner-gender"):
        yield import_row(seeded_caffe(shared / "models" / f"{name}.prototxt", folder), shared, folder)


def import_row(file: Path, shared: Path, folder: Path) -> str:
    """A row for one of them: how its copy compares with it, or why there is none."""
    native = NATIVE.get(format_of(file), "")
    looks_at = "facedet" if re.search("face|ssrnet|levi", file.name) else "coco"
    try:
        check = import_network(file, folder / f"{file.stem}.onnx", data=shared / "data" / looks_at).check
    except EdgeproofError as error:
        return f"| {file.name} | {native} | | | {reason(error, file)} |"
    why = "" if check.verdict == "ok" else f": {check.reason.replace(str(file), 'it')}"
    if not check.differences:
        return f"| {file.name} | {native} | | | {check.verdict}{why} |"
    ranges = known_ranges(load_model(folder / f"{file.stem}.onnx"))
    worst = max(share(found, ranges) for found in check.differences)
    return f"| {file.name} | {native} | {worst:.0e} | {check.tolerance:g} | {check.verdict}{why} |"


def seeded_caffe(prototxt: Path, folder: Path) -> Path:
    """A Caffe network with the seeded weights that the importer gives it, as the two files that OpenCV reads."""
    stored = {
        tensor.name: value_of(tensor) for tensor in read_caffe(prototxt, seed=1).model.graph.initializer
    }
    layers = b""
    for name in (name.removesuffix("/weight") for name in stored if name.endswith("/weight")):
        blobs = b"".join(
            message(6, message(7, message(1, b"".join(map(varint, blob.shape)))) + message(5, blob.tobytes()))
            for blob in (stored[f"{name}/weight"], stored[f"{name}/bias"])
        )
        layers += message(2, message(4, name.encode()) + blobs)  # V1LayerParameter, as in the text
    made = folder / f"{prototxt.stem}.caffemodel"
    made.with_suffix(".prototxt").write_text(prototxt.read_text())
    made.write_bytes(layers)
    return made


def varint(value: int) -> bytes:
    """A number as protobuf writes it: seven bits a byte, the lowest first."""
    return bytes([value & 0x7F | 0x80]) + varint(value >> 7) if value > 0x7F else bytes([value])


def message(number: int, content: bytes) -> bytes:
    """A field of protobuf that has a length."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def detector_row(shared: Path) -> str:
    """OpenCV's own TensorFlow detector on a photo of faces: in the opencv engine, the only one that reads its file."""
    file = shared / "models" / "opencv-face-detector-uint8.pb"
    (photo,) = find_samples(shared / "data" / "facedet", most=1, cover=300)
    with open_engine(file, engine="opencv", options={"input_shape": "1x3x300x300"}) as engine:
        (feeds,) = sample_inputs(engine.inputs, [photo], ranges=[(255.0, 0.0)])
        # What it was trained on: BGR less the mean of its training pictures.
        picture = np.subtract(
            feeds["data"][:, ::-1], np.array([104, 177, 123], np.float32).reshape(1, 3, 1, 1)
        )
        answer = engine.run({"data": np.ascontiguousarray(picture)})
    (found,) = answer.values()
    shapes = "; ".join(f"`{name}` {'x'.join(map(str, values.shape))}" for name, values in answer.items())
    surest = found[0, 0, :, 2].max()
    return f"| {file.name} | opencv | {shapes} | on a photo of faces its surest row says {surest:.2f} |"


def main() -> None:
    """Write the page."""
    if (SHARED / "models").is_dir():
        measured = measured_half(SHARED)
    else:
        print(f"no networks at {SHARED / 'models'}: the measured half keeps its text (set EDGEPROOF_SHARED)")
        old = PAGE.read_text() if PAGE.exists() else ""
        measured = MEASURED + old.partition(MEASURED)[2]
    PAGE.write_text(engines_half() + "\n" + measured)
    print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    main()
