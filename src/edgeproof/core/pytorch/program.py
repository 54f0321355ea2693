"""Exported programs (.pt2): a graph of PyTorch's operators as JSON, with its weights.

torch.export.load is not for files of strangers: it calls whatever name below `torch` a node has as its target
("torch.os.system"), evaluates sizes as Python expressions (sympy.sympify), imports the modules that a tree of
inputs mentions, unpickles what is marked so, and loads a compiled library where there is one (torch 2.13:
torch/_export/serde/serialize.py, torch/export/pt2_archive/_package.py, torch/utils/_pytree.py). So each part of the
archive is checked here first, and only the parts that were are handed on.
"""

from __future__ import annotations

import contextlib
import io
import json
import linecache
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgeproof.core.errors import EdgeproofError, MissingExtraError, ModelError
from edgeproof.core.pytorch.archive import AGAIN, pack_members
from edgeproof.core.tensor import TensorSpec

_MODEL, _SAMPLES = "models/model.json", "data/sample_inputs/model.pt"
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_PLAIN = ("archive_format", "archive_version", ".data/version", "byteorder", ".data/serialization_id")
_PAYLOAD = re.compile(r"data/(weights/weight|constants/tensor)_\d+")
_HIGHER = ("cond", "while_loop", "wrap_with_set_grad_enabled", "wrap_with_autocast")
_TARGET = re.compile(
    r"torch\.ops\.(aten|prims)\.(?!save\b|from_file\b)(?!__)\w+\.\w+"
    r"|torch\.ops\.aten\.__(and|or|xor|lshift|rshift|iand|ior|ixor)__\.\w+"
    rf"|torch\.ops\.higher_order\.({'|'.join(_HIGHER)})"
    r"|_operator\.(eq|ne|le|ge|lt|gt|neg|pos|mul|add|sub|floordiv|truediv|mod|pow|and_|or_|lshift|rshift|getitem)"
    r"|math\.(trunc|ceil|floor)|torch\.sym_(not|int|float|ite|max|min|sqrt)",
    re.ASCII,
)
# Sizes as sympy.srepr writes them. Powers only of a symbol, by a digit: 9**9**9 would be computed for ever.
_FUNCTIONS = (
    "FloorDiv|ModularIndexing|Where|PythonMod|Mod|CleanDiv|CeilToInt|FloorToInt|CeilDiv|IntTrueDiv|FloatTrueDiv|"
    "TruncToFloat|TruncToInt|RoundToInt|ToFloat|Identity|Max|Min|Abs|Mul|Add|"
    "Equality|Unequality|LessThan|StrictLessThan|GreaterThan|StrictGreaterThan|And|Or|Not"
)
_SYMBOL = (
    r"Symbol\('(?:s|u|zuf|zf)\d{1,6}'(?:, (?:positive|negative|nonnegative|integer|real)=(?:True|False))*\)"
)
_SIZE = re.compile(
    rf"(?:{_SYMBOL}|Pow\({_SYMBOL}, Integer\(-?\d\)\)|Integer\(-?\d{{1,19}}\)|Rational\(-?\d{{1,9}}, \d{{1,9}}\)"
    rf"|Float\('-?\d{{1,20}}\.\d{{0,40}}', precision=53\)|(?:{_FUNCTIONS})\(|\)|, |true|false)*",
    re.ASCII,
)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_WORD = re.compile(r"[\w.+:\[\]-]*", re.ASCII)
_TREES = ("builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict", None)
_KEYS = re.compile(r"""[\w\s"',\[\]]*""", re.ASCII)
_DEPTH = 64
_DTYPES = ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")


def load_program(torch: Any, path: Path, members: dict[str, bytes] | None) -> Any:
    """The torch.export.ExportedProgram in an archive.

    Arguments:
        torch: the library.
        path: the file.
        members: what is in it (`read_members`).

    Raises:
        ModelError: damaged, of another version of PyTorch, or with anything in it that could run a program.
        MissingExtraError: this PyTorch is too old for the format.
    """
    if members is None or _MODEL not in members:
        old = members is not None and "serialized_exported_program.json" in members
        raise ModelError(
            f"{path} is no exported program"
            + (" of PyTorch 2.8 or later." if old else ", or it is damaged."),
            hint="Write it with torch.export.save(torch.export.export(model.eval(), inputs), FILE).",
        )
    try:
        from torch.export.pt2_archive._package import load_pt2
    except ImportError as error:
        raise MissingExtraError(
            f"{path} needs PyTorch 2.8 or later.", hint='pip install --upgrade "edgeproof[torch]"'
        ) from error
    try:
        checked = pack_members(_checked(torch, path, members))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = load_pt2(checked).exported_programs["model"]
            # PyTorch's own passes ask for some inputs; these take no memory.
            examples = [_example(torch, one) for one in program_inputs(program).values()]
            program.example_inputs = torch.utils._pytree.tree_unflatten(examples, program.call_spec.in_spec)
            return program
    except EdgeproofError:
        raise
    except Exception as error:  # anything: a graph of damaged JSON fails wherever it first doesn't fit
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(
            f"{path} can't be loaded as an exported program: {reason}.",
            hint=f"It may be of a newer PyTorch than this {torch.__version__}. {AGAIN}",
        ) from error


