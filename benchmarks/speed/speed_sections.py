"""The speed benchmarks by name."""

from collections.abc import Callable
from enum import StrEnum

from benchmarks.speed import drain_benchmark, latency, peer_latency, two_workers
from benchmarks.speed import forest_kernel as kernels
from benchmarks.speed import parsing_benchmark as parsing
from benchmarks.speed import resident_memory as memory
from benchmarks.speed import restore_time as restoring
from benchmarks.speed import scaling as growth
from benchmarks.speed import startup_time as starting
from benchmarks.speed.section_result import SectionResult
from benchmarks.speed.testbed import Testbed


class SpeedBenchmark(StrEnum):
    """Names of the speed benchmarks."""

    DRAIN = "drain"
    MANY = "many"
    TWO_WORKERS = "two-workers"
    MEMORY = "memory"
    LATENCY = "latency"
    STARTING = "starting"
    RESTORING = "restoring"
    KERNELS = "kernels"
    PARSING = "parsing"
    GROWTH = "growth"
    PEERS = "peers"
    PEER_LATENCY = "peer-latency"


def measure(part: SpeedBenchmark, testbed: Testbed) -> SectionResult:
    """Run one benchmark."""
    return _SECTION_OF[part](testbed)


_SECTION_OF: dict[SpeedBenchmark, Callable[[Testbed], SectionResult]] = {
    SpeedBenchmark.DRAIN: drain_benchmark.drain,
    SpeedBenchmark.MANY: drain_benchmark.many,
    SpeedBenchmark.TWO_WORKERS: two_workers.two_workers,
    SpeedBenchmark.MEMORY: memory.memory,
    SpeedBenchmark.LATENCY: latency.latency,
    SpeedBenchmark.STARTING: starting.starting,
    SpeedBenchmark.RESTORING: restoring.restoring,
    SpeedBenchmark.KERNELS: kernels.kernels,
    SpeedBenchmark.PARSING: parsing.parsing,
    SpeedBenchmark.GROWTH: growth.growth,
    SpeedBenchmark.PEERS: drain_benchmark.peers,
    SpeedBenchmark.PEER_LATENCY: peer_latency.peer_latency,
}
