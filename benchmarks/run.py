"""Measure what the documents claim, and write docs/benchmarks.md.

    python benchmarks/run.py [SECTION...]

Each section is one file with a function `section() -> str` of Markdown; sections that are not named keep
the text that they had. Ratios are measured interleaved, in one run.
"""

from __future__ import annotations

import importlib
import re
import sys
import time
from pathlib import Path

from edgeproof.devices.host import describe_host

SECTIONS = (
    "fit_orientation",
    "rotate_accuracy",
    "rotate_speed",
    "rotate_memory",
    "faces_detection",
    "faces_verification",
    "faces_speed",
    "gallery",
    "ir_backbone",
    "detect_speed",
    "detect_soak",
    "serve_memory",
    "serve_load",
    "serve_article",
    "start",
    "bench_honesty",
)
PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
_HEAD = """# Benchmarks

Made by `make bench` (`python benchmarks/run.py`); each section names its file. Every number is from the
machine that its section names. Ratios come from one run, the things compared taking turns.
"""


def main(wanted: list[str]) -> int:
    """Run the sections named, all without a name."""
    unknown = set(wanted) - set(SECTIONS)
    if unknown:
        print(f"No section {', '.join(sorted(unknown))}. Sections: {', '.join(SECTIONS)}", file=sys.stderr)
        return 2
    texts = _known()
    for name in wanted or SECTIONS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        body = importlib.import_module(name).section().strip()
        texts[name] = f"{body}\n\n*{_where()}; `benchmarks/{name}.py`.*"
        _write(texts)
    return 0


def _where() -> str:
    host = describe_host()
    features = (
        ", ".join(flag for flag in host.isa if flag in ("avx512_vnni", "avx_vnni", "asimddp", "i8mm"))
        or "none"
    )
    libraries = ", ".join(f"{name} {version}" for name, version in host.libraries.items())
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return f"{day}, {host.processor}, {host.cores} cores, INT8 instructions: {features}; {libraries}"


def _known() -> dict[str, str]:
    if not PAGE.exists():
        return {}
    found = re.findall(r"<!-- (\w+) -->\n(.*?)\n<!-- end -->", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return {name: text for name, text in found if name in SECTIONS}


def _write(texts: dict[str, str]) -> None:
    parts = [f"<!-- {name} -->\n{texts[name]}\n<!-- end -->" for name in SECTIONS if name in texts]
    PAGE.write_text(_HEAD + "\n" + "\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
