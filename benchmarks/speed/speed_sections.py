"""The speed benchmarks by name."""

from collections.abc import Callable
from enum import StrEnum

from benchmarks.speed import (
    drain_benchmark,
    forest_kernel,
    latency,
    parsing_benchmark,
    peer_latency,
    resident_memory,
    restore_time,
    scaling,
    startup_time,
    storm_benchmark,
    two_workers,
)
from benchmarks.speed.section_result import SectionResult
from benchmarks.speed.testbed import Testbed


class SpeedBenchmark(StrEnum):
    """Names of the speed benchmarks."""

    DRAIN = "drain"
    MANY = "many"
    STORM = "storm"
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


def measure(benchmark: SpeedBenchmark, testbed: Testbed) -> SectionResult:
    """Run one benchmark."""
    return _SECTION_FUNCTIONS[benchmark](testbed)


_SECTION_FUNCTIONS: dict[SpeedBenchmark, Callable[[Testbed], SectionResult]] = {
    SpeedBenchmark.DRAIN: drain_benchmark.drain_few_sensors,
    SpeedBenchmark.MANY: drain_benchmark.drain_many_sensors,
    SpeedBenchmark.STORM: storm_benchmark.drain_storms,
    SpeedBenchmark.TWO_WORKERS: two_workers.measure_two_workers,
    SpeedBenchmark.MEMORY: resident_memory.measure_memory,
    SpeedBenchmark.LATENCY: latency.measure_latency,
    SpeedBenchmark.STARTING: startup_time.measure_startup,
    SpeedBenchmark.RESTORING: restore_time.measure_restores,
    SpeedBenchmark.KERNELS: forest_kernel.measure_kernels,
    SpeedBenchmark.PARSING: parsing_benchmark.measure_parsing,
    SpeedBenchmark.GROWTH: scaling.measure_growth,
    SpeedBenchmark.PEERS: drain_benchmark.drain_peers,
    SpeedBenchmark.PEER_LATENCY: peer_latency.measure_peer_latency,
}
