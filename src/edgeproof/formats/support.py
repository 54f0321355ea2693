"""Which nodes of a network a runtime can't take, found by letting the runtime itself try."""

from __future__ import annotations

import importlib
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeproof.core.errors import (
    EngineError,
    MissingExtraError,
    ModelError,
    UnknownNameError,
    WorkerError,
    did_you_mean,
)
from edgeproof.core.extras import require, require_openvino
from edgeproof.formats import EXPORT_SUFFIXES, EXPORTERS
from edgeproof.formats.graph import STANDARD, all_nodes, first_line
from edgeproof.formats.onnx import save_model
from edgeproof.formats.to_openvino import openvino_reason

if TYPE_CHECKING:
    import onnx

_ELSEWHERE = (
    "Export the network with another operator there, or run it in another runtime: see `edgeproof ops`."
)
_OWN = "It is {domain}'s own operator: export the network without it, or with the plain ones it stands for."
_WORKAROUNDS = {
    "NonMaxSuppression": "Export the network without its NMS, and do that step on the answers in numpy.",
    "TopK": "End the network before TopK, and sort the answers in numpy.",
    "Resize": "Export with a fixed input size, mode nearest or linear, and coordinates asymmetric or half_pixel.",
    "Shape": "Export with a fixed input size: then no shape has to be asked for.",
    "If": "Export with fixed shapes and simplify: most branches are decided by shapes alone.",
    "Loop": "Export with fixed shapes and simplify: loops of a known count unroll.",
    "NonZero": "Export with fixed shapes, or do that step on the answers in numpy.",
    "Einsum": "Write it as MatMul with transposes, and export again.",
    "LayerNormalization": "Export in opset 16 or earlier, which spells it in plain operators.",
    "GroupNormalization": "Export in opset 17 or earlier, which spells it in plain operators.",
    "Gelu": "Export in opset 19 or earlier, which spells it with Erf.",
    "HardSwish": "Export in opset 13, which spells it as HardSigmoid and Mul.",
}


@dataclass(frozen=True)
class Unsupported:
    """One node that a runtime can't take.

    Attributes:
        node: its name; that of its first output where it has none.
        operator: its kind, with its domain where that is not the standard one.
        workaround: what can be done.
    """

    node: str
    operator: str
    workaround: str


@dataclass(frozen=True)
class Support:
    """Whether a runtime takes a network.

    Attributes:
        engine: the runtime.
        verdict: "ok", "unsupported" or "not known".
        nodes: the nodes it can't take, as far as it names them.
        reason: in its own words why, or why that is not known.
    """

    engine: str
    verdict: str
    nodes: tuple[Unsupported, ...] = ()
    reason: str = ""

    def as_json(self) -> dict[str, object]:
        """One entry of the document of `ops`."""
        return {
            "engine": self.engine,
            "verdict": self.verdict,
            "nodes": [
                {"node": each.node, "operator": each.operator, "workaround": each.workaround}
                for each in self.nodes
            ],
            "reason": self.reason or None,
        }


def supported_by(model: onnx.ModelProto, engine: str) -> Support:
    """Try a network in a runtime.

    Arguments:
        model: the network, all in one piece.
        engine: a name of `RUNTIMES`.

    Raises:
        UnknownNameError: no runtime of that name.
    """
    if engine not in RUNTIMES:
        raise UnknownNameError(f"There is no runtime called {engine!r}.", hint=did_you_mean(engine, RUNTIMES))
    attempt = RUNTIMES[engine]
    if isinstance(attempt, str):
        return Support(engine, "not known", reason=attempt)
    try:
        with tempfile.TemporaryDirectory(prefix="edgeproof-ops-") as folder:
            file = Path(folder) / "model.onnx"
            save_model(model, file)
            refused, reason = attempt(model, str(file))
    except (MissingExtraError, EngineError) as error:  # it isn't here, or can't be asked on this machine
        return Support(engine, "not known", reason=str(error))
    if not reason:
        return Support(engine, "ok")
    return Support(engine, "unsupported", tuple(map(_unsupported, refused)), reason)


# What an attempt gives: the nodes that were refused, and the runtime's reason; no reason where it takes them all.
Attempt = tuple[list["onnx.NodeProto"], str]


def _onnxruntime(model: onnx.ModelProto, path: str) -> Attempt:
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # a dozen unrelated types
        words = str(error)
        by_node = re.search(r"(\w+)\(\d+\) node with name '([^']*)'", words)
        by_kind = re.search(r"(?:([\w.]+):)?(\w+)\(-?\d+\) is not a registered", words)
        nodes = list(all_nodes(model.graph))
        if by_node:
            found = [
                node for node in nodes if (node.op_type, node.name) == (by_node.group(1), by_node.group(2))
            ]
        elif by_kind:
            found = [
                node for node in nodes if _kind(node) == _joined(by_kind.group(1) or "", by_kind.group(2))
            ]
        else:
            found = []
        reason = re.sub(
            r"^\[ONNXRuntimeError\] : \d+ : \w+ : |Load model from .*? failed: ?", "", first_line(error)
        )
        return found, f"{reason}. It names the first operator only: others may follow."
    return [], ""


