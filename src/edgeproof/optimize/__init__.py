"""Passes: each takes a network and gives back one that is smaller or faster, and says what it did.

To write one, add a file here with one public function `name(model: onnx.ModelProto, ...) -> PassResult`:

- never change the argument: copy it first (`copy = onnx.ModelProto(); copy.CopyFrom(model)`);
- keep the names and shapes of the graph's inputs and outputs;
- `changed` is False, and `model` equal to what came, where there was nothing to do;
- `notes` tells a user, in whole sentences, what was done and what was left alone and why;
- what can't be used raises `ModelError`;
- import onnx inside the function, with `edgeproof.core.extras.require` (see `edgeproof.formats.graph.onnx_for`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class PassResult:
    """What a pass gives back.

    Attributes:
        model: the network after the pass.
        changed: whether it differs from what came in.
        notes: what was done, or why not, in words a user follows.
    """

    model: onnx.ModelProto
    changed: bool
    notes: tuple[str, ...]
