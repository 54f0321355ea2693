"""pnnx's .param text with the network's own names in it, and the shapes that ncnn doesn't keep."""

from __future__ import annotations

from collections.abc import Callable

from edgeproof.formats.to_ncnn.convert import Converted
from edgeproof.formats.to_ncnn.prepare import Prepared, Shape
from edgeproof.formats.to_ncnn.refuse import CHANGE, Refusal

# The keys of the Input layer's sizes (ncnn's src/layer/input.cpp), by how many axes there are: w, h, d, c.
_SIZE_KEYS = {1: ("0",), 2: ("1", "0"), 3: ("2", "1", "0"), 4: ("2", "11", "1", "0")}

# What pnnx calls the layers that it has for an operator and ncnn lacks, where it isn't the operator's own name.
_NUMBER = "pnnx.Expression"
_ALSO = {
    "Tensor.slice": ("Slice",),
    "Tensor.to": ("Cast",),
    "torch.where": ("Where",),
    "torch.gt": ("Greater",),
    "torch.lt": ("Less",),
    "torch.ge": ("GreaterOrEqual",),
    "torch.le": ("LessOrEqual",),
    "torch.eq": ("Equal",),
    "torch.ne": ("Not",),
    "torch.topk": ("TopK",),
    "torch.gather": ("GatherElements",),
    "Tensor.index": ("Gather", "GatherND"),
    "Tensor.expand": ("Expand",),
    "torch.tile": ("Tile",),
    "F.max_pool2d": ("MaxPool",),
    "F.avg_pool2d": ("AveragePool",),
    "F.linear": ("Gemm",),
}


def unknown_layers(text: str, prepared: Prepared, known: Callable[[str], bool]) -> list[Refusal]:
    """The nodes behind the layers of a .param that ncnn lacks.

    pnnx doesn't keep names: where it kept all nodes of an operator as they were, those; else all of that operator.

    Arguments:
        text: the .param, as pnnx wrote it.
        prepared: the network.
        known: whether ncnn has a layer of a type.
    """
    kinds = {line.split()[0]: None for line in text.splitlines()[2:] if line.strip()}
    if [kind for kind in kinds if not known(kind)] != [_NUMBER]:
        kinds.pop(_NUMBER, None)  # what needs the number is named itself
    found = []
    for kind in kinds:
        if known(kind):
            continue
        wanted = _ALSO.get(kind, (kind,))
        nodes = [(name, operator) for name, operator in prepared.nodes if operator in wanted]
        advice = CHANGE if len(nodes) == 1 else f"pnnx doesn't say which {wanted[0]} it is. {CHANGE}"
        found += [Refusal(name, operator, advice) for name, operator in nodes] or [
            Refusal("in pnnx's words", kind, CHANGE)
        ]
    return found


def rewrite_param(text: str, made: Converted, prepared: Prepared) -> str:
    """The final text of a .param.

    ncnn doesn't read what follows the layers that it counts: there the shapes that the ONNX network had stand, with a
    batch of 1, as lines `# edgeproof input NAME 1x3x8x8` and `# edgeproof output ...` for our ncnn engine.
    """
    names = {f"in{place}": name for place, name in enumerate(prepared.inputs)}
    names |= {f"out{place}": name for place, name in enumerate(prepared.outputs)}
    given = set(names.values())
    sizes = {
        name: shape[1:] if batched else shape
        for (name, shape), batched in zip(prepared.inputs.items(), made.batched, strict=True)
    }

    def new(name: str) -> str:
        if name not in names:  # pnnx counts its tensors, and 758 may be what the network calls an output
            fresh = name
            while fresh in given:
                fresh += "_"
            given.add(fresh)
            names[name] = fresh
        return names[name]

    magic, counts, *layers = text.splitlines()
    lines = [magic, counts]
    for layer in layers:
        kind, name, bottoms, tops = layer.split(maxsplit=4)[:4]
        ends = 4 + int(bottoms) + int(tops)
        words = layer.split(maxsplit=ends)
        blobs, settings = [new(blob) for blob in words[4:ends]], words[ends:]
        if kind == "Input":
            name, settings = blobs[0], _input_sizes(sizes[blobs[0]])
        lines.append(" ".join([f"{kind:<24} {name:<24} {bottoms} {tops}", *blobs, *settings]))
    lines += [f"# edgeproof input {name} {_times(shape)}" for name, shape in prepared.inputs.items()]
    lines += [
        f"# edgeproof output {name} {_times(shape)}"
        for name, shape in zip(prepared.outputs, made.outputs, strict=True)
    ]
    return "\n".join(lines) + "\n"


def _input_sizes(shape: Shape) -> list[str]:
    return sorted(f"{key}={size}" for key, size in zip(_SIZE_KEYS[len(shape)], shape, strict=True))


def _times(shape: Shape) -> str:
    return "x".join(map(str, shape))
