"""`sensorwatch demo`: the whole way of a row, live, in a minute, with nothing else installed."""

import os
import sys
import time
from collections.abc import Callable

from common.errors import CheckFailed
from common.runtime.logs import configure
from producer.stopping import Stop, stop_on_signals
from sensorwatch.demonstration.accounting import discrepancies
from sensorwatch.demonstration.feeding import Feeding
from sensorwatch.demonstration.figures import Figures, Meter
from sensorwatch.demonstration.live_screen import LiveScreen
from sensorwatch.demonstration.plain_screen import PlainScreen
from sensorwatch.demonstration.reckoning import reckon
from sensorwatch.demonstration.scenario import RATE, SENSORS, Scenario, scenario_of
from sensorwatch.demonstration.screen import Screen, State
from sensorwatch.demonstration.stage import Stage, stage
from sensorwatch.demonstration.summary import summary
from sensorwatch.demonstration.truth import score
from sensorwatch.demonstration.watching import Watching


def demo() -> None:
    """See the whole way of a row, live: broker, sensors with faults, model, consumer and API.

    Ends after DEMO_SECONDS (default 60) or on Ctrl-C, with the account of every record.
    """
    scenario = scenario_of(os.environ)
    configure("human", "error")
    screen: Screen = LiveScreen() if sys.stdout.isatty() else PlainScreen()
    with stop_on_signals() as stop:
        _run(scenario, screen, stop)


def _run(scenario: Scenario, screen: Screen, stop: Stop) -> None:
    with stage(scenario, say=screen.step, stopping=stop.asked) as running:
        watching = Watching(running.settings)
        kafka, topic = running.settings.kafka, running.settings.topics.readings
        feeding = Feeding(scenario, kafka, topic)
        screen.step(f"{SENSORS} sensors send {RATE:g} rows/s for {scenario.seconds:g} s")
        screen.show_addresses(running)
        watching.start()
        feeding.start()
        with screen.live():
            _play(scenario, screen, stop, running, feeding, watching)
        _finish(screen, running, feeding, watching)


def _play(
    scenario: Scenario,
    screen: Screen,
    stop: Stop,
    running: Stage,
    feeding: Feeding,
    watching: Watching,
) -> None:
    """Show what happens until it is time or somebody asks to stop."""
    began = time.monotonic()
    look = _figures(Meter(running.consumer_address))
    while (elapsed := time.monotonic() - began) < scenario.seconds and not stop.asked():
        for part in (feeding, watching, running.consumer, running.api):
            part.check()
        screen.update(
            State(
                elapsed=elapsed,
                seconds=scenario.seconds,
                sent=feeding.sent,
                figures=look(),
                reasons=dict(watching.reasons),
                latest=list(watching.latest),
            )
        )
        left = scenario.seconds - (time.monotonic() - began)
        stop.sleep(max(0.0, min(screen.every_seconds, left)))


def _figures(meter: Meter) -> Callable[[], Figures]:
    """Return a look at the meter that repeats the newest figures where there are none."""
    newest = Figures()

    def look() -> Figures:
        nonlocal newest
        newest = meter.read(time.monotonic()) or newest
        return newest

    return look


def _finish(screen: Screen, running: Stage, feeding: Feeding, watching: Watching) -> None:
    """Stop the sensors first, let the consumer come to the end, then count."""
    screen.step("the sensors stop, the consumer finishes")
    counts = reckon(running, feeding.stop(), watching)
    screen.print("", "")
    rate = running.settings.trainer.target_alert_rate
    lines = summary(counts, score(watching.truth), watching.reasons, target_alert_rate=rate)
    for text, style in lines:
        screen.print(text, style)
    problems = discrepancies(counts)
    if problems:
        raise CheckFailed("; ".join(problems))
