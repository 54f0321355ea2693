"""`edgeproof device`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output

if TYPE_CHECKING:
    from edgeproof.engines.installed import EngineState


@click.command()
@output_options
def device(output: Output) -> int:
    """Say what this machine is, and which engines can run on which of its devices.

    A device that edgeproof's own tests have never run on is marked "not verified on hardware": what is written for
    it follows its runtime's documentation. Nothing is measured and nothing is changed.

    \b
    Examples:
      edgeproof device
      edgeproof device --json
    """
    from edgeproof.devices.host import describe_host
    from edgeproof.devices.sensors import memory_limit_mb, power_meters, thermal_zones
    from edgeproof.engines.installed import installed_engines

    host, engines = describe_host(), installed_engines()
    limit, meters, zones = memory_limit_mb(), power_meters(), thermal_zones()
    slow = host.governor in ("powersave", "conservative", "ondemand", "schedutil")
    checks = [
        {
            "name": "frequency governor",
            "state": "warn" if slow else "ok",
            "fix": f"It is {host.governor}: the first runs after a pause are slower. To hold the clock while you "
            "measure: sudo cpupower frequency-set -g performance"
            if slow
            else None,
        }
    ]
    document = {
        "board": host.board,
        "processor": host.processor,
        "isa": host.isa,
        "cores": host.cores,
        "memory_mb": host.memory_mb,
        "memory_limit_mb": limit,
        "meters": meters,
        "thermal": zones,
        "engines": [engine.as_json() for engine in engines],
        "checks": checks,
    }
    output.document(document)
    output.table(
        "This machine",
        ("", "value"),
        [
            ("board", host.board or "unknown"),
            ("processor", host.processor),
            ("instruction sets", ", ".join(host.isa) or "none of those that matter here"),
            ("cores that may be used", str(host.cores)),
            ("memory", _megabytes(host.memory_mb)),
            ("limit of memory", _megabytes(limit, "none")),
            ("energy counters", ", ".join(meters) or "none that may be read"),
            ("temperatures", _temperatures(zones)),
        ],
    )
    output.table(
        "Engines", ("engine", "version", "devices", "to have it"), [_row(engine) for engine in engines]
    )
    for check in checks:
        if check["fix"]:
            output.say(f"{check['name']}: {check['fix']}", style="yellow")
    return 0


def _megabytes(value: int | None, missing: str = "unknown") -> str:
    return missing if value is None else f"{value:,} MB"


def _temperatures(zones: list[dict[str, object]]) -> str:
    known = [f"{zone['name']} {zone['celsius']:.0f} °C" for zone in zones if zone["celsius"] is not None]
    return ", ".join(known) or "none that may be read"


def _row(engine: EngineState) -> tuple[str, str, str, str]:
    devices = [
        f"{name} (not verified on hardware)" if name in engine.unverified else name for name in engine.devices
    ]
    return engine.name, engine.version or "", ", ".join(devices), engine.install or ""
