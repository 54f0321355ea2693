"""What this process got of the processor."""

from __future__ import annotations

from pathlib import Path


def waited_s(tasks: Path = Path("/proc/self/task")) -> float | None:
    """Seconds that this process's threads were ready and had no core; None where the kernel doesn't count them.

    The second number of each thread's schedstat, in nanoseconds (Documentation/scheduler/sched-stats.rst).
    """
    total, known = 0, False
    try:
        threads = list(tasks.iterdir())
    except OSError:
        return None
    for thread in threads:
        try:
            total += int((thread / "schedstat").read_text().split()[1])
            known = True
        except (OSError, ValueError, IndexError):  # it ended, or there are no such counts
            continue
    return total / 1e9 if known else None


def clock_mhz(root: Path = Path("/")) -> float | None:
    """The clock of the core that this process runs on now, in MHz; None where the machine shows none.

    Field 39 of /proc/self/stat (proc(5)) names the core; its scaling_cur_freq is in kHz.
    """
    try:
        fields = (root / "proc/self/stat").read_text().rpartition(")")[2].split()
        core = int(fields[36])
        text = (root / f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq").read_text()
        return int(text) / 1e3
    except (OSError, ValueError, IndexError):
        return None
