"""Detections as files: YOLO's text, COCO's JSON, a line of JSON each, and pictures with the boxes drawn in."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.core.detections import Detections
from edgeproof.core.files import write_atomically
from edgeproof.imaging.draw import draw
from edgeproof.library.detect import ImageDetections, picture_path

_DRAWN = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}
# What JPEG can hold at the most.
_JPEG_SIDE = 65_500


class Names:
    """A name for each picture's files in one folder: that below its source, a number added where it is taken."""

    def __init__(self) -> None:
        self._taken: set[Path] = set()

    def name(self, report: ImageDetections, source: str, suffix: str | None = None) -> Path:
        """The relative name for a report of that source; `suffix` None for that of a drawn copy."""
        path, folder = picture_path(report), Path(source)
        name = path.relative_to(folder) if path.is_relative_to(folder) and path != folder else Path(path.name)
        if suffix is not None:
            name = name.with_suffix(suffix)
        elif name.suffix.lower() not in _DRAWN:
            name = name.with_name(f"{name.name}.png")
        free, number = name, 2
        while free in self._taken:
            free, number = name.with_name(f"{name.stem}-{number}{name.suffix}"), number + 1
        self._taken.add(free)
        return free


def yolo_text(found: Detections, width: int, height: int) -> str:
    """A line for each: class, centre and size as shares of the picture's sides, score."""
    boxes = found.xyxy.astype(np.float64) / [width, height, width, height]
    rows = np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)
    return "".join(
        f"{kind} {x:.6f} {y:.6f} {w:.6f} {h:.6f} {score:.6f}\n"
        for kind, (x, y, w, h), score in zip(found.class_id, rows, found.confidence, strict=True)
    )


def coco_document(reports: Sequence[ImageDetections], names: Sequence[str] | None) -> dict[str, Any]:
    """A document of COCO's kind with a score in each annotation; the id of a category is its class plus 1."""
    known = list(names or ())
    most = max((int(report.detections.class_id.max(initial=-1)) for report in reports), default=-1) + 1
    known += [str(place) for place in range(len(known), most)]
    annotations: list[dict[str, Any]] = []
    for image, report in enumerate(reports, start=1):
        found = report.detections
        for box, score, kind in zip(found.xyxy.tolist(), found.confidence, found.class_id, strict=True):
            left, top, right, bottom = box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(kind) + 1,
                    "bbox": [round(value, 2) for value in (left, top, right - left, bottom - top)],
                    "area": round((right - left) * (bottom - top), 2),
                    "iscrowd": 0,
                    "score": round(float(score), 6),
                }
            )
    return {
        "images": [
            {"id": image, "file_name": report.name, "width": report.width, "height": report.height}
            for image, report in enumerate(reports, start=1)
        ],
        "annotations": annotations,
        "categories": [{"id": place + 1, "name": name} for place, name in enumerate(known)],
    }


def write_coco(path: Path, reports: Sequence[ImageDetections], names: Sequence[str] | None) -> None:
    """Write that document, whole or not at all.

    Raises:
        StorageError: it can't be written there.
    """
    write_atomically(path, json.dumps(coco_document(reports, names), ensure_ascii=True).encode())


def drawn(report: ImageDetections, name: Path) -> bytes:
    """An encoded copy of a report's picture, which has its pixels, with boxes, names and scores drawn in."""
    from PIL import Image

    assert report.pixels is not None
    high, wide = report.pixels.shape[:2]
    scale = np.array([wide / (report.width or wide), high / (report.height or high)] * 2)
    found = report.detections
    said = found.data.get("class_name", found.class_id)
    labels = [f"{one} {score:.2f}" for one, score in zip(said, found.confidence, strict=True)]
    image = Image.fromarray(draw(report.pixels, found.xyxy * scale, labels))
    kind = "PNG" if max(image.size) > _JPEG_SIDE else _DRAWN.get(name.suffix.lower(), "PNG")
    file = io.BytesIO()
    options: dict[str, Any] = {"quality": 90} if kind == "JPEG" else {}
    image.save(file, kind, **options)
    return file.getvalue()


def writer(
    source: str, names: tuple[Names, Names], draw_in: Path | None, yolo_in: Path | None
) -> Callable[[ImageDetections], None]:
    """What writes one report's files; errors as `write_atomically`."""

    def write(report: ImageDetections) -> None:
        if report.error is not None or report.width is None or report.height is None:
            return
        if draw_in is not None:
            name = names[0].name(report, source)
            write_atomically(draw_in / name, drawn(report, name))
        if yolo_in is not None:
            text = yolo_text(report.detections, report.width, report.height)
            write_atomically(yolo_in / names[1].name(report, source, ".txt"), text.encode())

    return write
