"""Memory of the whole command stays bounded, whatever the photos."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

_RUN = """
import sys
from edgeproof.cli.main import main
from edgeproof.measure.memory import peak_mb
try:
    main(sys.argv[1:])
finally:
    print(peak_mb(), file=sys.stderr)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to read resident memory")
@pytest.mark.parametrize("turns", ["1", "4"])
def test_24_megapixel_jpegs_fit_in_120_mb(tmp_path: Path, turns: str) -> None:
    grain = np.random.default_rng(0).normal(128, 12, (500, 750, 3)).clip(0, 255).astype(np.uint8)
    large = Image.fromarray(grain).resize((6000, 4000), Image.Resampling.NEAREST)
    for number in range(3):
        large.save(tmp_path / f"large-{number}.jpg", quality=95)
        Image.fromarray(grain).save(tmp_path / f"small-{number}.jpg")
    done = subprocess.run(
        [sys.executable, "-c", _RUN, "rotate", str(tmp_path), "--turns", turns, "--workers", "2", "--quiet"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stderr.split()[-1]) <= 120
