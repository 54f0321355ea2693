"""Write docs/reference/engines.md: the engines, from their modules, and how their answers compare, measured.

EDGEPROOF_SHARED=FOLDER python tools/engines_table.py

The measured half needs the published networks and photos (FOLDER/models, FOLDER/data/coco); without them it keeps
its text.
"""

from __future__ import annotations

import inspect
import os
import platform
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import ModuleType

import numpy as np

from edgeproof.core.errors import EdgeproofError
from edgeproof.core.protocols import Engine, Pixels
from edgeproof.core.tensor import Array, Tensors, TensorSpec
from edgeproof.devices.host import describe_host
from edgeproof.engines import ENGINES, open_engine
from edgeproof.formats import format_of, read_network
from edgeproof.formats.onnx import save_model
from edgeproof.imaging.decode import decode
from edgeproof.imaging.find import find_photos
from edgeproof.imaging.resize import crop_square
from edgeproof.tasks.orientation import builtin_model
from edgeproof.verify.conversion import NATIVE, check_conversion
from edgeproof.verify.outputs import compare_outputs

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
OTHERS = ("openvino", "opencv")  # take .onnx, beside ONNX Runtime
TOLERANCE = 1e-3
_OPENCV_NODE = re.compile(r"Node \[(\w+)@[\w.]+\]:\((?:onnx_node!)?([^)]+)\)")
OPEN_SIZE = 320
PHOTOS = 2


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
    extra = re.search(r'extra="([^"]+)"|require_(\w+)\(', inspect.getsource(module))
    install = f"`edgeproof[{extra[1] or extra[2]}]`" if extra else "comes with edgeproof"
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


def measured_half(shared: Path) -> str:
    """The half that runs every network of `shared`, some half a minute."""
    photos = [decode(path, cover=640).pixels for path in islice(find_photos([shared / "data/coco"]), PHOTOS)]
    networks = [*sorted((shared / "models").glob("*.onnx")), builtin_model()]
    versions: dict[str, str] = {}
    rows = [
        f"| {file.name} | {size} | {' | '.join(cells)} |"
        for file in networks
        for size, cells in [compare_engines(file, photos, versions)]
    ]
    imported = [row for file in sorted((shared / "models").iterdir()) for row in import_row(file, photos)]
    ran = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return "\n".join(
        [
            MEASURED,
            f"Each network on {len(photos)} photos of COCO, RGB, the middle square scaled to its input, float32 of 0 "
            "to 255 whatever it was trained on, one thread. The figure is the largest difference from ONNX Runtime "
            f"over all outputs, as a share of that output's largest value; **ok** is within {TOLERANCE:g}.\n",
            f"Measured with {ran}, on {platform.machine()} ({describe_host().processor}); another processor rounds "
            "differently.\n",
            "The column *onnxruntime, nudged* is ONNX Runtime against itself with every input value changed by about a "
            "millionth: how much the network enlarges a rounding. A figure of that size is the network's own "
            "sensitivity; one well above it is worth a look. Where an engine differs, the figure "
            "for the same photos as 0 to 1 stands beside it. The `-topology` files "
            "have patterned weights in place of trained ones.\n",
            f"| network | input | onnxruntime, nudged | {' | '.join(OTHERS)} |",
            "|---|---|---|" + "---|" * len(OTHERS),
            *rows,
            "",
            "Networks of other formats: the original in the runtime of its own format against its import in ONNX "
            "Runtime, on the same photos. What is allowed depends on how the weights are stored: "
            "[import a network](../how_to/import_a_network.md).\n",
            "| network | original in | difference | allowed | |",
            "|---|---|---|---|---|",
            *imported,
            "",
            "ncnn is not in these tables: it takes no ONNX, and edgeproof doesn't convert to its format yet.",
            "",
        ]
    )


