"""Where are the objects of a picture? Decoders for the families of detectors, and the one class that uses them."""

from __future__ import annotations

from edgeproof.tasks.detection.detector import ObjectDetector
from edgeproof.tasks.detection.task import DetectionTask

__all__ = ["DetectionTask", "ObjectDetector"]
