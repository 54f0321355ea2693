"""Running a TensorRT plan through trtexec, which comes with TensorRT: no Python package of NVIDIA is needed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

MODEL = "model.plan"
TOLERANCE = 0.02  # half precision keeps 11 bits, and layers add up
NEEDS = "It needs trtexec of the TensorRT that built the plan: put its folder on PATH, or set TRTEXEC=/path/to/trtexec."


def find_trtexec():
    """The path of trtexec; JetPack and NVIDIA's Debian packages install it outside PATH."""
    found = os.environ.get("TRTEXEC") or shutil.which("trtexec") or "/usr/src/tensorrt/bin/trtexec"
    if not os.access(found, os.X_OK):
        raise OSError(f"there is no {found}")
    return found


def open_model(path):
    """A function from inputs to outputs, both name to array."""
    trtexec, plan = find_trtexec(), Path(path).resolve()

    def run(feeds):
        with tempfile.TemporaryDirectory() as folder:
            loads = []
            for number, (name, array) in enumerate(feeds.items()):
                np.ascontiguousarray(array).tofile(Path(folder) / f"input{number}.bin")
                loads.append(f"'{name}':input{number}.bin")  # quoted, as a name may hold a colon
            command = [trtexec, f"--loadEngine={plan}", f"--loadInputs={','.join(loads)}"]
            command += ["--exportOutput=outputs.json", "--iterations=1", "--warmUp=0", "--duration=0"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                lines = [line for line in (done.stdout + done.stderr).splitlines() if "[E]" in line]
                raise RuntimeError(f"trtexec failed: {' '.join(lines[-2:]) or done.returncode}")
            text = (Path(folder) / "outputs.json").read_text()
        # It writes them as C++ does, which is no JSON.
        made = json.loads(re.sub(r"(?<=[\[ ,])-?(nan|inf)(?=[\] ,])", "NaN", text))
        outputs = {}
        for entry in made:  # inputs may be listed among them
            if entry["name"] not in feeds:
                sizes = [int(size) for size in entry["dimensions"].split("x")] if entry["dimensions"] else []
                outputs[entry["name"]] = np.array(entry["values"], np.float64).reshape(sizes)
        return outputs

    return run
