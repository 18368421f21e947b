"""The progress of a compilation of kernels: a bar on a terminal, log lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from sensorwatch.common.runtime.console import SafeConsole
from sensorwatch.common.runtime.kernel_compilation import KernelCompilation, OnShare
from sensorwatch.common.runtime.logs import logger

_TEXT_EVERY_SECONDS = 5.0

_log = logger("kernels")


def compile_ahead() -> None:
    """Compile all kernels in parallel before the first row, and show the progress.

    Does nothing if the kernels that this process imported are in the cache.
    """
    with KernelCompilation() as compilation:
        if not compilation.is_needed:
            return
        _log.info("compiling the scoring code for this CPU (only at the first start)")
        start_time = time.monotonic()
        with show_share() as on_share:
            errors = compilation.wait(on_share)
    for error in errors:
        _log.warning(
            "a process that compiles kernels failed, so this process compiles", error=error
        )
    _log.info("compiled", seconds=round(time.monotonic() - start_time, 1))


@contextmanager
def show_share(say: Callable[[str], object] = _log.info) -> Iterator[OnShare]:
    """Provide a function that shows the compiled share as a bar on standard error.

    If standard error is not a terminal, the function instead calls `say` with a text, at most every
    5 seconds.
    """
    if not sys.stderr.isatty():
        yield _periodic_text(say)
        return
    columns = (TextColumn("compiling"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=SafeConsole(stderr=True), transient=True) as bar:
        task = bar.add_task("compiling", total=1.0)
        yield lambda share: bar.update(task, completed=share)


def _periodic_text(say: Callable[[str], object]) -> OnShare:
    next_text = time.monotonic() + _TEXT_EVERY_SECONDS

    def show(share: float) -> None:
        nonlocal next_text
        if time.monotonic() >= next_text:
            next_text = time.monotonic() + _TEXT_EVERY_SECONDS
            say(f"compiled {share:.0%} of the scoring code")

    return show
