"""The command `sensorwatch demo`: run all services on this machine for a minute."""

import os
import signal
import sys
from typing import Annotated

import typer

from sensorwatch.common.errors import UsageError
from sensorwatch.common.runtime.logs import configure
from sensorwatch.common.runtime.printing import print_line
from sensorwatch.producer.stop_signals import stop_on_signals

SECONDS_VARIABLE = "DEMO_SECONDS"
DEFAULT_SECONDS = 60.0
MAX_SECONDS = 3_600.0


def demo(
    keep: Annotated[
        bool,
        typer.Option(
            "--keep",
            help="Keep the folder with configuration, training rows, registry and logs.",
        ),
    ] = False,
) -> None:
    """Show how rows of simulated sensors become anomaly events. No Kafka broker is needed.

    Starts an embedded broker, trains a first model, and starts the consumer and the API. Ends
    after DEMO_SECONDS (default 60) or on Ctrl-C, with a summary that accounts for every record.
    """
    seconds = _parse_seconds(os.environ.get(SECONDS_VARIABLE, ""))
    configure("human", "error")
    with stop_on_signals() as stop:
        # Closing the terminal sends SIGHUP, which must stop the services like any other stop
        # signal.
        signal.signal(signal.SIGHUP, lambda _number, _frame: stop.event.set())
        print_line("sensorwatch demo: loading ...")
        # These imports take seconds, so they come after the first line of output.
        from sensorwatch.common.runtime.kernel_compilation import KernelCompilation
        from sensorwatch.common.scoring import warmup  # noqa: F401 - kernels to find in the cache

        with KernelCompilation() as compilation:  # compiles in child processes during the imports
            from sensorwatch.demo.run import run_demo
            from sensorwatch.demo.scenario import Scenario
            from sensorwatch.demo.screens import LiveScreen, PlainScreen

            screen = LiveScreen() if sys.stdout.isatty() else PlainScreen()
            run_demo(Scenario(seconds), screen, stop, compilation, keeps_folder=keep)


def _parse_seconds(text: str) -> float:
    try:
        seconds = float(text or DEFAULT_SECONDS)
    except ValueError:
        seconds = -1.0
    if not 1 <= seconds <= MAX_SECONDS:
        raise UsageError(
            f'{SECONDS_VARIABLE}: found "{text}", wanted seconds from 1 to {MAX_SECONDS:g}'
        )
    return seconds
