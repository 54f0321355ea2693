"""requirements.lock: every core dependency, for each Python and both kinds of machine, without any network."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.lock").read_text()
# What `edgeproof package` gives to a device: the same, and what the service needs.
SERVICE_LOCK = (ROOT / "src/edgeproof/serve/package_files/requirements.lock").read_text()
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CORE = [Requirement(text) for text in PROJECT["dependencies"]]
SERVICE = [*CORE, *map(Requirement, PROJECT["optional-dependencies"]["serve"])]


class Locked(NamedTuple):
    requirement: Requirement
    version: str
    wheels: tuple[str, ...]
    digests: tuple[str, ...]


def _read(lock: str) -> list[Locked]:
    entries = []
    for block in lock.split("\n\n")[1:]:
        wheels = tuple(re.findall(r"^# wheel (\S+)$", block, re.MULTILINE))
        body = "\n".join(line for line in block.splitlines() if not line.startswith("#"))
        requirement = Requirement(body.split("\\")[0].strip())
        (pin,) = requirement.specifier
        entries.append(
            Locked(
                requirement, pin.version, wheels, tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})\b", body))
            )
        )
    return entries


ENTRIES = _read(LOCK)
SERVICE_ENTRIES = _read(SERVICE_LOCK)


def _applies(requirement: Requirement, python: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"python_version": python})


def _find(entries: list[Locked], name: str, python: str) -> Locked | None:
    found = [
        entry
        for entry in entries
        if canonicalize_name(entry.requirement.name) == canonicalize_name(name)
        and _applies(entry.requirement, python)
    ]
    return found[0] if len(found) == 1 else None


def _runs(wheel: str, python: str, machine: str) -> bool:
    short = "cp" + python.replace(".", "")
    return any(
        (
            tag.interpreter in (short, "py3")
            or (tag.abi == "abi3" and int(tag.interpreter[3:]) <= int(short[3:]))
        )
        and (tag.platform == "any" or ("manylinux" in tag.platform and tag.platform.endswith(machine)))
        for tag in parse_wheel_filename(wheel)[3]
    )


LOCKS = pytest.mark.parametrize(
    ("wants", "entries"), [(CORE, ENTRIES), (SERVICE, SERVICE_ENTRIES)], ids=["core", "service"]
)


@LOCKS
@pytest.mark.parametrize("python", PYTHONS)
def test_every_dependency_is_locked_within_its_bounds(
    python: str, wants: list[Requirement], entries: list[Locked]
) -> None:
    for wanted in wants:
        if _applies(wanted, python):
            locked = _find(entries, wanted.name, python)
            assert locked, f"{wanted.name} is not locked once for Python {python}: run python tools/lock.py"
            assert wanted.specifier.contains(locked.version), f"{wanted} is locked to {locked.version}"


@LOCKS
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("python", PYTHONS)
def test_everything_locked_has_a_manylinux_wheel(
    python: str, machine: str, wants: list[Requirement], entries: list[Locked]
) -> None:
    applying = [entry for entry in entries if _applies(entry.requirement, python)]
    assert applying
    without = [
        entry.requirement.name
        for entry in applying
        if not any(_runs(wheel, python, machine) for wheel in entry.wheels)
    ]
    assert not without


def test_wheels_belong_to_their_requirement_and_each_has_a_digest() -> None:
    for entry in [*ENTRIES, *SERVICE_ENTRIES]:
        assert len(entry.digests) == len(entry.wheels) > 0
        for wheel in entry.wheels:
            name, version, *_ = parse_wheel_filename(wheel)
            assert (name, str(version)) == (canonicalize_name(entry.requirement.name), entry.version)


def test_the_service_has_what_the_core_has() -> None:
    for entry in ENTRIES:
        assert entry in SERVICE_ENTRIES, entry.requirement


@pytest.mark.parametrize("lock", [LOCK, SERVICE_LOCK], ids=["core", "service"])
def test_names_no_host(lock: str) -> None:
    assert "://" not in lock
    assert "index-url" not in lock
