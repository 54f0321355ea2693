"""Made-up machines: what the kernel and the vendor's programs of a board show, written into a folder.

Each builder writes a tree below the folder it is given and returns a `Board`: the root to hand to whatever reads
`/sys` and `/proc`, and a runner that answers in place of the vendor's programs. `write` changes a file afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PMIC = """\
 3V7_WL_SW_A current(0)=0.00390372A
   3V3_SYS_A current(1)=0.06930810A
   1V8_SYS_A current(2)=0.17077590A
  DDR_VDD2_A current(3)=0.01561536A
  DDR_VDDQ_A current(4)=0.00000000A
   1V1_SYS_A current(5)=0.18347240A
    0V8_SW_A current(6)=0.31669790A
  VDD_CORE_A current(7)=1.50000000A
   3V3_DAC_A current(17)=0.00006105A
   3V3_ADC_A current(18)=0.00048840A
      HDMI_A current(22)=0.01110570A
 3V7_WL_SW_V volt(8)=3.69921000V
   3V3_SYS_V volt(9)=3.31038400V
   1V8_SYS_V volt(10)=1.80125500V
  DDR_VDD2_V volt(11)=1.10696000V
  DDR_VDDQ_V volt(12)=0.61087750V
   1V1_SYS_V volt(13)=1.10549700V
    0V8_SW_V volt(14)=0.80280800V
  VDD_CORE_V volt(15)=0.80000000V
   3V3_DAC_V volt(20)=3.31042400V
   3V3_ADC_V volt(21)=3.30798250V
      HDMI_V volt(23)=5.10558000V
     EXT5V_V volt(24)=5.10558000V
      BATT_V volt(25)=0.00000000V
"""
PMIC_WATTS = 2.28437  # the sum over the rails above of current x voltage


@dataclass
class Board:
    """A made-up machine; `answers` maps a command's words to what it prints, and may be changed by a test."""

    root: Path
    answers: dict[str, str] = field(default_factory=dict)

    def run(self, words: Sequence[str]) -> str | None:
        return self.answers.get(" ".join(words))

    def write(self, files: Mapping[str, object]) -> Board:
        """Write or replace files, by their path below the root; None takes one away."""
        for name, content in files.items():
            path = self.root / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{content}\n")
        return self


def jetson_orin(folder: Path) -> Board:
    """A Jetson Orin Nano: 6 Cortex-A78AE, an INA3221 with the total rail and two of its parts, zram swap, PSI."""
    processor = f"model name\t: ARMv8 Processor rev 1 (v8l)\n{_arm('0xd42')}"
    files: dict[str, object] = {
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\x00",
        "proc/cpuinfo": "\n\n".join(f"processor\t: {n}\n{processor}" for n in range(6)),
        "proc/meminfo": _meminfo(total=7802992, available=5102992, swap=3901488, swap_free=3901488),
        "proc/stat": "cpu  1000 0 500 90000 100 10 10 0 0 0\ncpu0 100 0 50 9000 10 1 1 0 0 0",
        **_pressure(),
        "sys/fs/cgroup/cpu.max": "max 100000",
        "proc/self/cgroup": "0::/user.slice/user-1000.slice/session-1.scope",
    }
    for policy, cpus in ((0, range(4)), (4, range(4, 6))):
        files |= _policy(policy, cpus, "schedutil", 729_600, 115_200, 1_510_400, 1_510_400)
    rails = {1: ("VDD_IN", 5032, 1208), 2: ("VDD_CPU_GPU_CV", 5024, 360), 3: ("VDD_SOC", 5016, 280)}
    ina = "sys/class/hwmon/hwmon1"
    files |= {
        f"{ina}/name": "ina3221",
        f"{ina}/update_interval": 4,
        f"{ina}/in7_label": "sum of shunt voltages",
    }
    for channel, (label, millivolts, milliamperes) in rails.items():
        files |= {f"{ina}/in{channel}_label": label, f"{ina}/in{channel}_input": millivolts}
        files |= {f"{ina}/curr{channel}_input": milliamperes}
    files |= {"sys/class/hwmon/hwmon0/name": "pwmfan"}
    files |= _zone(0, "cpu-thermal", 48_312, {"active": 50_000, "passive": 99_000, "critical": 104_500})
    files |= _zone(1, "gpu-thermal", 47_500, {"passive": 99_000})
    files |= _zone(2, "cv0-thermal", -256_000, {})  # switched off
    return Board(folder).write(files)


def raspberry_pi_5(folder: Path) -> Board:
    """A Raspberry Pi 5: 4 Cortex-A76, `vcgencmd`, no PSI, cgroups without a limit."""
    processor = _arm("0xd0b")
    blocks = [f"processor\t: {n}\n{processor}" for n in range(4)]
    files: dict[str, object] = {
        "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\x00",
        "proc/cpuinfo": "\n\n".join(
            [*blocks, "Revision\t: c04170\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0"]
        ),
        "proc/meminfo": _meminfo(total=4137984, available=3337984, swap=204796, swap_free=204796),
        "proc/stat": "cpu  2000 0 800 180000 50 0 20 0 0 0",
        "proc/self/cgroup": "0::/user.slice",
        **_policy(0, range(4), "ondemand", 2_400_000, 1_500_000, 2_400_000, 2_400_000),
        **_zone(0, "cpu-thermal", 52_150, {"critical": 110_000, "hot": 85_000, "active": 50_000}),
    }
    answers = {"vcgencmd pmic_read_adc": PMIC, "vcgencmd get_throttled": "throttled=0x0\n"}
    return Board(folder, answers).write(files)


