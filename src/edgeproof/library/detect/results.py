"""Detections as files: YOLO's text, COCO's JSON, and pictures and videos with the boxes drawn in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.core.detections import Detections
from edgeproof.core.files import write_atomically
from edgeproof.core.protocols import Pixels
from edgeproof.imaging.draw import draw
from edgeproof.library.detect.detector import ImageDetections, picture_path
from edgeproof.library.drawn import beside, copy_name, free_name, write_drawn
from edgeproof.streams.frame import Frame
from edgeproof.streams.video_writer import VideoWriter, frame_rate, video_name


class Names:
    """A name for each picture's files in one folder: that below its source, a number added where it is taken."""

    def __init__(self) -> None:
        self._taken: set[Path] = set()

    def name(self, report: ImageDetections, source: str, suffix: str | None = None) -> Path:
        """The relative name for a report of that source; `suffix` None for that of a drawn copy."""
        path, folder = picture_path(report), Path(source)
        name = path.relative_to(folder) if path.is_relative_to(folder) and path != folder else Path(path.name)
        return self.free(copy_name(name) if suffix is None else name.with_suffix(suffix))

    def free(self, name: Path) -> Path:
        """That name, or one like it that is not taken; it is taken then."""
        return free_name(name, self._taken)


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
        tracks = found.data.get("track_id", np.full(len(found), -1)).tolist()
        rows = zip(found.xyxy.tolist(), found.confidence, found.class_id, tracks, strict=True)
        for box, score, kind, track in rows:
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
                    **({"track_id": track} if track >= 0 else {}),
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


def annotated(report: ImageDetections) -> Pixels:
    """A copy of a report's picture, which has its pixels, with boxes, names, numbers of tracks and scores drawn in."""
    assert report.pixels is not None
    high, wide = report.pixels.shape[:2]
    scale = np.array([wide / (report.width or wide), high / (report.height or high)] * 2)
    found = report.detections
    said = found.data.get("class_name", found.class_id)
    tracks = found.data.get("track_id", np.full(len(found), -1))
    labels = [
        f"#{track} {name} {score:.2f}" if track >= 0 else f"{name} {score:.2f}"
        for name, track, score in zip(said, tracks, found.confidence, strict=True)
    ]
    return draw(report.pixels, found.xyxy * scale, labels)


class ResultFiles:
    """The files of one source's reports: drawn pictures, or a drawn video of a video, and YOLO's texts.

    Arguments:
        source: as it was given to `Detector.stream`.
        names: those taken in the folder of drawn copies, and in that of texts.
        draw_in, yolo_in: the folders; None for no such files.

    Use as a context manager: a video is in its place when the block ends, by an error or Ctrl-C too.
    """

    def __init__(
        self, source: str, names: tuple[Names, Names], draw_in: Path | None, yolo_in: Path | None
    ) -> None:
        self._source, self._names, self._draw_in, self._yolo_in = source, names, draw_in, yolo_in
        self._video: VideoWriter | None = None

    def write(self, report: ImageDetections) -> None:
        """Write the files of one report.

        Raises:
            StorageError: they can't be written.
            MissingExtraError: a video needs OpenCV.
        """
        frame = report.frame
        if self._draw_in is not None and frame is not None and frame.time_s is not None and not frame.live:
            self._add_to_video(report, frame, self._draw_in)
        if report.error is not None or report.width is None or report.height is None:
            return
        if self._draw_in is not None and self._video is None:
            name = self._names[0].name(report, self._source)
            write_drawn(annotated(report), self._draw_in / name, frame.path if frame else None)
        if self._yolo_in is not None:
            text = yolo_text(report.detections, report.width, report.height)
            name = self._names[1].name(report, self._source, ".txt")
            write_atomically(self._yolo_in / name, text.encode())

    def _add_to_video(self, report: ImageDetections, frame: Frame, folder: Path) -> None:
        if self._video is None:
            name = self._names[0].free(Path(video_name(self._source)))
            self._video = VideoWriter(beside(folder / name, frame.path), frame_rate(self._source))
        # A frame that nothing could be found in has its place in the video all the same.
        self._video.write(frame.pixels() if report.pixels is None else annotated(report))

    def __enter__(self) -> ResultFiles:
        return self

    def __exit__(self, *error: object) -> None:
        if self._video is not None:
            self._video.close()
