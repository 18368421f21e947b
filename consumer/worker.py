"""Runs one worker from its settings to its exit."""

import gc
import time
from collections.abc import Mapping

from prometheus_client import CollectorRegistry

from sensorwatch.common.errors import ModelRefused, SettingsError
from sensorwatch.common.registry.champion import Champion
from sensorwatch.common.registry.manifest import ModelVersion
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.runtime.allocator import keep_freed_memory
from sensorwatch.common.runtime.build import project_version
from sensorwatch.common.runtime.logs import logger
from sensorwatch.common.runtime.metrics import ConsumerMetrics, ModelMetrics
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.scoring.warmup import load_kernels
from sensorwatch.consumer.connection import connect
from sensorwatch.consumer.final_snapshots import MAX_SHARE_OF_STOP_TIME, write_final_snapshots
from sensorwatch.consumer.health import HealthServer, serve_health
from sensorwatch.consumer.loop import run
from sensorwatch.consumer.observation import Observation
from sensorwatch.consumer.policy_adoption import follow_policy
from sensorwatch.consumer.stopping import StopRequest
from sensorwatch.consumer.threads import ThreadedRowExecutor
from sensorwatch.consumer.wiring import Clock

PORT_WAIT_SECONDS = 2.0
"""A worker whose supervisor was killed frees its port within shutdown_seconds plus this time."""
PORT_RETRY_SECONDS = 0.2
GC_THRESHOLD = 500_000
"""The cyclic garbage collector runs after this number of new objects."""

_log = logger("consumer")


def run_worker(
    settings: Settings,
    worker_number: int | None,
    accept_rejections_until: Mapping[int, int],
    stopping: StopRequest,
) -> None:
    """Run a worker until `stopping` returns True.

    `worker_number` is None if the worker has no supervisor. Raises the errors of
    `common/errors.py`, each with its exit code.
    """
    worker_index = worker_number or 0
    consumer_settings, topic = settings.consumer, settings.topics.readings
    registry = CollectorRegistry()
    metrics = ConsumerMetrics(registry, topic=topic)
    champion = follow_champion(settings, metrics.model)
    policies = follow_policy(settings, metrics.policy)
    observation = Observation(
        metrics, topic=topic, stuck_after_seconds=3 * consumer_settings.commit_deadline_seconds + 30
    )
    port_wait_seconds = (
        0.0 if worker_number is None else consumer_settings.shutdown_seconds + PORT_WAIT_SECONDS
    )
    health = _serve_health(settings, worker_index, registry, observation, port_wait_seconds)
    _log.info(
        "worker starts",
        worker=worker_index,
        health=health.address,
        sensorwatch=project_version(),
        group=consumer_settings.group,
        topic=topic,
        delivery=consumer_settings.delivery.value,
    )
    stopping.finish_batch_first(consumer_settings.shutdown_seconds)
    keep_freed_memory()
    try:
        with ThreadedRowExecutor(consumer_settings.threads) as row_executor:
            wiring, policy = connect(
                settings,
                worker_index,
                accept_rejections_until,
                champion,
                policies,
                observation,
                row_executor,
            )
            _collect_garbage_rarely()
            clock = Clock()
            try:
                run(wiring, policy, clock, stopping)
                seconds = MAX_SHARE_OF_STOP_TIME * stopping.remaining_seconds
                write_final_snapshots(wiring, policy, clock, seconds=seconds)
            finally:
                wiring.outbox.close()
                wiring.source.close()
    finally:
        health.close()
    _log.info("worker stopped", worker=worker_index)


def _collect_garbage_rarely() -> None:
    """Run the cyclic garbage collector rarely, and exclude the objects that exist now.

    A micro-batch creates tens of thousands of objects without cycles. A garbage collection of these
    objects took as long as scoring the records.
    """
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


def _serve_health(
    settings: Settings,
    worker_index: int,
    registry: CollectorRegistry,
    observation: Observation,
    port_wait_seconds: float,
) -> HealthServer:
    """Serve health and metrics; wait up to `port_wait_seconds` for a port that is in use."""
    host, port = settings.consumer.http_host, settings.consumer.http_port
    deadline = time.monotonic() + port_wait_seconds
    while True:
        try:
            return serve_health(
                host,
                port and port + worker_index,
                registry=registry,
                live=observation.not_live_reason,
                ready=observation.not_ready_reason,
            )
        except SettingsError as error:
            if time.monotonic() >= deadline:
                raise SettingsError(
                    f"{error}. Another worker may use this port: find it and stop it"
                ) from error
        time.sleep(PORT_RETRY_SECONDS)


def follow_champion(settings: Settings, metrics: ModelMetrics) -> Champion:
    """Load the champion and return it; metrics and logs show each later change.

    Raises ModelRefused if no champion can be loaded.
    """

    def on_loaded(version: ModelVersion) -> None:
        load_kernels(version.detector)
        schema = version.detector.schema.fingerprint
        metrics.loaded(
            model=settings.registry.model,
            version=version.detector.version,
            schema=schema,
            blind_signals=len(version.manifest.blind_signals),
            at=time.time(),
        )
        _log.info("model loaded", version=version.detector.version, schema=schema)

    def on_refused(error: ModelRefused) -> None:
        metrics.reload_last_success.set(0)
        _log.error("model refused, the last good version stays in use", why=str(error))

    return Champion(
        Registry(settings.registry.path),
        settings.registry.model,
        on_loaded=on_loaded,
        on_refused=on_refused,
    )
