"""Tests of metric names, of their first values, and of the project's two own metric types."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from sensorwatch.common.rows.absorption import AbsorbedReason
from sensorwatch.common.rows.rejection import Reason
from sensorwatch.common.runtime.histogram import RowHistogram
from sensorwatch.common.runtime.metrics import ConsumerMetrics, HttpMetrics
from sensorwatch.common.runtime.ratio_window import WindowedRatio
from sensorwatch.common.scoring.status import Status

CONSUMER_METRICS = {
    "sensorwatch_records_absorbed",
    "sensorwatch_records_consumed",
    "sensorwatch_rows_scored",
    "sensorwatch_anomalies",
    "sensorwatch_anomaly_ratio",
    "sensorwatch_dead_letters",
    "sensorwatch_batch_rows",
    "sensorwatch_batch_duration_seconds",
    "sensorwatch_end_to_end_latency_seconds",
    "sensorwatch_consumer_lag_records",
    "sensorwatch_last_commit_timestamp_seconds",
    "sensorwatch_rebalances",
    "sensorwatch_transactions",
    "sensorwatch_breaker_open",
    "sensorwatch_model_info",
    "sensorwatch_model_loaded_timestamp_seconds",
    "sensorwatch_model_blind_signals",
    "sensorwatch_model_stale",
    "sensorwatch_silent_sensors",
    "sensorwatch_skewed_sensors",
    "sensorwatch_partition_event_time_seconds",
    "sensorwatch_open_episodes",
    "sensorwatch_episodes",
    "sensorwatch_model_reload_last_success",
    "sensorwatch_anomaly_score",
    "sensorwatch_policy_info",
    "sensorwatch_policy_calendar_end_timestamp_seconds",
    "sensorwatch_suppressed",
    "sensorwatch_sensors",
    "sensorwatch_sensors_evicted",
    "sensorwatch_held_values",
    "sensorwatch_rows_by_status",
    "sensorwatch_episodes_closed",
    "sensorwatch_restore_seconds",
    "sensorwatch_snapshots",
    "sensorwatch_snapshot_bytes",
    "sensorwatch_build_info",
}


def family_names(registry: CollectorRegistry) -> set[str]:
    """Return the names of the metric families that the Prometheus parser finds in the output."""
    text = generate_latest(registry).decode()
    return {family.name for family in text_string_to_metric_families(text)}


def test_the_consumer_has_every_documented_metric() -> None:
    registry = CollectorRegistry()
    ConsumerMetrics(registry, topic="sensors")

    assert family_names(registry) == CONSUMER_METRICS


def test_metrics_with_known_labels_start_at_zero() -> None:
    registry = CollectorRegistry()
    ConsumerMetrics(registry, topic="sensors")

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"sensorwatch_{name}", labels)

    assert value("records_consumed_total", topic="sensors") == 0
    absorbed = [value("records_absorbed_total", reason=reason) for reason in AbsorbedReason]
    assert absorbed == [0] * len(AbsorbedReason)
    assert [value("dead_letters_total", reason=reason) for reason in Reason] == [0] * len(Reason)
    assert [
        value("anomalies_total", severity=name) for name in ("warning", "major", "critical")
    ] == [0, 0, 0]
    assert value("anomalies_total", severity="none") is None
    assert value("transactions_total", outcome="unknown") == 0
    assert value("rebalances_total", kind="lost") == 0
    assert value("batch_duration_seconds_count", stage="commit") == 0
    assert value("anomaly_score_count") == 0
    assert [value("rows_by_status_total", status=status) for status in Status] == [0] * len(Status)
    for name in ("sensors_evicted_total", "episodes_closed_total", "snapshots_total"):
        assert value(name) == 0
    assert value("restore_seconds_count") == value("snapshot_bytes_count") == 0


def test_http_request_counters_start_at_zero_for_each_handler() -> None:
    registry = CollectorRegistry()
    HttpMetrics(registry, handlers=[("POST", "/predict")])

    labels = {"method": "POST", "handler": "/predict", "status": "200"}
    assert registry.get_sample_value("sensorwatch_http_requests_total", labels) == 0
    assert "sensorwatch_http_request_duration_seconds" in family_names(registry)


def test_only_the_model_in_use_has_an_info_metric() -> None:
    registry = CollectorRegistry()
    model = ConsumerMetrics(registry, topic="sensors").model
    model.loaded(model="default", version="v1", schema="f00", blind_signals=0, at=1.0)
    model.loaded(model="default", version="v2", schema="f00", blind_signals=2, at=2.0)

    def model_info(version: str) -> float | None:
        labels = {"model": "default", "version": version, "schema": "f00"}
        return registry.get_sample_value("sensorwatch_model_info", labels)

    assert (model_info("v1"), model_info("v2")) == (None, 1)
    assert registry.get_sample_value("sensorwatch_model_reload_last_success") == 1
    assert registry.get_sample_value("sensorwatch_model_blind_signals") == 2


@given(st.lists(st.lists(st.floats(-2, 12, width=16), max_size=20), max_size=5))
def test_the_row_histogram_counts_like_the_prometheus_histogram(arrays: list[list[float]]) -> None:
    bucket_bounds = (0.0, 0.5, 1.0, 2.0, 10.0)
    our_registry, reference_registry = CollectorRegistry(), CollectorRegistry()
    row_histogram = RowHistogram("score", "Score.", bounds=bucket_bounds, registry=our_registry)
    reference_histogram = Histogram(
        "score", "Score.", buckets=bucket_bounds, registry=reference_registry
    )
    for values in arrays:
        row_histogram.observe(np.asarray(values, dtype=np.float64))
        for value in values:
            reference_histogram.observe(value)

    def buckets(registry: CollectorRegistry) -> list[float | None]:
        bucket_ends = [*map(str, bucket_bounds), "+Inf"]
        return [
            registry.get_sample_value("score_bucket", {"le": bucket_end})
            for bucket_end in bucket_ends
        ]

    assert buckets(our_registry) == buckets(reference_registry)
    assert our_registry.get_sample_value("score_count") == sum(map(len, arrays))


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(0, 30)), max_size=40),
    st.integers(1, 20),
)
def test_the_windowed_ratio_counts_only_the_last_seconds(
    additions: list[tuple[int, int, int]], seconds: int
) -> None:
    windowed_ratio = WindowedRatio(seconds)
    now, added_counts = 0, []
    for pause_seconds, hits, misses in additions:
        now += pause_seconds
        windowed_ratio.add(hits, hits + misses, now=now + 0.5)
        added_counts.append((now, hits, hits + misses))

    counts_in_window = [
        (hits, rows) for second, hits, rows in added_counts if second > now - seconds
    ]
    hits, rows = (
        (sum(column) for column in zip(*counts_in_window, strict=True))
        if counts_in_window
        else (0, 0)
    )
    assert windowed_ratio.ratio(now=now + 0.7) == (hits / rows if rows else 0)
    assert windowed_ratio.ratio(now=now + seconds + 1) == 0
