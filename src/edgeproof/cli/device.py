"""`edgeproof device`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output

if TYPE_CHECKING:
    from edgeproof.devices.checks import Check
    from edgeproof.devices.cores import CoreKind
    from edgeproof.devices.meters import Meter
    from edgeproof.devices.thermal import ThermalZone
    from edgeproof.engines.installed import EngineState

_ROOT = Path("/")
# A shorter look has too few ticks of the kernel's clock to tell of other load.
_SHORTEST_LOOK_S = 0.1
_UNVERIFIED = "not verified on hardware"


@click.command()
@click.option(
    "--start-engines",
    is_flag=True,
    help="Start each engine and ask it for its devices, which takes seconds; else its files tell.",
)
@output_options
def device(output: Output, start_engines: bool) -> int:
    """Say what this machine is, what can be measured on it, and which engines can run on which of its devices.

    Nothing is changed, and nothing is measured but how busy it is. What edgeproof's own tests have never run on is
    marked "not verified on hardware": what is written for it follows its documentation.

    \b
    Examples:
      edgeproof device
      edgeproof device --start-engines     when an engine won't start
      edgeproof device --json
    """
    from edgeproof.devices.load import cpu_times

    began, ticks, own = time.perf_counter(), cpu_times(_ROOT), time.process_time()
    from edgeproof.devices.cgroup import cpu_quota, memory_limit_mb
    from edgeproof.devices.checks import machine_checks
    from edgeproof.devices.cores import core_kinds
    from edgeproof.devices.frequency import frequency_policies
    from edgeproof.devices.host import describe_host
    from edgeproof.devices.memory import memory
    from edgeproof.devices.meters import present_meters
    from edgeproof.devices.thermal import thermal_zones
    from edgeproof.engines.installed import installed_engines

    host, engines, found = (
        describe_host(_ROOT),
        installed_engines(start=start_engines, root=_ROOT),
        memory(_ROOT),
    )
    kinds, policies, zones = core_kinds(_ROOT), frequency_policies(_ROOT), thermal_zones(_ROOT)
    meters = [(meter, meter.missing()) for meter in present_meters(_ROOT)]
    time.sleep(max(0.0, _SHORTEST_LOOK_S - (time.perf_counter() - began)))
    look = (time.perf_counter() - began) * (os.cpu_count() or 1)
    own_share = (time.process_time() - own) / look
    checks = machine_checks(_ROOT, earlier=ticks, own_share=own_share)
    limit, quota = memory_limit_mb(_ROOT), cpu_quota(_ROOT)
    document = {
        "board": host.board,
        "processor": host.processor,
        "isa": host.isa,
        "cores": host.cores,
        "core_kinds": [_plain(kind) for kind in kinds],
        "cpu_quota": quota,
        "governor": host.governor,
        "frequency": [_plain(policy) for policy in policies],
        "memory_mb": found.total_mb,
        "memory_available_mb": found.available_mb,
        "memory_limit_mb": limit,
        "swap_mb": found.swap_mb,
        "swap_used_mb": found.swap_used_mb,
        "meters": [_meter(meter, missing) for meter, missing in meters],
        "thermal": [_plain(zone) for zone in zones],
        "engines": [engine.as_json() for engine in engines],
        "checks": [_plain(check) for check in checks],
    }
    output.document(document)
    output.table(
        "This machine",
        (".", "value"),
        [
            ("board", host.board or "unknown"),
            ("processor", host.processor),
            ("instruction sets", ", ".join(host.isa) or "none of those that matter here"),
            ("cores", _cores(kinds)),
            ("cores that may be used", f"{host.cores}{'' if quota is None else f' (a quota of {quota:g})'}"),
            ("governor", host.governor or "not shown"),
            ("memory", _memory(found.total_mb, found.available_mb)),
            ("limit of memory", _megabytes(limit, "none")),
            ("temperatures", _temperatures(zones)),
            *([] if meters else [("energy meters", "none found")]),
        ],
    )
    _show_meters(output, meters)
    output.table(
        "Engines", (".engine", ".version", "devices", "to have it"), [_row(engine) for engine in engines]
    )
    _show_checks(output, checks)
    return 0


def _plain(value: object) -> Any:
    import msgspec

    return msgspec.to_builtins(value)


def _meter(meter: Meter, missing: str | None) -> dict[str, object]:
    return {
        "name": meter.name,
        "scope": meter.scope,
        "interval_s": meter.interval_s,
        "readable": missing is None,
        "missing": missing,
        "verified_on_hardware": False,
    }


def _show_meters(output: Output, meters: list[tuple[Meter, str | None]]) -> None:
    if not meters:
        return
    output.table(
        f"Energy meters ({_UNVERIFIED})",
        (".meter", "covers", ">new values", ".readable"),
        [
            (meter.name, meter.scope, f"every {meter.interval_s:g} s", "no" if missing else "yes")
            for meter, missing in meters
        ],
    )
    for meter, missing in meters:
        if missing:
            output.say(f"{meter.name}: {missing}", style="yellow")


def _show_checks(output: Output, checks: list[Check]) -> None:
    output.table(
        "Is it fit to measure on?",
        (".check", ".", "seen"),
        [(check.name, check.state, check.seen or "not shown by this machine") for check in checks],
        ["yellow" if check.fix else "" for check in checks],
    )
    for check in checks:
        if check.fix:
            output.say(f"{check.name}: {check.fix}", style="yellow")


def _cores(kinds: list[CoreKind]) -> str:
    return ", ".join(_kind(kind) for kind in kinds) or "unknown"


def _kind(kind: CoreKind) -> str:
    clock = f"up to {kind.max_mhz:,.0f} MHz" if kind.max_mhz else ""
    about = ", ".join(filter(None, [kind.core, clock]))
    return f"{len(kind.cpus)} {kind.kind}{f' ({about})' if about else ''}"


def _memory(total: int | None, available: int | None) -> str:
    return _megabytes(total) + ("" if available is None else f", {_megabytes(available)} free")


def _megabytes(value: int | None, missing: str = "unknown") -> str:
    return missing if value is None else f"{value:,} MB"


def _temperatures(zones: list[ThermalZone]) -> str:
    return ", ".join(_zone(zone) for zone in zones if zone.celsius is not None) or "not shown"


def _zone(zone: ThermalZone) -> str:
    limit = zone.limit_celsius
    return f"{zone.name} {zone.celsius:.0f} °C{'' if limit is None else f' (limit {limit:.0f})'}"


def _row(engine: EngineState) -> tuple[str, str, str, str]:
    devices = [f"{name} ({_UNVERIFIED})" if name in engine.unverified else name for name in engine.devices]
    return engine.name, engine.version or "", ", ".join(devices), engine.install or engine.more or ""
