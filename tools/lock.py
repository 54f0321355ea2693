"""Write requirements.lock: what the device side needs, by exact version and hash; and the same with the HTTP service.

    python tools/lock.py            asks anew for the newest versions
    python tools/lock.py service    only the second, with the versions of the first

Every core dependency of pyproject.toml, and what those need, for each Python that is supported, as wheels
for x86_64 and aarch64. It asks pip, so it needs whatever index pip is set up with; the lock itself names
only files and digests. Markers inside the dependencies of dependencies are judged by pip for the machine and
the Python that run this.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
# In the package, for `edgeproof package` writes a device's requirements out of it.
SERVICE_LOCK = ROOT / "src" / "edgeproof" / "serve" / "package_files" / "requirements.lock"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")
# Up to glibc 2.28: Debian 10, Ubuntu 20.04, JetPack 5 and everything later.
TAGS = (
    "manylinux_2_28",
    "manylinux_2_27",
    "manylinux_2_26",
    "manylinux_2_24",
    "manylinux_2_17",
    "manylinux2014",
)

# (name, version) -> Python -> machine -> (wheel, sha256)
Locked = dict[tuple[str, str], dict[str, dict[str, tuple[str, str]]]]

HEADER = """\
# What edgeproof needs on a device: exact versions, with the digest of each wheel for Python 3.10 to 3.13 on
# manylinux x86_64 and aarch64. Written by `python tools/lock.py`, checked by tests/test_dependencies.py.
#
#     pip install --require-hashes -r requirements.lock
#     pip install --no-deps .
"""


SERVICE_HEADER = """\
# The same with the HTTP service (the extra `serve`). Written by `python tools/lock.py`, checked by
# tests/test_dependencies.py.
"""


def core_dependencies(python: str) -> list[str]:
    """The core dependencies of pyproject.toml that apply to this Python, without their markers."""
    return _applying(_project()["dependencies"], python)


def service_dependencies(python: str) -> list[str]:
    """Those of the extra `serve`, and exactly what requirements.lock has for this Python."""
    pins = [
        line.removesuffix(" \\") for line in LOCK.read_text().splitlines() if line[:1] not in ("", "#", " ")
    ]
    return _applying([*pins, *_project()["optional-dependencies"]["serve"]], python)


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def _applying(declared: list[str], python: str) -> list[str]:
    wanted = []
    for text in declared:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"python_version": python}):
            wanted.append(f"{requirement.name}{requirement.specifier}")
    return wanted


def resolve(requirements: list[str], python: str, machine: str) -> list[dict[str, Any]]:
    """What pip would install there: one entry a package, from pip's installation report."""
    with tempfile.TemporaryDirectory() as target:
        report = Path(target) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "-qq", "--ignore-installed"]
        command += ["--only-binary", ":all:", "--target", target, "--report", str(report)]
        command += ["--implementation", "cp", "--python-version", python]
        command += [part for tag in TAGS for part in ("--platform", f"{tag}_{machine}")]
        if subprocess.run([*command, *requirements], check=False).returncode:
            sys.exit(f"lock: pip finds no set of wheels for Python {python} on {machine} (see above).")
        installs: list[dict[str, Any]] = json.loads(report.read_text())["install"]
        return installs


def main(arguments: list[str]) -> None:
    """Resolve for every Python and machine, and write the locks."""
    if "service" not in arguments:
        LOCK.write_text(HEADER + lock(core_dependencies))
    SERVICE_LOCK.write_text(SERVICE_HEADER + lock(service_dependencies))


def lock(dependencies: Callable[[str], list[str]]) -> str:
    """The lines for all that these need, by Python."""
    locked: Locked = defaultdict(lambda: defaultdict(dict))
    for python in PYTHONS:
        wanted = dependencies(python)
        for machine in MACHINES:
            installs = resolve(wanted, python, machine)
            for entry in installs:
                key = entry["metadata"]["name"].lower().replace("_", "-"), entry["metadata"]["version"]
                download = entry["download_info"]
                wheel = unquote(Path(urlsplit(download["url"]).path).name)
                locked[key][python][machine] = wheel, download["archive_info"]["hashes"]["sha256"]
            # One version for all machines: the second is asked for exactly what the first got.
            wanted = [f"{entry['metadata']['name']}=={entry['metadata']['version']}" for entry in installs]
            print(f"Python {python}, {machine}: {len(installs)} packages")
    return "".join(lines_of(*key, pythons) for key, pythons in sorted(locked.items()))


def lines_of(name: str, version: str, pythons: dict[str, dict[str, tuple[str, str]]]) -> str:
    """One package's lines: its wheels as comments, then the requirement with their digests."""
    wheels = dict(sorted(wheel for machines in pythons.values() for wheel in machines.values()))
    lines = [f"\n# wheel {wheel}" for wheel in wheels]
    marker = ""
    if len(pythons) < len(PYTHONS):
        marker = " ; " + " or ".join(f'python_version == "{python}"' for python in pythons)
    digests = sorted(set(wheels.values()))
    pinned = [f"\n{name}=={version}{marker}", *(f"    --hash=sha256:{digest}" for digest in digests)]
    return "".join(lines) + " \\\n".join(pinned) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
