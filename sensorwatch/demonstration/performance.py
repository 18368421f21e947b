"""The demonstration from its first row to its account."""

import time
from collections.abc import Callable, Mapping

from sensorwatch.common.errors import CheckFailed
from sensorwatch.demonstration.accounting import Counts, discrepancies
from sensorwatch.demonstration.feeding import Feeding
from sensorwatch.demonstration.figures import Meter, ServerFigures
from sensorwatch.demonstration.reckoning import reckon
from sensorwatch.demonstration.scenario import RATE, SENSORS, Scenario
from sensorwatch.demonstration.screen import Screen, State
from sensorwatch.demonstration.stage import Stage, stage
from sensorwatch.demonstration.summary import summary
from sensorwatch.demonstration.truth import Truth, score
from sensorwatch.demonstration.watching import Watching
from sensorwatch.producer.stop_signals import StopSignal


def perform(scenario: Scenario, screen: Screen, stop: StopSignal) -> None:
    """Set everything up, show it until it is time or `stop` is asked for, and count.

    Raises CheckFailed where the account does not add up or a service ends before its time.
    """
    with stage(scenario, say=screen.step, stopping=stop.requested) as running:
        kafka, topic = running.settings.kafka, running.settings.topics.readings
        watching, feeding = Watching(running.settings), Feeding(scenario, kafka, topic)
        screen.step(f"{SENSORS} sensors send {RATE:g} rows/s for {scenario.seconds:g} s")
        screen.show_addresses(running)
        with watching, feeding:
            with screen.live():
                _play(scenario, screen, stop, running, feeding, watching)
            _finish(screen, running, feeding, watching)


def _play(
    scenario: Scenario,
    screen: Screen,
    stop: StopSignal,
    running: Stage,
    feeding: Feeding,
    watching: Watching,
) -> None:
    """Show what happens until it is time or somebody asks to stop."""
    began = time.monotonic()
    look = _figures(Meter(running.consumer_address))
    while (elapsed := time.monotonic() - began) < scenario.seconds and not stop.requested():
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


def _figures(meter: Meter) -> Callable[[], ServerFigures]:
    """Return a look at the meter that repeats the newest figures where there are none."""
    newest = ServerFigures()

    def look() -> ServerFigures:
        nonlocal newest
        newest = meter.read(time.monotonic()) or newest
        return newest

    return look


def _finish(screen: Screen, running: Stage, feeding: Feeding, watching: Watching) -> None:
    """Stop the sensors first, let the consumer come to the end, then count."""
    screen.step("the sensors stop, the consumer finishes")
    counts = reckon(running, feeding.stop(), watching)
    rate = running.settings.trainer.target_alert_rate
    conclude(screen, counts, watching.truth, watching.reasons, target_alert_rate=rate)


def conclude(
    screen: Screen,
    counts: Counts,
    truth: Truth,
    reasons: Mapping[str, int],
    *,
    target_alert_rate: float,
) -> None:
    """Print the summary; raises CheckFailed where a record has not exactly one outcome."""
    screen.print("", "")
    lines = summary(counts, score(truth), reasons, target_alert_rate=target_alert_rate)
    for text, style in lines:
        screen.print(text, style)
    problems = discrepancies(counts)
    if problems:
        raise CheckFailed(f"the account does not add up: {'; '.join(problems)}")
