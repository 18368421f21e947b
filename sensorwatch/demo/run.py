"""Run the demo: start the services, show the rows, and print a summary."""

import time
from collections.abc import Mapping

from sensorwatch.common.errors import CheckFailed
from sensorwatch.common.runtime.kernel_compilation import KernelCompilation
from sensorwatch.common.scoring.detections import Severity
from sensorwatch.demo.alerting import Alerting
from sensorwatch.demo.consumer_metrics import MetricsReader
from sensorwatch.demo.record_account import Counts, count_records, discrepancies
from sensorwatch.demo.row_feed import RowFeed
from sensorwatch.demo.scenario import ROWS_PER_SECOND, SENSORS, Scenario
from sensorwatch.demo.score import Observations, score
from sensorwatch.demo.screens import DemoState, Screen
from sensorwatch.demo.services import Services, start_services
from sensorwatch.demo.texts import alert_count_text, first_alert_text, summary
from sensorwatch.demo.topic_watcher import TopicWatcher
from sensorwatch.producer.stop_signals import StopSignal


def run_demo(
    scenario: Scenario,
    screen: Screen,
    stop: StopSignal,
    compilation: KernelCompilation,
    *,
    keeps_folder: bool = False,
) -> None:
    """Start the services, show their work until the end or a stop request, and print the summary.

    `keeps_folder`: the files of the services are kept, and their folder is printed.

    Raises CheckFailed if a service ends early or if a record does not have exactly one outcome.
    """
    with start_services(
        scenario,
        compilation,
        keeps_folder=keeps_folder,
        on_step=screen.step,
        stopping=stop.requested,
    ) as services:
        settings = services.settings
        with (
            TopicWatcher(settings) as watcher,
            RowFeed(scenario, settings.kafka, settings.topics.readings) as feed,
        ):
            screen.step(
                f"{SENSORS} sensors send {ROWS_PER_SECOND:g} rows/s for {scenario.seconds:g} s"
            )
            screen.show_addresses(services)
            with screen.live():
                _show_until_end(scenario, screen, stop, services, feed, watcher)
            screen.step("the sensors stop, and the consumer processes the remaining rows")
            counts = count_records(services, feed.stop(), watcher)
            alerts_line = _alerts_line(services.alerting, watcher.observations)
        if alerts_line:
            screen.print(alerts_line, "")
        if keeps_folder:
            screen.print(f"the files are kept in {services.config.parent}", "")
        print_summary(
            screen,
            counts,
            watcher.observations,
            watcher.reasons,
            target_alert_rate=settings.trainer.target_alert_rate,
        )


def _show_until_end(
    scenario: Scenario,
    screen: Screen,
    stop: StopSignal,
    services: Services,
    feed: RowFeed,
    watcher: TopicWatcher,
) -> None:
    """Update the screen until the end of the run or a stop request."""
    start_time = time.monotonic()
    metrics = MetricsReader(services.consumer_address)
    alerting = services.alerting
    while (elapsed := time.monotonic() - start_time) < scenario.seconds and not stop.requested():
        for component in (feed, watcher, services):
            component.check()
        if alerting is not None and (alerts := alerting.alerts()):
            screen.print(first_alert_text(alerts[0], alerting.address), "")
            alerting = None  # Only the first alert is shown.
        screen_state = DemoState(
            elapsed=elapsed,
            seconds=scenario.seconds,
            sent=feed.sent,
            metrics=metrics.read(time.monotonic()),
            reasons=dict(watcher.reasons),
            latest=list(watcher.latest),
        )
        screen.update(screen_state)
        remaining = scenario.seconds - (time.monotonic() - start_time)
        stop.sleep(max(0.0, min(screen.every_seconds, remaining)))


def _alerts_line(alerting: Alerting | None, observations: Observations) -> str:
    """Return the number of alerts that Alertmanager has, or "" without an Alertmanager.

    If there is a critical alarm, wait for its alert for some seconds.
    """
    if alerting is None:
        return ""
    is_expected = Severity.CRITICAL in observations.severities.values()
    alerts = alerting.wait_for_alerts() if is_expected else alerting.alerts()
    return alert_count_text(len(alerts), alerting.address)


def print_summary(
    screen: Screen,
    counts: Counts,
    observations: Observations,
    reasons: Mapping[str, int],
    *,
    target_alert_rate: float,
) -> None:
    """Print the summary. Raises CheckFailed if a record does not have exactly one outcome."""
    screen.print("", "")
    lines = summary(counts, score(observations), reasons, target_alert_rate=target_alert_rate)
    for text, style in lines:
        screen.print(text, style)
    problems = discrepancies(counts)
    if problems:
        raise CheckFailed(f"the account does not add up: {'; '.join(problems)}")
