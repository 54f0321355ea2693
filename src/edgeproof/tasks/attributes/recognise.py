"""Which family a network is of. To add one: a file with a `Family`, and a row here."""

from __future__ import annotations

from collections.abc import Sequence

from edgeproof.core.errors import ModelError
from edgeproof.core.tensor import TensorSpec
from edgeproof.tasks.attributes.fairface import FairFace
from edgeproof.tasks.attributes.family import Family
from edgeproof.tasks.attributes.levi_hassner import LeviHassner
from edgeproof.tasks.attributes.ssrnet import SsrNet

FAMILIES: tuple[type[Family], ...] = (FairFace, LeviHassner, SsrNet)


def recognise(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> Family:
    """The family of a network with these inputs and outputs.

    Raises:
        ModelError: none fits.
    """
    for kind in FAMILIES:
        found = kind.match(inputs, outputs)
        if found is not None:
            return found
    has = ", ".join(map(str, (*inputs, *outputs)))
    raise ModelError(
        f"This is no network for age or gender: it has {has}.",
        hint="Expected, " + "; ".join(f"for {kind.name}: {kind.expects}" for kind in FAMILIES) + ".",
    )
