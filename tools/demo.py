"""Show edgeproof from end to end: fit the orientation network to photos, then put turned copies of them upright.

    python tools/demo.py [--photos DIR] [--out demo]

Without --photos it uses the public sample photographs that scikit-image ships. It calls the command line as
a user would, and writes nothing outside the folder --out.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont, ImageOps

from edgeproof.core.errors import EdgeproofError, ImageError
from edgeproof.imaging.decode import decode
from edgeproof.imaging.find import find_photos

SAMPLES = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
MADE = ("photos", "turned", "upright")
MARKER = ".made-by-edgeproof-demo"
MOST_PHOTOS = 200
LONG_SIDE = 1280
JPEG_QUALITY = 92
CELL, CAPTION, SHEET_ROWS, SHEET_PAIRS = 180, 34, 6, 3


def main() -> int:
    """Run every step; the exit code is that of the first command that failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, help="your own photos, standing upright; they are only read")
    parser.add_argument(
        "--out", type=Path, default=Path("demo"), help="where everything goes (default: demo)"
    )
    given = parser.parse_args()
    started = time.monotonic()
    try:
        return show(given.photos.expanduser() if given.photos else None, given.out, started)
    except (EdgeproofError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted; run it again to start anew.", file=sys.stderr)
        return 130


def show(own: Path | None, out: Path, started: float) -> int:
    """The demo itself."""
    sources = find_photos([own]) if own else sample_photos()
    make_room(out)
    photos = copy_upright(sources, out / "photos")
    if not photos:
        print(f"demo: there is no photo in {own} that can be used.", file=sys.stderr)
        return 1
    whose = f"of {own}" if own else "that scikit-image ships"
    say(f"1. {len(photos)} photos {whose}; fit tries the network in several ways and measures each")
    bundle = out / "orientation.edge"
    # In one thread each: enough to see the choice, in half the time.
    fitted, fit = edgeproof(
        "fit", "orientation", "--data", out / "photos", "--threads", 1, "--out", bundle, keep=out / "fit.json"
    )
    if fitted or fit is None:
        return fitted or 1
    turned = turn_all(photos, out / "turned")
    say(
        f"2. The same photos turned by 90, 180 and 270 degrees: {len(turned)} pictures; rotate puts them upright"
    )
    rotated, found = edgeproof(
        "rotate",
        out / "turned",
        "--model",
        bundle,
        "--turns",
        4,
        "--out",
        out / "upright",
        keep=out / "rotate.json",
    )
    if rotated or found is None:
        return rotated or 1
    sheet = contact_sheet(found["photos"], out / "before-after.jpg")
    closing_words(found["photos"], fit, turned, sheet)
    print(f"Done in {time.monotonic() - started:.0f} s.")
    return 0


def sample_photos() -> list[Path]:
    """The sample photographs in scikit-image's own folder; its loaders would fetch what is missing."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise EdgeproofError(
            "The sample photographs come with scikit-image, which is not installed.",
            hint='Install it with: pip install "edgeproof[demo]", or give your own with --photos DIR.',
        )
    folder = Path(spec.origin).parent / "data"
    return [folder / name for name in SAMPLES if (folder / name).is_file()]


def make_room(out: Path) -> None:
    """Make `out`, and remove from it what an earlier demo made; a folder of anything else is left alone."""
    if out.exists() and any(out.iterdir()) and not (out / MARKER).exists():
        raise EdgeproofError(
            f"{out} holds something that no demo made.",
            hint="Give another folder with --out, or move it away.",
        )
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).touch()
    for name in MADE:
        shutil.rmtree(out / name, ignore_errors=True)
        (out / name).mkdir()


def copy_upright(sources: list[Path], folder: Path) -> list[Path]:
    """Upright JPEGs of at most LONG_SIDE pixels; of many photos an even sample."""
    if len(sources) > MOST_PHOTOS:
        print(f"Taking {MOST_PHOTOS} of {len(sources)} photos, evenly spread.")
        sources = [sources[index * len(sources) // MOST_PHOTOS] for index in range(MOST_PHOTOS)]
    made = []
    for number, source in enumerate(sources):
        try:
            picture = Image.fromarray(decode(source, cover=LONG_SIDE).pixels)
        except ImageError as error:
            print(f"Skipped: {error}", file=sys.stderr)
            continue
        picture.thumbnail((LONG_SIDE, LONG_SIDE))
        made.append(folder / f"{number:03d}-{source.stem}.jpg")
        picture.save(made[-1], quality=JPEG_QUALITY)
    return made


def turn_all(photos: list[Path], folder: Path) -> dict[str, int]:
    """Each photo with its pixels turned; the clockwise turn that puts it right, by file name."""
    turns = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
    truth = {}
    for photo in photos:
        with Image.open(photo) as picture:
            for turn, transpose in turns.items():  # Pillow turns counter-clockwise
                name = f"{photo.stem}-{turn}.jpg"
                picture.transpose(transpose).save(folder / name, quality=JPEG_QUALITY)
                truth[name] = turn
    return truth


def edgeproof(verb: str, *arguments: object, keep: Path) -> tuple[int, dict[str, Any] | None]:
    """Run the command line, show what it shows, keep its JSON: its exit code and the document."""
    words = [verb, *map(str, arguments), "--json"]
    print(f"\n$ edgeproof {shlex.join(words)} > {shlex.quote(str(keep))}", flush=True)
    wide = {} if sys.stderr.isatty() else {"COLUMNS": "110"}  # a log has no width of its own
    done = subprocess.run(
        [sys.executable, "-m", "edgeproof", *words],
        stdout=subprocess.PIPE,
        env=os.environ | wide,
        check=False,
    )
    keep.write_bytes(done.stdout)
    return done.returncode, json.loads(done.stdout) if done.stdout else None


def contact_sheet(rows: list[dict[str, Any]], path: Path) -> Path:
    """Pairs of pictures: turned, and what edgeproof made of it with its decision below."""
    font = ImageFont.load_default(13)
    shown = rows[: SHEET_ROWS * SHEET_PAIRS]
    pair = 2 * CELL + 30
    lines = -(-len(shown) // SHEET_PAIRS)
    sheet = Image.new("RGB", (SHEET_PAIRS * pair + 10, lines * (CELL + CAPTION) + 10), "white")
    draw = ImageDraw.Draw(sheet)
    for index, row in enumerate(shown):
        left, top = index % SHEET_PAIRS * pair + 10, index // SHEET_PAIRS * (CELL + CAPTION) + 10
        for column, file in enumerate((row["path"], row["copy"])):
            with Image.open(file) as picture:
                small = ImageOps.pad(ImageOps.exif_transpose(picture), (CELL, CELL), color="whitesmoke")
            sheet.paste(small, (left + column * (CELL + 6), top))
        turn = f"turn {row['turn']}° clockwise" if row["decision"] == "turn" else row["decision"]
        colour = {"turn": "darkgreen", "unsure": "dimgray"}.get(row["decision"], "firebrick")
        draw.text((left, top + CELL + 4), "turned", "dimgray", font)
        draw.text((left + CELL + 6, top + CELL + 4), f"{turn}, {row['confidence']:.3f}", colour, font)
    sheet.save(path, quality=JPEG_QUALITY)
    return path


def closing_words(
    rows: list[dict[str, Any]], fit: dict[str, Any], truth: dict[str, int], sheet: Path
) -> None:
    """What came out, where it is, and what it does not prove."""
    turned = [row for row in rows if row["decision"] == "turn"]
    right = sum(row["turn"] == truth[Path(row["path"]).name] for row in turned)
    unsure = sum(row["decision"] == "unsure" for row in rows)
    say("3. What came out")
    print(f"Of {len(rows)} turned pictures {right} were put upright, {unsure} were left alone as unsure,")
    print(f"and {len(rows) - right - unsure} were decided wrongly.")
    print(f"\n  pictures, before and after   {sheet}")
    print(f"  upright copies               {sheet.parent / 'upright'}")
    print(f"  report of the fit            {fit['report']}")
    print(f"  bundle for the device        {fit['bundle']}")
    unproven = [row["metric"]["needed"] for row in fit["candidates"] if undecided(row)]
    if unproven:
        had = fit["photos"]["evidence"]
        print(
            f"\n{had} photos can't prove that the smaller, faster files are as accurate, so fit refused them."
        )
        needed = min(filter(None, unproven), default=None)
        print(f"About {needed} would:" if needed else "More photos may:", "make demo PHOTOS=~/Pictures")


def undecided(row: dict[str, Any]) -> bool:
    """Whether only evidence was missing for a candidate."""
    return row["metric"] is not None and row["metric"]["verdict"] == "not enough evidence"


def say(text: str) -> None:
    """A heading."""
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
