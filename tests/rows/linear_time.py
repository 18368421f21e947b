"""Checks that a parser's CPU time grows linearly with the size of its input."""

import time
from collections.abc import Callable, Sequence

PAYLOAD_SIZES = (16_384, 65_536, 262_144)
"""Sizes of the tested payloads in bytes. A payload larger than the last is rejected unparsed."""
MAX_NANOSECONDS_PER_BYTE = 6_000
"""For all schemas and parsers together; a machine with other work needs several times its usual
time."""
MAX_GROWTH = 4.0
"""The largest payload may take this many times the time per byte of the smallest payload."""

PayloadFamily = Callable[[int], bytes]


def repeat(unit: bytes, size: int) -> bytes:
    """Return about `size` bytes: `unit`, repeated at least once."""
    return unit * max(1, size // len(unit))


def number_members(member: bytes, size: int) -> bytes:
    """Return about `size` bytes of numbered members, separated by commas.

    The number of each member replaces `%d` in `member`.
    """
    byte_length = len(member) + 4
    return b",".join(member % number for number in range(size // byte_length))


def cpu_seconds(run_parser: Callable[[], object]) -> float:
    """Return the CPU time of the faster of two runs."""
    times = []
    for _ in range(2):
        start = time.thread_time()
        run_parser()
        times.append(time.thread_time() - start)
    return min(times)


def require_linear_time(
    make_content: PayloadFamily,
    run_parser: Callable[[bytes], object],
    *,
    cost_factor: float = 1.0,
    sizes: Sequence[int] = PAYLOAD_SIZES,
) -> None:
    """Run all sizes, and check that the time per byte stays below the limits.

    A larger `cost_factor` raises the limit of the time per byte. `sizes`: in bytes, rising.
    """
    run_parser(make_content(64))
    nanoseconds = {}
    for size in sizes:
        content = make_content(size - 100)
        nanoseconds[size] = 1e9 * cpu_seconds(lambda: run_parser(content)) / len(content)  # noqa: B023
        assert nanoseconds[size] < MAX_NANOSECONDS_PER_BYTE * cost_factor, nanoseconds
    # Times below 20 ns per byte count as 20 ns, because fixed costs and clock errors dominate them.
    assert nanoseconds[sizes[-1]] < MAX_GROWTH * max(20.0, nanoseconds[sizes[0]]), nanoseconds
