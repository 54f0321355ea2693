"""edgeproof: fit a vision network to an edge device's budget, prove that it fits, and run it there.

    import edgeproof as ep

    ep.Orientation()("photo.jpg").turn                  # 90: turn it 90 degrees clockwise
    ep.fit_budget("orientation", data="photos", budget="p99<35ms, drop<1%").bundle
    ep.check_bundle("orientation.edge").verdict         # "ok"
    ep.Faces().get("family.jpg")[0].embedding           # the vector that tells this face from others
    ep.Attributes()("family.jpg")[0].age.years          # 34.2
    ep.Detector("yolox-nano")("street.jpg").xyxy        # boxes, with their confidence and class_id

Everything is imported on first use: `import edgeproof` alone loads no library.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from edgeproof._version import __version__

if TYPE_CHECKING:
    from edgeproof.bundles.bundle import Bundle, open_bundle
    from edgeproof.core.attributes import FaceAttributes
    from edgeproof.core.budget import Budget
    from edgeproof.core.detections import Detections
    from edgeproof.core.errors import EdgeproofError
    from edgeproof.core.faces import Face
    from edgeproof.core.results import OrientationResult
    from edgeproof.engines import open_engine
    from edgeproof.fit.check import CheckResult
    from edgeproof.fit.check import check as check_bundle
    from edgeproof.fit.result import FitResult
    from edgeproof.fit.run import fit as fit_budget
    from edgeproof.library.attributes.attributes import Attributes
    from edgeproof.library.detect.detector import Detector
    from edgeproof.library.faces.faces import Faces
    from edgeproof.tasks.orientation import Orientation

# ONNX Runtime's Linux builds from 1.29 on send usage events and keep an identifier in the home folder; the only
# way to stop all of it is this variable, set before it is imported. Who wants it otherwise can say so.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_PUBLIC = {
    "Attributes": "edgeproof.library.attributes.attributes:Attributes",
    "Budget": "edgeproof.core.budget:Budget",
    "Bundle": "edgeproof.bundles.bundle:Bundle",
    "CheckResult": "edgeproof.fit.check:CheckResult",
    "Detections": "edgeproof.core.detections:Detections",
    "Detector": "edgeproof.library.detect.detector:Detector",
    "EdgeproofError": "edgeproof.core.errors:EdgeproofError",
    "Face": "edgeproof.core.faces:Face",
    "FaceAttributes": "edgeproof.core.attributes:FaceAttributes",
    "Faces": "edgeproof.library.faces.faces:Faces",
    "FitResult": "edgeproof.fit.result:FitResult",
    "Orientation": "edgeproof.tasks.orientation:Orientation",
    "OrientationResult": "edgeproof.core.results:OrientationResult",
    "check_bundle": "edgeproof.fit.check:check",
    "fit_budget": "edgeproof.fit.run:fit",
    "open_bundle": "edgeproof.bundles.bundle:open_bundle",
    "open_engine": "edgeproof.engines:open_engine",
}

__all__ = [
    "Attributes",
    "Budget",
    "Bundle",
    "CheckResult",
    "Detections",
    "Detector",
    "EdgeproofError",
    "Face",
    "FaceAttributes",
    "Faces",
    "FitResult",
    "Orientation",
    "OrientationResult",
    "__version__",
    "check_bundle",
    "fit_budget",
    "open_bundle",
    "open_engine",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'edgeproof' has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
