"""`sensorwatch demo`: the whole way of a row, live, in a minute, with nothing else installed."""

import os
import signal
import sys

from sensorwatch.common.runtime.logs import configure
from sensorwatch.demonstration.scenario import scenario_of
from sensorwatch.producer.stop_signals import stop_on_signals


def demo() -> None:
    """See the whole way of a row, live: broker, sensors with faults, model, consumer and API.

    Ends after DEMO_SECONDS (default 60) or on Ctrl-C, with the account of every record.
    """
    scenario = scenario_of(os.environ)
    configure("human", "error")
    with stop_on_signals() as stop:
        # A closed terminal must not leave our processes behind either.
        signal.signal(signal.SIGHUP, lambda _number, _frame: stop.event.set())
        print("sensorwatch demo: loading ...", flush=True)
        # Only here: they take seconds, in which somebody wonders whether anything happens.
        from sensorwatch.demonstration.live_screen import LiveScreen
        from sensorwatch.demonstration.performance import perform
        from sensorwatch.demonstration.plain_screen import PlainScreen

        perform(scenario, LiveScreen() if sys.stdout.isatty() else PlainScreen(), stop)
