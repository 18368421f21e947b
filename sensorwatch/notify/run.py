"""Runs the notifier from its settings to its exit."""

import time
from contextlib import ExitStack
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from sensorwatch.common.errors import SettingsError
from sensorwatch.common.runtime.build import project_version
from sensorwatch.common.runtime.logs import logger
from sensorwatch.common.runtime.setting_keys import Settings, is_topic_name
from sensorwatch.consumer.health import Heartbeat, serve_health
from sensorwatch.consumer.stopping import StopRequest
from sensorwatch.notify.alert_delivery import AlertDelivery
from sensorwatch.notify.anomaly_reader import open_reader
from sensorwatch.notify.change_delivery import ChangeDelivery
from sensorwatch.notify.delivery import Clocks, Delivery, DeliveryContext
from sensorwatch.notify.http_client import json_poster, reader
from sensorwatch.notify.incident_book import IncidentBook
from sensorwatch.notify.input_watch import InputWatch
from sensorwatch.notify.metrics import NotifyMetrics
from sensorwatch.notify.notifier import Notifier
from sensorwatch.notify.policy import policy_of
from sensorwatch.notify.routing import Target, TargetKind, lowest_severity, targets_of
from sensorwatch.notify.saved_episodes import SavedEpisodes
from sensorwatch.notify.silence_watch import SilenceWatch, silence_judge

STUCK_SECONDS = 120.0
"""The loop counts as stuck after this time. A call to an unreachable broker takes some seconds."""

_log = logger("notify")


def run_notifier(settings: Settings, stopping: StopRequest) -> None:
    """Send incidents until `stopping` returns True.

    A signal during the start ends the process at once.

    Raises the errors of `common/errors.py`, each with its exit code.
    """
    targets = required_targets(settings)
    registry = CollectorRegistry()
    clocks = Clocks(now=lambda: datetime.now(UTC), monotonic=time.monotonic)
    context = DeliveryContext(
        book=IncidentBook(lowest_severity(targets)),
        policy=policy_of(settings.notify, settings.notify_group),
        metrics=NotifyMetrics(registry, targets=[target.name for target in targets]),
        clocks=clocks,
        post=json_poster(settings.notify.timeout_seconds),
    )
    heartbeat = Heartbeat(clocks.monotonic, STUCK_SECONDS)
    notifiers: list[Notifier] = []

    def not_ready_reason() -> str | None:
        is_ready = any(notifier.is_ready for notifier in notifiers)
        return None if is_ready else "not all events are read yet"

    health = serve_health(
        settings.notify.http_host,
        settings.notify.http_port,
        registry=registry,
        live=heartbeat.stuck_reason,
        ready=not_ready_reason,
        key="[notify] http_port",
    )
    _log.info(
        "notifier starts",
        health=health.address,
        sensorwatch=project_version(),
        group=settings.notify_group,
        topic=settings.topics.anomalies,
        targets=", ".join(target.name for target in targets),
    )
    try:
        with ExitStack() as clients:
            saved = SavedEpisodes(settings.kafka, settings.open_episodes_topic)
            clients.callback(saved.close)
            event_reader = open_reader(settings, context.policy, clocks.now())
            clients.callback(event_reader.close)
            input_watch = InputWatch(
                settings.kafka,
                settings.topics.readings,
                idle_seconds=context.policy.idle_seconds,
                now=clocks.now,
            )
            clients.callback(input_watch.close)
            watched_targets = targets if settings.verdicts.from_silences else ()
            silence_watch = SilenceWatch(
                watched_targets,
                reader(settings.notify.timeout_seconds),
                silence_judge(settings, lambda: time.time_ns() // 1_000),
            )
            clients.callback(silence_watch.close)
            notifier = Notifier(
                reader=event_reader,
                saved=saved,
                input_watch=input_watch,
                deliveries=[delivery_of(target, context) for target in targets],
                context=context,
                heartbeat=heartbeat,
                on_upkeep=silence_watch.note,
            )
            notifiers.append(notifier)
            stopping.finish_batch_first(settings.consumer.shutdown_seconds)
            notifier.run(stopping)
    finally:
        health.close()
    _log.info("notifier stopped")


def required_targets(settings: Settings) -> tuple[Target, ...]:
    """Return the targets. Raises SettingsError if the settings have none, or a wrong group."""
    targets = targets_of(settings.notify)
    if not targets:
        raise SettingsError(
            "[notify] has no targets: set alertmanagers, for example to "
            '["http://localhost:9093"], or webhooks; `--dry-run` needs none'
        )
    if not is_topic_name(settings.open_episodes_topic):
        raise SettingsError(
            f'"{settings.open_episodes_topic}", derived from the consumer group, is not a valid '
            "topic name: set [notify] group"
        )
    return targets


def delivery_of(target: Target, context: DeliveryContext) -> Delivery:
    """Return the delivery for a target, and start its thread."""
    if target.kind is TargetKind.ALERTMANAGER:
        return AlertDelivery(target, context)
    return ChangeDelivery(target, context)
