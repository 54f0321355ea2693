"""What `fit` can fit: one file for each task, which says what to show a network and how to judge its answers."""

from __future__ import annotations

from edgeproof.core.registry import Registry

# Each is a function: `Source` to `FitTask`, both in `protocol`.
TASKS = Registry(
    "task",
    {
        "orientation": "edgeproof.fit.targets.orientation:open_orientation",
        "detect": "edgeproof.fit.targets.detect:open_detect",
        "face-detection": "edgeproof.fit.targets.face_detection:open_face_detection",
        "face-recognition": "edgeproof.fit.targets.face_recognition:open_face_recognition",
        "attributes": "edgeproof.fit.targets.attributes:open_attributes",
    },
)
