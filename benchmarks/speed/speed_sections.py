"""The parts of the measuring by name; another part is another line."""

from collections.abc import Callable
from enum import StrEnum

from benchmarks.speed import drain_benchmark as contest
from benchmarks.speed import forest_kernel as kernels
from benchmarks.speed import latency, peer_latency, two_workers
from benchmarks.speed import parsing_benchmark as parsing
from benchmarks.speed import resident_memory as memory
from benchmarks.speed import restore_time as restoring
from benchmarks.speed import scaling as growth
from benchmarks.speed import startup_time as starting
from benchmarks.speed.section_result import Found
from benchmarks.speed.testbed import Bench


class Part(StrEnum):
    """What can be measured by itself."""

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


def measure(part: Part, bench: Bench) -> Found:
    """Measure one part."""
    return _MEASURES[part](bench)


_MEASURES: dict[Part, Callable[[Bench], Found]] = {
    Part.DRAIN: contest.drain,
    Part.MANY: contest.many,
    Part.TWO_WORKERS: two_workers.two_workers,
    Part.MEMORY: memory.memory,
    Part.LATENCY: latency.latency,
    Part.STARTING: starting.starting,
    Part.RESTORING: restoring.restoring,
    Part.KERNELS: kernels.kernels,
    Part.PARSING: parsing.parsing,
    Part.GROWTH: growth.growth,
    Part.PEERS: contest.peers,
    Part.PEER_LATENCY: peer_latency.peer_latency,
}
