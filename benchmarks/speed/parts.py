"""The parts of the measuring by name; another part is another line."""

from collections.abc import Callable
from enum import StrEnum

from benchmarks.speed import (
    contest,
    growth,
    kernels,
    latency,
    memory,
    parsing,
    peer_latency,
    restoring,
    starting,
    two_workers,
)
from benchmarks.speed.found import Found
from benchmarks.speed.ground import Bench


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
