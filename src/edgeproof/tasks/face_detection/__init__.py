"""Where are the faces of a picture? Decoders for the families of detectors, and the one class that uses them."""

from __future__ import annotations

from edgeproof.tasks.face_detection.detector import FaceDetector
from edgeproof.tasks.face_detection.task import FaceDetectionTask

__all__ = ["FaceDetectionTask", "FaceDetector"]