def x86_laptop(folder: Path) -> Board:
    """A hybrid Intel laptop on its battery: 2 fast and 4 small cores, RAPL for everybody, throttle counters, PSI."""
    flags = "fpu sse2 avx avx2 fma f16c avx_vnni"
    processor = (
        f"vendor_id\t: GenuineIntel\nmodel name\t: 12th Gen Intel(R) Core(TM) i5-1235U\nflags\t\t: {flags}"
    )
    files: dict[str, object] = {
        "sys/class/dmi/id/sys_vendor": "LENOVO",
        "sys/class/dmi/id/product_name": "21C5000TGE",
        "sys/class/dmi/id/product_version": "ThinkPad L13 Gen 3",
        "proc/cpuinfo": "\n\n".join(f"processor\t: {n}\n{processor}" for n in range(8)),
        "proc/meminfo": _meminfo(total=16000000, available=9000000, swap=8000000, swap_free=8000000),
        "proc/stat": "cpu  50000 100 20000 900000 500 0 300 0 0 0",
        **_pressure(),
        "proc/self/cgroup": "0::/user.slice/user-1000.slice",
        "sys/devices/cpu_core/cpus": "0-3",
        "sys/devices/cpu_atom/cpus": "4-7",
        **_zone(0, "acpitz", 46_000, {"critical": 128_000}),
        **_zone(1, "x86_pkg_temp", 51_000, {"passive": 0}),
    }
    for cpu in range(8):
        highest = 4_400_000 if cpu < 4 else 3_300_000
        files |= _policy(cpu, [cpu], "powersave", 1_200_000, 400_000, highest, highest)
        counters = f"sys/devices/system/cpu/cpu{cpu}/thermal_throttle"
        files |= {f"{counters}/core_throttle_count": 2, f"{counters}/package_throttle_count": 5}
    zones = {
        "intel-rapl:0": ("package-0", 1_000_000_000),
        "intel-rapl:0:0": ("core", 600_000_000),
        "intel-rapl:0:1": ("uncore", 100_000_000),
        "intel-rapl:1": ("psys", 5_000_000_000),
        "intel-rapl-mmio:0": ("package-0", 1_000_000_000),  # the same counter once more
    }
    for zone, (name, microjoules) in zones.items():
        place = f"sys/class/powercap/{zone}"
        files |= {f"{place}/name": name, f"{place}/energy_uj": microjoules}
        files |= {f"{place}/max_energy_range_uj": 262_143_328_850}
    battery, mouse = "sys/class/power_supply/BAT0", "sys/class/power_supply/hidpp_battery_0"
    files |= {
        f"{battery}/type": "Battery",
        f"{battery}/status": "Discharging",
        f"{battery}/power_now": 7_850_000,
    }
    files |= {f"{battery}/present": 1, f"{mouse}/type": "Battery", f"{mouse}/scope": "Device"}
    files |= {f"{mouse}/status": "Discharging", f"{mouse}/power_now": 1000}
    files |= {"sys/class/power_supply/AC/type": "Mains", "sys/class/power_supply/AC/online": 0}
    return Board(folder).write(files)


def bare(folder: Path) -> Board:
    """A machine that shows nothing: no /sys, no /proc, no programs."""
    return Board(folder)


BOARDS = (jetson_orin, raspberry_pi_5, x86_laptop, bare)


def _arm(part: str) -> str:
    features = "fp asimd evtstrm aes crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
    return f"BogoMIPS\t: 108.00\nFeatures\t: {features}\nCPU implementer\t: 0x41\nCPU part\t: {part}"


def _meminfo(*, total: int, available: int, swap: int, swap_free: int) -> str:
    return (
        f"MemTotal:       {total} kB\nMemFree:          123456 kB\nMemAvailable:   {available} kB\n"
        f"SwapTotal:      {swap} kB\nSwapFree:       {swap_free} kB"
    )


def _pressure() -> dict[str, object]:
    line = "avg10=0.00 avg60=0.10 avg300=0.20 total=123456"
    return {f"proc/pressure/{name}": f"some {line}\nfull {line}" for name in ("cpu", "memory", "io")}


def _policy(
    number: int, cpus: Sequence[int], governor: str, now: int, lowest: int, highest: int, hardware: int
) -> dict[str, object]:
    """A policy of cpufreq, in kHz, with the links that each of its processors has to it."""
    values: dict[str, object] = {
        "related_cpus": " ".join(map(str, cpus)),
        "scaling_governor": governor,
        "scaling_cur_freq": now,
        "scaling_min_freq": lowest,
        "scaling_max_freq": highest,
        "cpuinfo_max_freq": hardware,
    }
    places = [f"cpufreq/policy{number}", *(f"cpu{cpu}/cpufreq" for cpu in cpus)]
    return {
        f"sys/devices/system/cpu/{place}/{name}": value for place in places for name, value in values.items()
    }


def _zone(number: int, kind: str, millidegrees: int, trips: Mapping[str, int]) -> dict[str, object]:
    place = f"sys/class/thermal/thermal_zone{number}"
    files: dict[str, object] = {f"{place}/type": kind, f"{place}/temp": millidegrees}
    for index, (trip, at) in enumerate(trips.items()):
        files |= {f"{place}/trip_point_{index}_type": trip, f"{place}/trip_point_{index}_temp": at}
    return files
