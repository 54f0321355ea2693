"""Using a network leaves nothing behind and tells nobody: ONNX Runtime's own reporting stays off."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_USE = """
import edgeproof
from edgeproof.engines import open_engine
from edgeproof.tasks.orientation import builtin_model
import numpy as np
with open_engine(builtin_model()) as engine:
    engine.run({"input": np.zeros((1, 3, 192, 192), np.float32)})
"""


def test_no_identifier_and_no_cache_is_written(tmp_path: Path) -> None:
    # CI machines switch the reporting off by themselves: without their variables it is as on a user's machine.
    keep = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
    env = {name: os.environ[name] for name in keep if name in os.environ}
    env |= {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", _USE], check=True, env=env, cwd=tmp_path)
    assert not list(tmp_path.rglob("*"))