@contextlib.contextmanager
def keeping_little(torch: Any) -> Iterator[None]:
    """Meanwhile PyTorch doesn't remember what it did with a graph, nor the Python text of the functions it makes of it.

    Otherwise each opening of a network would leave some of it in memory for as long as the process lives.
    """
    from torch._dynamo import config

    before = set(linecache.cache)
    try:
        with config.patch(fake_tensor_cache_enabled=False):
            yield
    finally:
        kept = getattr(getattr(torch.fx.graph_module, "_loader", None), "eval_cache", {})
        for name in set(linecache.cache) - before:
            if name.startswith("<eval_with_key>"):
                linecache.cache.pop(name, None)
                kept.pop(name, None)


def program_inputs(program: Any) -> dict[str, Any]:
    """The fake tensors (shape, dtype) that stand for the inputs of an exported program, by name."""
    made = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    return {name: made[name] for name in program.graph_signature.user_inputs}


def _example(torch: Any, fake: Any) -> Any:
    sizes = [size if isinstance(size, int) else size.node.hint or 2 for size in fake.shape]
    return torch.zeros((), dtype=fake.dtype).expand(sizes)


def _checked(torch: Any, path: Path, members: dict[str, bytes]) -> dict[str, bytes]:
    """The members that an exported program is made of, each checked; others are left out."""
    program = json.loads(members[_MODEL])
    _drop_metadata(program)
    program["guards_code"] = []  # Python source; what the inputs must be is checked before each run
    _check_values(path, program, "", 0)
    _check_order(path, program)
    configs = {name: json.loads(members[name]) for name in _CONFIGS}
    for config in configs.values():
        for name, payload in config["config"].items():
            if payload["use_pickle"] or not _PAYLOAD.fullmatch(_place(config, configs, payload["path_name"])):
                raise _refused(path, f"{name!r} is stored as a pickle")
        _check_values(path, config, "", 0)
    kept = {name: data for name, data in members.items() if name in _PLAIN or _PAYLOAD.fullmatch(name)}
    # The inputs it was exported with, a pickle, are of no use here; this is the pickle of an empty tuple and dict.
    samples = _no_samples(torch)
    return {
        **kept,
        _MODEL: json.dumps(program).encode(),
        **{name: json.dumps(config).encode() for name, config in configs.items()},
        _SAMPLES: samples,
    }


def _place(config: Any, configs: dict[str, Any], file: str) -> str:
    return f"data/weights/{file}" if config is configs[_CONFIGS[0]] else f"data/constants/{file}"


