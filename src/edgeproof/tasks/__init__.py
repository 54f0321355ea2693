"""One file for each task: prepare a picture, decode the outputs, score them. They never import each other."""

from __future__ import annotations

from edgeproof.core.registry import Registry

TASKS = Registry("task", {"orientation": "edgeproof.tasks.orientation:OrientationTask"})
