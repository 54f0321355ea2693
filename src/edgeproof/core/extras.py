"""Optional libraries: imported in the one place that uses them, and asked for by name when missing."""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType

from edgeproof.core.errors import MissingExtraError

_ONE_AT_A_TIME = threading.Lock()


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional module, or say exactly what to install.

    Raises:
        MissingExtraError: the module is not installed.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise  # the library is there and itself broken: its own message says more than ours would
        raise MissingExtraError(
            f"{purpose} needs the Python package {package}, which is not installed.",
            hint=f'Install it with: pip install "edgeproof[{extra}]"',
        ) from error


def require_openvino(purpose: str) -> ModuleType:
    """The openvino package, imported without the event that it sends to a statistics server while it loads.

    Raises:
        MissingExtraError: it is not installed.
    """
    import numpy as np  # who only asks whether a library is there does without it

    with _ONE_AT_A_TIME:
        absent = {"openvino_telemetry": None} if "openvino" not in sys.modules else {}
        before = {name: sys.modules[name] for name in absent if name in sys.modules}
        try:
            sys.modules.update(absent)  # type: ignore[arg-type]  # None is how Python marks "can't be imported"
            openvino = require("openvino", extra="openvino", purpose=purpose)
        finally:
            for name in absent:
                sys.modules.pop(name, None)
            sys.modules.update(before)
        # Its binding sets up numpy on first use, and hangs for good where two threads come first together (2026.4).
        openvino.Tensor(np.zeros(1, np.float32), shared_memory=False)
        return openvino