def _no_samples(torch: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(((), {}), buffer)
    return buffer.getvalue()


def _refused(path: Path, what: str) -> ModelError:
    return ModelError(
        f"{path}: {what}, with which an exported program could run anything.",
        hint="Where you trust it, load it with PyTorch and give its network as package.module:factory.",
    )


def _drop_metadata(program: Any) -> None:
    """Take out where each node came from: text that PyTorch looks up as names, and nothing needs."""
    for entry in _dicts(program):
        if "metadata" in entry and "target" in entry:
            entry["metadata"] = {}


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _check_values(path: Path, value: Any, key: str, depth: int) -> None:
    """Refuse every text that isn't of the kind that its place in the JSON may have."""
    if depth > _DEPTH:
        raise _refused(path, f"its JSON is nested more than {_DEPTH} deep")
    if isinstance(value, dict):
        for name, inner in value.items():
            if not _WORD.fullmatch(name):
                raise _refused(path, f"it has the name {name[:80]!r}")
            _check_values(path, inner, name, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_values(path, inner, key, depth + 1)
    elif isinstance(value, str):
        _check_text(path, key, value)
    elif value is not None and key in ("as_operator", "as_custom_obj"):
        raise _refused(path, f"it has a value of the kind {key}")


def _check_order(path: Path, program: Any) -> None:
    """Refuse a graph with a node that takes what it or a later one makes."""
    for graph in _dicts(program):
        nodes = graph.get("nodes")
        if not isinstance(nodes, list):
            continue
        outputs = [set(_names(node.get("outputs"))) if isinstance(node, dict) else set() for node in nodes]
        later = set().union(*outputs)
        for node, made in zip(nodes, outputs, strict=True):
            taken = later.intersection(_names(node.get("inputs"))) if isinstance(node, dict) else set()
            if taken:
                raise ModelError(
                    f"{path}: its graph has a cycle: {str(node.get('target'))[:80]} takes {min(taken)[:80]!r}, "
                    "which it makes itself or a later node does.",
                    hint=AGAIN,
                )
            later -= made


def _names(value: Any) -> Iterator[str]:
    """The tensors that an entry names; not those inside a graph of its own."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            name = one.get("name")
            if isinstance(name, str) and len(one) == 1:
                yield name
            waiting.extend(inner for key, inner in one.items() if key != "as_graph")
        elif isinstance(one, list):
            waiting.extend(one)


def _check_text(path: Path, key: str, text: str) -> None:
    if key == "target":
        if not _TARGET.fullmatch(text):
            raise _refused(path, f"a node calls {text[:80]!r}")
    elif key == "expr_str":
        if len(text) > 1000 or not _SIZE.fullmatch(text):
            raise _refused(path, f"a size is {text[:80]!r}")
    elif key in ("in_spec", "out_spec"):
        _check_tree(path, key, text)
    elif key in ("as_operator", "as_custom_obj"):
        raise _refused(path, f"it has a value of the kind {key}")
    elif key in ("name", "as_name", "forward_arg_names"):
        # They become Python source: the arguments and variables of the graph's function.
        if text and not _NAME.fullmatch(text):
            raise _refused(path, f"a value is called {text[:80]!r}")
    elif key not in ("as_string", "as_strings") and not _WORD.fullmatch(text):
        raise _refused(path, f"its {key} is {text[:80]!r}")


def _check_tree(path: Path, key: str, text: str) -> None:
    if not text:
        return
    for entry in _dicts(json.loads(text)):
        kind, keys = entry.get("type"), str(entry.get("context"))
        if kind not in _TREES or "__enum__" in keys:
            raise _refused(path, f"its inputs or outputs are a {str(kind)[:80]!r}")
        if key == "in_spec" and not _KEYS.fullmatch(keys):  # they become the arguments of a function
            raise _refused(path, f"its inputs are called {keys[:80]}")


def output_names(program: Any) -> list[str]:
    """The names of an exported program's outputs: the keys of a flat dict, else `output`, or `output_0` and so on."""
    spec, count = program.call_spec.out_spec, len(program.graph_signature.user_outputs)
    if spec.type is dict and spec.num_children == count:
        return [str(key) for key in spec.context]
    return ["output"] if count == 1 else [f"output_{place}" for place in range(count)]


def batch_symbol(program: Any) -> str | None:
    """The symbol of the first axis of the first input, where its size is free."""
    for fake in program_inputs(program).values():
        if fake.ndim and not isinstance(fake.shape[0], int):
            return str(fake.shape[0])
    return None


def program_signature(program: Any, path: str) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """What goes into an exported program and comes out; N stands for the size of the batch where it is free.

    Raises:
        ModelError: something else than tensors goes in or comes out, or of a type that numpy hasn't.
    """
    symbol = batch_symbol(program)
    fakes = {node.name: node.meta.get("val") for node in program.graph.nodes}
    inputs = [(name, fakes.get(name)) for name in program.graph_signature.user_inputs]
    made = (fakes.get(name) for name in program.graph_signature.user_outputs)
    ends = zip(output_names(program), made, strict=True)
    return tuple(_spec(path, *one, symbol) for one in inputs), tuple(
        _spec(path, *one, symbol) for one in ends
    )


def _spec(path: str, name: str, fake: Any, symbol: str | None) -> TensorSpec:
    dtype = str(getattr(fake, "dtype", None)).removeprefix("torch.")
    if dtype not in _DTYPES:
        raise ModelError(
            f"{path}: {name!r} is of the type {dtype if fake is not None else 'None'}.",
            hint=f"Inputs and outputs must be tensors of: {', '.join(_DTYPES)}.",
        )
    word = re.compile(rf"\b{symbol}\b")
    sizes = (size if isinstance(size, int) else word.sub("N", str(size)) for size in fake.shape)
    return TensorSpec(name, tuple(sizes), dtype)
