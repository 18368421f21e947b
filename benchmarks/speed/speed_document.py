"""Title, introduction and environment of docs/performance-measured.md."""

import platform
from importlib.metadata import version
from pathlib import Path

from benchmarks.report.document import Document
from benchmarks.speed.benchmark_broker import KAFKA_DESCRIPTION
from benchmarks.speed.testbed import cores

_INTRODUCTION = """\
The programs ran in turn on one machine, because only ratios of their figures can be compared with
other machines. The programs are in `benchmarks/speed/`. [performance.md](performance.md) is written
by hand. It lists what was tried, and what each step gained.
"""


def document(command: str) -> Document:
    """Return the document for the results of a run that was started with `command`."""
    clients = f"confluent-kafka {version('confluent-kafka')}"
    return Document(
        name="performance-measured.md",
        title="Measured speed",
        introduction=_INTRODUCTION,
        command=command,
        environment_notes=(clients, KAFKA_DESCRIPTION, f"{cores()} cores of {processor()}"),
    )


def processor() -> str:
    """Return the processor's name."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()
