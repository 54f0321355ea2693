"""What is imported when: the device side stays light, and the build host's libraries stay optional."""

from __future__ import annotations

import pkgutil

import pytest

import edgeproof
from cli.processes import python

_HEAVY = [
    "torch", "cv2", "onnx", "scipy", "PIL", "onnxruntime", "click", "starlette", "flask", "rich", "msgspec",
    "simplejpeg", "numpy",
]  # fmt: skip
_MODULES = [
    module.name
    for module in pkgutil.walk_packages(edgeproof.__path__, "edgeproof.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import edgeproof", _HEAVY),
        (
            "from edgeproof.cli.main import _run; assert _run(['--help']) == 0",
            ["numpy", "PIL", "onnxruntime", "onnx", "rich", "msgspec"],
        ),
        (
            "from edgeproof.cli.main import _run; assert _run(['rotate', '--help']) == 0",
            ["numpy", "PIL", "onnxruntime", "onnx", "rich"],
        ),
        (
            "import edgeproof; edgeproof.Orientation, edgeproof.open_engine, edgeproof.open_bundle",
            ["onnx", "onnxruntime", "PIL", "click", "rich", "torch", "cv2", "scipy"],
        ),
        (
            "import edgeproof, numpy; edgeproof.Orientation()(numpy.zeros((300, 300, 3), numpy.uint8))",
            ["onnx", "click", "rich", "torch", "cv2", "scipy"],
        ),
    ],
    ids=["import", "help", "rotate help", "names", "use"],
)
def test_nothing_more_is_imported_than_is_used(code: str, absent: list[str]) -> None:
    found = python(f"{code}\nimport sys; print('LOADED', *(sys.modules.keys() & {set(absent)}))")
    assert found.splitlines()[-1] == "LOADED"


def test_every_module_imports_without_the_build_hosts_libraries() -> None:
    code = f"""
import importlib, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {{"onnx", "torch", "cv2", "scipy", "skimage"}}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
for name in {_MODULES}:
    importlib.import_module(name)
import numpy, edgeproof
print(edgeproof.Orientation()(numpy.zeros((300, 300, 3), numpy.uint8)).decision)
"""
    assert python(code).strip() in ("keep", "turn", "unsure")