def compare_engines(file: Path, photos: Sequence[Pixels], versions: dict[str, str]) -> tuple[str, list[str]]:
    """The input's shape, and the cells: the network's own sensitivity, then each other engine. Notes the versions."""
    with open_engine(file) as reference:
        versions[reference.info.name] = reference.info.version
        (spec,) = reference.inputs
        shape = [
            size if isinstance(size, int) else OPEN_SIZE if axis else 1
            for axis, size in enumerate(spec.shape)
        ]
        feeds = [{spec.name: picture(photo, shape)} for photo in photos]
        wanted = [reference.run(feed) for feed in feeds]
        nudged = [{spec.name: nudge(feed[spec.name])} for feed in feeds]
        cells = [f"{worst_difference(reference, nudged, wanted)[1]:.0e}"]
    sizes = "x".join(map(str, shape))
    is_open = any(isinstance(size, str) for size in spec.shape[1:])
    for name in OTHERS:
        options = {"input_shape": sizes} if name == "opencv" and is_open else {}
        try:
            with open_engine(file, engine=name, options=options) as other:
                versions[name] = other.info.version.partition("-")[0]
                cell = verdict(worst_difference(other, feeds, wanted))
                if "differs" in cell:
                    cell += f"; {small_difference(file, other, feeds):.0e} on 0 to 1"
                cells.append(cell)
        except EdgeproofError as error:
            cells.append(reason(error, file))
    return sizes, cells


def picture(photo: Pixels, shape: Sequence[int]) -> Array:
    """The middle of a photo as (1, 3, H, W) float32 of 0 to 255, RGB."""
    _, _, height, width = shape
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    pixels = crop_square(photo, side)[top : top + height, left : left + width]
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32)


def nudge(array: Array) -> Array:
    """Each float32 changed by about a millionth of itself, some eight roundings; the same each time."""
    noise = np.random.default_rng(0).standard_normal(array.shape)
    return np.asarray(np.multiply(array, 1 + 1e-6 * noise), dtype=array.dtype)


def worst_difference(other: Engine, feeds: Sequence[Tensors], wanted: Sequence[Tensors]) -> tuple[str, float]:
    """The output that is furthest from the reference over all feeds, and how far."""
    found = (
        (difference.output, difference.max_rel)
        for feed, answer in zip(feeds, wanted, strict=True)
        for difference in compare_outputs(answer, other.run(feed))
    )
    return max(found, key=lambda one: one[1])


def small_difference(file: Path, other: Engine, feeds: Sequence[Tensors]) -> float:
    """The worst difference from ONNX Runtime on the same pictures as 0 to 1."""
    small = [
        {name: np.asarray(np.divide(array, 255), array.dtype) for name, array in feed.items()}
        for feed in feeds
    ]
    with open_engine(file) as reference:
        return worst_difference(other, small, [reference.run(feed) for feed in small])[1]


def verdict(worst: tuple[str, float]) -> str:
    """A cell of the table: how far, and in which output where it is too far."""
    output, share = worst
    return f"ok ({share:.0e})" if share <= TOLERANCE else f"**differs**: {share:.0e} in `{output}`"


def reason(error: EdgeproofError, file: Path) -> str:
    """Why an engine can't, in a few words for a table."""
    if node := _OPENCV_NODE.search(error.message):
        return f"can't read {node[1]} (`{node[2]}`)"
    text = error.message.replace(str(file), "it").replace("|", "/")
    return text if len(text) <= 160 else text[:157] + "..."


def import_row(file: Path, photos: Sequence[Pixels]) -> Iterator[str]:
    """A row for a network of another format than ONNX; none for what is no network or can't be read yet."""
    if file.suffix not in (".tflite", ".caffemodel"):
        return
    native = NATIVE[format_of(file)]
    try:
        network = read_network(file)
        with tempfile.TemporaryDirectory(prefix="edgeproof-table-") as folder:
            made = Path(folder) / "imported.onnx"
            save_model(network.model, made)
            with open_engine(made) as engine:
                feeds = [feed_of(engine.inputs, photo) for photo in photos]
            check = check_conversion(file, made, feeds)
    except EdgeproofError as error:
        yield f"| {file.name} | {native} | | | {reason(error, file)} |"
        return
    share = max((one.max_rel for one in check.differences), default=None)
    figure = "" if share is None else f"{share:.0e}" if share else "0"
    why = "" if check.verdict == "ok" else f": {check.reason}"
    yield f"| {file.name} | {native} | {figure} | {check.tolerance:g} | {check.verdict}{why} |"


def feed_of(specs: Sequence[TensorSpec], photo: Pixels) -> Mapping[str, Array]:
    """One photo for a network with one input, of floats or bytes, channels before or after the rows."""
    (spec,) = specs
    shape = [
        size if isinstance(size, int) else OPEN_SIZE if axis else 1 for axis, size in enumerate(spec.shape)
    ]
    last = shape[3] == 3
    if last:
        shape = [shape[0], shape[3], shape[1], shape[2]]
    array = picture(photo, shape)
    return {spec.name: np.ascontiguousarray(array.transpose(0, 2, 3, 1) if last else array, dtype=spec.dtype)}


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
