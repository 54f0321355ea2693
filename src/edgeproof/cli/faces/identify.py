"""`edgeproof faces identify`."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeproof.cli.faces.gallery_options import gallery_options
from edgeproof.cli.faces.options import faces_options
from edgeproof.cli.interrupt import drain_on_interrupt
from edgeproof.cli.options import output_options, workers_option
from edgeproof.cli.output import Output
from edgeproof.core.errors import UsageError

if TYPE_CHECKING:
    from edgeproof.library.faces.identify import FrameMatches
    from edgeproof.streams.events import StreamEvent

_SHOWN = 40


@dataclass
class _Seen:
    """What a run is summed up from."""

    frames: int = 0
    faces: int = 0
    errors: int = 0
    cut_short: bool = False
    names: Counter[str] = field(default_factory=Counter)
    best: dict[str, float] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def add(self, matches: FrameMatches) -> None:
        self.frames += 1
        self.faces += len(matches.found)
        if matches.error is not None:
            self.errors += 1
            if len(self.broken) < _SHOWN:
                self.broken.append(f"{matches.frame.name}: {matches.error}")
        for one in matches.found:
            name = one.match.name if one.match else "unknown"
            self.names[name] += 1
            if one.match and one.match.similarity is not None:
                self.best[name] = max(self.best.get(name, -1.0), one.match.similarity)


@click.command()
@click.argument("source", metavar="SOURCE")
@click.option(
    "--threshold",
    type=float,
    metavar="S",
    help="Least similarity, -1 to 1. Default: the gallery's own (`faces report --apply` sets it), else the model's.",
)
@click.option(
    "--margin", type=float, metavar="S", help="How far the second person must lie behind. Default: 0.05."
)
@click.option("--draw", metavar="DIR", help="Write each picture here with its faces and names drawn in.")
@click.option(
    "--mem-budget",
    metavar="SIZE",
    help="Memory that this process may have, such as 160MB. Batches adapt to it.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    help="End after so many pictures; a camera never ends on its own.",
)
@click.option("--jsonl", is_flag=True, help="Print one JSON line for each picture as soon as it is done.")
@gallery_options
@faces_options
@workers_option
@output_options
def identify(  # noqa: PLR0913 - one for each option
    output: Output,
    *,
    source: str,
    threshold: float | None,
    margin: float | None,
    draw: str | None,
    mem_budget: str | None,
    limit: int | None,
    jsonl: bool,
    open_gallery: Callable[..., Any],
    faces: dict[str, Any],
    workers: int | None,
) -> int:
    """Who of a gallery is in the pictures of a source.

    SOURCE is a photo, a folder, a pattern ("photos/*.jpg"), a video, of which every frame is looked at, or something
    live, of which the newest frame is: a camera (0, or /dev/video0) or a stream (rtsp://..., http://...). Videos and
    cameras need the extra `video`. A stream that drops is opened again. Ctrl-C takes no more pictures and finishes
    those that were begun. The exit code is 1 when a picture could not be read; the others are still done.

    \b
    Examples:
      edgeproof faces identify ~/Pictures --json
      edgeproof faces identify visit.mp4 --draw seen
      edgeproof faces identify rtsp://camera.local/stream --jsonl --mem-budget 160MB
    """
    from edgeproof.core.files import check_writable
    from edgeproof.core.sizes import parse_size
    from edgeproof.gallery.matching import check_bounds
    from edgeproof.library.faces import identify as library
    from edgeproof.library.faces.faces import Faces
    from edgeproof.library.faces.stream import FacesStream
    from edgeproof.library.gallery.search import threshold_for
    from edgeproof.streams.sources import frames, kind_of

    check_bounds(threshold, margin)
    budget = parse_size(mem_budget) if mem_budget else None
    live = kind_of(source) == "live"
    if live and output.json_wanted and limit is None:
        raise UsageError(
            "A live source never ends, so its one JSON document would never come.",
            hint="Use --jsonl for a line at a time, or --limit N.",
        )
    if draw:
        check_writable(Path(draw) / "picture.jpg")
    started, stop, seen = time.monotonic(), threading.Event(), _Seen()
    rows: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []

    def notify(event: StreamEvent) -> None:
        seen.cut_short |= event.kind == "cut short"
        if jsonl:
            output.line({"event": event.as_json()})
        elif len(events) < 1000:  # of a camera that comes and goes for months
            events.append(event.as_json())
        output.say(event.message, style="yellow")

    with Faces(**faces) as looker, output.progress() as step, drain_on_interrupt(stop) as interrupted:
        recognizer = looker.open().recognizer
        with open_gallery(model_digest=recognizer.digest, dimensions=recognizer.dimensions) as gallery:
            stream = FacesStream(looker, threads=workers, memory_budget=budget, notify=notify)
            looked = stream.run(_first(frames(source, notify=notify, stop=stop), limit), live=live, stop=stop)
            bound = threshold_for(gallery, looker) if threshold is None else threshold
            for matches in library.identify(looked, gallery, threshold=bound, margin=margin):
                seen.add(matches)
                if jsonl:
                    output.line(matches.as_json())
                elif output.json_wanted:
                    rows.append(matches.as_json())
                if draw:
                    library.write_drawn(matches, Path(draw), Path(source))
                step("looking at pictures", seen.frames, limit or seen.frames)
    seconds = time.monotonic() - started
    output.document({"images": rows, "events": events, "seconds": round(seconds, 3)})
    _show(output, seen, seconds, draw)
    return interrupted.exit_code or (1 if seen.errors or seen.cut_short else 0)


def _first(found: Iterator[Any], limit: int | None) -> Iterator[Any]:
    try:
        for number, frame in enumerate(found, start=1):
            yield frame
            if number == limit:
                return
    finally:
        found.close()  # type: ignore[attr-defined]  # frames() gives generators, and a camera must be let go


def _show(output: Output, seen: _Seen, seconds: float, draw: str | None) -> None:
    if seen.names:
        output.table(
            "Who was seen",
            ("who", ">faces", ">best similarity"),
            [
                (name, str(count), f"{seen.best[name]:.3f}" if name in seen.best else "")
                for name, count in seen.names.most_common(_SHOWN)
            ],
        )
    for line in seen.broken:
        output.say(line, style="red")
    output.say(
        f"{seen.frames} pictures: {seen.faces} faces, {seen.faces - seen.names['unknown']} of them known,"
        f" {seen.errors} errors; {seconds:.1f} s ({seen.frames / max(seconds, 1e-9):.1f} a second)."
    )
    if draw:
        output.say(f"The pictures with names drawn in are in {draw}.")
