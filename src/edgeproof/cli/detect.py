"""`edgeproof detect`."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeproof.cli.detect_options import detector_options
from edgeproof.cli.interrupt import drain_on_interrupt
from edgeproof.cli.options import output_options, workers_option
from edgeproof.cli.output import Output
from edgeproof.core.errors import DataError, EdgeproofError, NotFoundError, SourceError, UsageError

if TYPE_CHECKING:
    from edgeproof.library.detect.detector import ImageDetections
    from edgeproof.streams.events import StreamEvent

_SHOWN = 40
_SIZES = 4
_TIMED = 1000


@dataclass
class _Seen:
    """What a run is summed up from; it stays small however long the run is."""

    pictures: int = 0
    objects: int = 0
    with_objects: int = 0
    errors: int = 0
    cut_short: bool = False
    lost: list[dict[str, Any]] = field(default_factory=list)
    input_sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    followed: dict[str, int] = field(default_factory=dict)  # the highest number in each source
    rows: list[tuple[str, str]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    timing: deque[dict[str, float]] = field(default_factory=lambda: deque(maxlen=_TIMED))

    def add(self, report: ImageDetections, source: str) -> None:
        self.pictures += 1
        self.objects += len(report.detections)
        self.with_objects += bool(len(report.detections))
        if report.error is not None:
            self.errors += 1
            if len(self.broken) < _SHOWN:
                self.broken.append(f"{report.name}: {report.error}")
        elif len(report.detections) and len(self.rows) < _SHOWN:
            self.rows.append((report.name, _counted(report)))
        tracks = report.detections.data.get("track_id", ())
        self.followed[source] = max([0, self.followed.get(source, 0), *tracks])
        if report.timing_ms:
            self.timing.append(report.timing_ms)
        if report.input_size is not None:
            self.input_sizes[report.input_size] += 1

    def lose(self, source: str, error: EdgeproofError) -> None:
        """A source ended with an error; what it and others gave before stays."""
        from edgeproof.streams.capture import without_secrets

        self.lost.append({"source": without_secrets(source), "error": error.as_json()})


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--conf", type=float, metavar="P", help="The score, 0 to 1, from which a candidate is an object."
)
@click.option("--classes", metavar="NAME,...", help="Only these classes, by name or number.")
@click.option(
    "--draw", metavar="DIR", help="Write a copy of every picture or video here, its objects drawn in."
)
@click.option(
    "--track",
    is_flag=True,
    help="Give each object of a video or stream a number, track_id, that it keeps from frame to frame.",
)
@click.option(
    "--yolo", metavar="DIR", help="Write a text file for every picture: class, cx, cy, w, h, score."
)
@click.option("--coco", metavar="FILE", help="Write all detections to one JSON file of COCO's kind.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    help="End after so many pictures of a source; a camera never ends on its own.",
)
@click.option("--jsonl", is_flag=True, help="Print one JSON line for each picture as soon as it is done.")
@detector_options
@workers_option
@output_options
def detect(  # noqa: PLR0913 - one for each option
    output: Output,
    *,
    sources: tuple[str, ...],
    conf: float | None,
    classes: str | None,
    draw: str | None,
    track: bool,
    yolo: str | None,
    coco: str | None,
    limit: int | None,
    jsonl: bool,
    detector: dict[str, Any],
    workers: int | None,
) -> int:
    """Find the objects in pictures and videos: boxes, classes, scores.

    SOURCE is a picture, a folder, a pattern such as 'photos/*.jpg', a video, a camera (0, 1...) or a stream's address.
    The family of the network (YOLOv5 to YOLO26, YOLOX, NanoDet, FastestDet, SSD, RetinaNet) is told by its outputs.
    Ctrl-C takes no more pictures and finishes those that were begun. The exit code is 1 when a picture could not be
    read; the others are still done.

    \b
    Examples:
      edgeproof models pull yolox-nano
      edgeproof detect street.jpg --model yolox-nano --draw drawn
      edgeproof detect ~/Pictures --model mine.onnx --conf 0.5 --classes person,dog --json
      edgeproof detect clip.mp4 --model yolox-nano --coco found.json
      edgeproof detect clip.mp4 --model yolox-nano --track --draw drawn
      edgeproof detect rtsp://camera.local/stream --model yolox-nano --jsonl
      edgeproof detect evaluate --images coco/images --labels coco/labels --model yolox-nano
    """
    from edgeproof.core.files import check_writable
    from edgeproof.devices.host import usable_cores
    from edgeproof.library.detect.detector import Detector
    from edgeproof.library.detect.results import Names, ResultFiles, write_coco

    for place in (draw and f"{draw}/picture", yolo and f"{yolo}/text", coco):
        if place:
            check_writable(place)
    _check_ends(sources, limit, whole=output.json_wanted or coco is not None)
    wanted = None if classes is None else [one for one in classes.split(",") if one.strip()]
    started, stop, seen, names = time.monotonic(), threading.Event(), _Seen(), (Names(), Names())
    kept: list[ImageDetections] = []

    def notify(event: StreamEvent) -> None:
        seen.cut_short |= event.kind == "cut short"
        output.say(event.message, style="yellow")

    with (
        Detector(**detector, confidence=conf, classes=wanted) as finder,
        output.progress(rate="pictures") as step,
        drain_on_interrupt(stop) as interrupted,
    ):
        finder.open()
        for source in sources:
            stop.clear()  # it is set at the end of each source
            if interrupted.signal:
                break
            with ResultFiles(
                source, names, Path(draw) if draw else None, Path(yolo) if yolo else None
            ) as files:
                found = finder.stream(
                    source,
                    workers=workers or usable_cores(),
                    keep_pixels=bool(draw),
                    limit=limit,
                    stop=stop,
                    notify=notify,
                    track=track,
                )
                for report in _until_lost(found, source, seen):
                    files.write(report)
                    seen.add(report, source)
                    if jsonl:
                        output.line(report.as_json())
                    if coco or (output.json_wanted and not jsonl):
                        kept.append(report.without_pixels())
                    step("finding objects", seen.pictures, 0)
        if coco:
            write_coco(Path(coco), kept, finder.task.names)
    if not jsonl:
        output.document({"images": [report.as_json() for report in kept], "lost": seen.lost})
    _show(output, seen, time.monotonic() - started)
    _tell_places(output, draw, yolo, coco)
    return interrupted.exit_code or (1 if seen.errors or seen.cut_short or seen.lost else 0)


def _until_lost(found: Iterator[ImageDetections], source: str, seen: _Seen) -> Iterator[ImageDetections]:
    """The reports of a source. Its error ends it, but not the run, once there is something to show."""
    try:
        yield from found
    except (SourceError, DataError, NotFoundError) as error:
        if not seen.pictures:
            raise
        seen.lose(source, error)


def _check_ends(sources: Sequence[str], limit: int | None, *, whole: bool) -> None:
    from edgeproof.streams.sources import kind_of

    live = [source for source in sources if kind_of(source) == "live"]
    if live and limit is None and whole:
        raise UsageError(
            "A live source never ends, so its one JSON document would never come.",
            hint="Use --jsonl for a line at a time, or --limit N.",
        )


def _tell_places(output: Output, draw: str | None, yolo: str | None, coco: str | None) -> None:
    for what, where in (
        ("Copies with the objects drawn in", draw),
        ("The text files", yolo),
        ("All detections", coco),
    ):
        if where:
            output.say(f"{what} are in {where}.")


def _show(output: Output, seen: _Seen, seconds: float) -> None:
    if seen.rows:
        output.table("Objects", ("picture", "found"), seen.rows)
    if seen.with_objects > len(seen.rows):
        output.say(f"... and {seen.with_objects - len(seen.rows)} more; --json has them all.")
    for line in seen.broken:
        output.say(line, style="red")
    if seen.errors > len(seen.broken):
        output.say(f"... and {seen.errors - len(seen.broken)} more; --json has them all.", style="red")
    for row in seen.lost:
        output.say(f"{row['source']}: {row['error']['message']} {row['error']['hint'] or ''}", style="red")
    if len(seen.input_sizes) > 1:
        sizes = ", ".join(f"{w} x {h} ({n})" for (w, h), n in seen.input_sizes.most_common(_SIZES))
        more = f" and {len(seen.input_sizes) - _SIZES} more" if len(seen.input_sizes) > _SIZES else ""
        output.say(f"The network takes any size; it was shown {sizes}{more}.")
    output.say(
        f"{seen.pictures} pictures: {seen.objects} objects, {seen.errors} errors; {seconds:.1f} s"
        f" ({seen.pictures / max(seconds, 1e-9):.1f} a second)."
    )
    if followed := sum(seen.followed.values()):
        output.say(f"{followed} objects were followed from picture to picture.")
    if seen.timing:
        middle = {name: statistics.median(one[name] for one in seen.timing) for name in seen.timing[0]}
        output.say(
            f"A picture's median: decode {middle['decode']:.1f} ms, prepare {middle['prepare']:.1f}, "
            f"network {middle['run']:.1f}, result {middle['decode_result']:.1f}."
        )


def _counted(report: ImageDetections) -> str:
    found = report.detections
    said = found.data.get("class_name", found.class_id)
    counts = Counter(map(str, said)).most_common()
    return ", ".join(f"{count} {name}" if count > 1 else name for name, count in counts)
