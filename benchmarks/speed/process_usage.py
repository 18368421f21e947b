"""The CPU time and the memory of a running process, from the operating system."""

from pathlib import Path

import psutil


def cpu_seconds(pid: int) -> float:
    """Return the CPU time (user and system) of a process, without its child processes."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def tree_cpu_seconds(pid: int) -> float:
    """Return the CPU time (user and system) of a process and its running descendants."""
    process = psutil.Process(pid)
    cpu_times_of_tree = (
        process_in_tree.cpu_times()
        for process_in_tree in [process, *process.children(recursive=True)]
    )
    return float(sum(times.user + times.system for times in cpu_times_of_tree))


def memory_mb(pid: int) -> tuple[float, float]:
    """Return the current and the peak resident memory in MB (10**6 bytes)."""
    status_fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return _megabytes(status_fields["VmRSS"]), _megabytes(status_fields["VmHWM"])


def _megabytes(text: str) -> float:
    return int(text.split(maxsplit=1)[0]) * 1024 / 1e6