def _openvino(model: onnx.ModelProto, path: str) -> Attempt:
    openvino = require_openvino("Asking OpenVINO what it takes")
    core = openvino.Core()
    nodes = list(all_nodes(model.graph))
    try:
        read = core.read_model(path)
    except Exception as error:  # RuntimeError, and its own kinds
        kinds = {
            re.sub(r"-\d+$", "", kind.strip())
            for line in re.findall(r"No conversion rule found for operations?: (.*)", str(error))
            for kind in line.split(",")
        }
        found = [node for node in nodes if _kind(node) in kinds]
        wanted = ", ".join(sorted(kinds))
        return (
            found,
            f"It has no rule for {wanted}." if kinds else f"It can't read it: {openvino_reason(error)}.",
        )
    try:
        taken = set(core.query_model(read, "CPU"))
    except Exception as error:
        return [], f"It can't plan it for the processor: {openvino_reason(error)}."
    missing = [op for op in read.get_ops() if op.get_friendly_name() not in taken]
    if not missing:
        return [], ""
    names = {op.get_friendly_name() for op in missing}
    found = [node for node in nodes if node.name in names or names & set(node.output)]
    kinds = {op.get_type_name() for op in missing}
    return found, f"Its processor plugin doesn't take {', '.join(sorted(kinds))}."


def _opencv(model: onnx.ModelProto, path: str) -> Attempt:
    cv2: Any = require("cv2", extra="opencv", purpose="Asking OpenCV what it takes")
    level = cv2.utils.logging.setLogLevel(0)  # what it would print comes as an exception too
    try:
        cv2.dnn.readNetFromONNX(path)
    except Exception as error:  # cv2.error, and what a wrapper of another version raises
        words = str(error)
        named = re.search(
            r"Node \[(\w+)@([^\]]*)\]:\((?:onnx_node(?:_output_\d+)?!)?(.*?)\) parse error", words
        )
        found = []
        if named:
            kind, name = _joined(named.group(2), named.group(1)), named.group(3)
            found = [
                node
                for node in all_nodes(model.graph)
                if _kind(node) == kind and name in (node.name, *node.output)
            ]
        # OpenCV wraps the cause in one "file:line: error: (code) cause in function 'f'" for each caller.
        cause = " ".join(re.split(r"error: \([^)]*\) ?", words)[-1].split())
        reason = re.sub(r" in function '\w+'|[ >]+$", "", cause)[:300]
        return found, f"{reason}. It names the first node only: others may follow."
    finally:
        cv2.utils.logging.setLogLevel(level)
    return [], ""


def _by_exporter(name: str) -> Callable[[onnx.ModelProto, str], Attempt]:
    """Runtimes with a format of their own take what can be written in it."""

    def attempt(model: onnx.ModelProto, path: str) -> Attempt:
        try:
            EXPORTERS.load(name)(model, Path(path).with_suffix(EXPORT_SUFFIXES[name]))
        except (ModelError, WorkerError) as error:
            return [node for node in all_nodes(model.graph) if _is_named(node, error.message)], error.message
        return [], ""

    return attempt


def _is_named(node: onnx.NodeProto, text: str) -> bool:
    # Whole words only, names can be parts of each other: "conv" and "conv/bias".
    words = (rf"(?<![\w./:-]){re.escape(word)}(?![\w/-]|[.:]\w)" for word in (_name(node), _kind(node)))
    return all(re.search(word, text) for word in words)


def _tensorrt(model: onnx.ModelProto, path: str) -> Attempt:
    try:
        tensorrt: Any = importlib.import_module("tensorrt")
    except ImportError as error:
        raise MissingExtraError(
            "TensorRT is not installed, so which operators it takes is not known here.",
            hint="On the device this tells: trtexec --onnx=MODEL.onnx",
        ) from error
    try:
        logger = tensorrt.Logger(tensorrt.Logger.ERROR)
        network = tensorrt.Builder(logger).create_network(0)
        parser = tensorrt.OnnxParser(network, logger)
        if parser.parse_from_file(path):
            return [], ""
        errors = [parser.get_error(number) for number in range(parser.num_errors)]
    except Exception as error:  # TypeError where it finds no GPU driver, RuntimeError for much else
        raise EngineError(
            f"TensorRT can't be asked on this machine: {first_line(error)}.",
            hint="On the device this tells: trtexec --onnx=MODEL.onnx",
        ) from error
    nodes = model.graph.node
    found = [nodes[each.node()] for each in errors if 0 <= each.node() < len(nodes)]
    return found, " ".join(first_line(Exception(each.desc())) for each in errors) or "Its parser refuses it."


# An attempt, or why there is none here.
RUNTIMES: dict[str, Callable[[onnx.ModelProto, str], Attempt] | str] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "opencv": _opencv,
    "litert": _by_exporter("litert"),
    "ncnn": _by_exporter("ncnn"),
    "tensorrt": _tensorrt,
    "ascend": "Which operators an Ascend takes is not known here. Where its toolkit CANN is installed this tells: "
    "atc --model=MODEL.onnx --framework=5 --output=MODEL --soc_version=YOURS",
    "edgetpu": "Which operators an Edge TPU takes is not known here. The log of its compiler tells it, node by node, "
    "for a TFLite file of 8-bit integers: edgetpu_compiler -s MODEL.tflite",
}


def _joined(domain: str, kind: str) -> str:
    return kind if domain in STANDARD else f"{domain}.{kind}"


def _kind(node: onnx.NodeProto) -> str:
    return _joined(node.domain, node.op_type)


def _name(node: onnx.NodeProto) -> str:
    return node.name or next((output for output in node.output if output), "(unnamed)")


def _unsupported(node: onnx.NodeProto) -> Unsupported:
    advice = _WORKAROUNDS.get(node.op_type, _ELSEWHERE)
    if node.domain not in STANDARD:
        advice = _OWN.format(domain=node.domain)
    return Unsupported(_name(node), _kind(node), advice)
