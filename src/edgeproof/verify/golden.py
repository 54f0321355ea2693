"""Does an open engine give the golden outputs of its bundle?"""

from __future__ import annotations

import numpy as np

from edgeproof.bundles.bundle import Bundle
from edgeproof.core.errors import BundleError
from edgeproof.core.protocols import Engine
from edgeproof.verify.outputs import compare_outputs


def replay_golden(bundle: Bundle, engine: Engine) -> tuple[float, float]:
    """Run the golden inputs one by one; the largest absolute and relative difference from the golden outputs.

    Raises:
        BundleError: there are no golden tensors, or the engine is older than the bundle needs.
    """
    golden, need = bundle.golden(), bundle.manifest.engine
    if not golden.inputs or not golden.outputs:
        raise BundleError("The bundle has no golden tensors.", hint="Build it again with `edgeproof fit`.")
    if _version(engine.info.version) < _version(need.minimum_version):
        raise BundleError(
            f"It needs {need.name} {need.minimum_version}; {engine.info.version} is installed.",
            hint=f'Update it: pip install -U "{need.name}>={need.minimum_version}"',
        )
    rows = len(next(iter(golden.inputs.values())))
    answers = [
        engine.run({name: array[row : row + 1] for name, array in golden.inputs.items()})
        for row in range(rows)
    ]
    outputs = {name: np.concatenate([answer[name] for answer in answers]) for name in golden.outputs}
    differences = compare_outputs(golden.outputs, outputs)
    return max(one.max_abs for one in differences), max(one.max_rel for one in differences)


def check_golden(bundle: Bundle, engine: Engine) -> None:
    """Refuse a bundle whose outputs here are not those where it was made.

    Raises:
        BundleError: they differ by more than its tolerance, or can't be compared.
    """
    tolerance = bundle.manifest.tolerance
    _, max_rel = replay_golden(bundle, engine)
    if not max_rel <= tolerance:
        raise BundleError(differs(max_rel, tolerance), hint="Fit the network again on this machine.")


def differs(max_rel: float, tolerance: float) -> str:
    """In words."""
    return f"Its outputs differ from the golden ones by {max_rel:.2g} of the largest; {tolerance:.2g} is allowed."


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
