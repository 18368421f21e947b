"""Tests of alerts, metrics, dashboards and Prometheus configuration on a real Prometheus."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from prometheus_client.openmetrics import parser

from tests.brokers.child_processes import wait_until
from tests.brokers.kafka import Kafka
from tests.brokers.real_kafka import kafka_required
from tests.deploy.compose import ROOT, services
from tests.deploy.monitored_worker import MonitoredServices
from tests.deploy.prometheus import (
    ALERTS_FILE,
    PROMETHEUS_FOLDER,
    PROMTOOL_TESTS,
    Prometheus,
    promtool,
    reason_prometheus_is_missing,
)

DASHBOARD_FILES = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
CONFIGURATION_FILE = PROMETHEUS_FOLDER / "prometheus.yml"
CONSUMER_LABELS, API_LABELS = '{job="sensorwatch-consumer"}', '{job="sensorwatch-api"}'
PROMETHEUS_3_ACCEPT = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
"""The Accept header that Prometheus 3.7, the version in the compose file, sends."""


@pytest.fixture(scope="module", autouse=True)
def _require_prometheus() -> None:
    missing = reason_prometheus_is_missing()
    if missing is None:
        return
    if kafka_required():
        pytest.fail(f"{missing}, and CI needs it", pytrace=False)
    pytest.skip(missing)


def dashboard_expressions() -> list[str]:
    """Return every PromQL expression that the dashboards query."""
    panels = [panel for file in DASHBOARD_FILES for panel in json.loads(file.read_text())["panels"]]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def test_promtool_accepts_the_configuration_and_the_alerts() -> None:
    for file_type, path in (("config", CONFIGURATION_FILE), ("rules", ALERTS_FILE)):
        check_result = promtool("check", file_type, path)
        assert check_result.returncode == 0, check_result.stdout + check_result.stderr


def test_alerts_fire_only_in_the_expected_cases() -> None:
    test_result = promtool("test", "rules", *PROMTOOL_TESTS)
    assert test_result.returncode == 0, test_result.stdout + test_result.stderr


def test_scrape_targets_are_services_and_ports_of_the_compose_file() -> None:
    compose_services = services()
    targets = re.findall(r'"(\w+):(\d+)"', CONFIGURATION_FILE.read_text())
    assert {name for name, _ in targets} == {"consumer", "api", "notify", "alertmanager"}
    for name, port in targets:
        assert int(port) in compose_services[name].container_ports


@dataclass(frozen=True, slots=True)
class ScrapedServices:
    """Services that processed known numbers of rows, and a Prometheus that scraped them."""

    services: MonitoredServices
    prometheus: Prometheus


@pytest.fixture(scope="module")
def scraped_services(
    kafka: Kafka, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ScrapedServices]:
    """Return services that got 310 records (10 anomalous, 10 broken) and 8 rows (2 anomalous).

    The records came from the topic, the rows by HTTP.
    """
    folder = tmp_path_factory.mktemp("monitored")
    monitored_services = MonitoredServices(kafka, folder)
    configured_targets = ("consumer:9101", "api:8000", "notify:9201")
    targets = dict(zip(configured_targets, monitored_services.addresses, strict=True))
    prometheus = Prometheus(folder, targets)
    try:
        monitored_services.wait_ready()
        prometheus.wait_ready()
        # A rate needs an increase between two scrapes, so send the same records twice.
        for round_number in (1, 2):
            monitored_services.send(normal=145, anomalous=5, broken=5)
            monitored_services.predict(normal=3, anomalous=1)
            consumed_query = f"sum(sensorwatch_records_consumed_total{CONSUMER_LABELS})"
            prometheus.wait_for(consumed_query, 155 * round_number, deadline=120)
            prometheus.wait_for(f"sum(sensorwatch_rows_scored_total{API_LABELS})", 4 * round_number)
        yield ScrapedServices(monitored_services, prometheus)
    finally:
        prometheus.close()
        monitored_services.close()


@pytest.mark.broker
@pytest.mark.slow
class TestScraping:
    """Tests of the metrics that a real Prometheus scrapes from running services."""

    def test_all_targets_are_up(self, scraped_services: ScrapedServices) -> None:
        samples = scraped_services.prometheus.query("up")
        up_by_job = {sample.labels["job"]: sample.value for sample in samples}
        jobs = {"sensorwatch-consumer", "sensorwatch-api", "sensorwatch-notify"}
        assert up_by_job == dict.fromkeys(jobs, 1)

    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            (f"sensorwatch_rows_scored_total{CONSUMER_LABELS}", 300),
            (f"sum(sensorwatch_anomalies_total{CONSUMER_LABELS})", 10),
            (f"sum(sensorwatch_dead_letters_total{CONSUMER_LABELS})", 10),
            ('sensorwatch_dead_letters_total{reason="not_json"}', 10),
            (f"sensorwatch_anomaly_ratio{CONSUMER_LABELS}", 10 / 300),
            (f"sensorwatch_anomaly_score_count{CONSUMER_LABELS}", 300),
            ('sensorwatch_anomaly_score_bucket{job="sensorwatch-consumer",le="+Inf"}', 300),
            (f"sensorwatch_batch_rows_sum{CONSUMER_LABELS}", 310),
            ("sensorwatch_end_to_end_latency_seconds_count", 310),
            ("sensorwatch_breaker_open", 0),
            (f"sensorwatch_rows_scored_total{API_LABELS}", 8),
            (f"sum(sensorwatch_anomalies_total{API_LABELS})", 2),
            (f"sensorwatch_anomaly_ratio{API_LABELS}", 0.25),
            ('sensorwatch_http_requests_total{handler="/predict",status="200"}', 2),
            ('sensorwatch_http_request_duration_seconds_count{handler="/predict"}', 2),
        ],
    )
    def test_the_metrics_count_the_traffic(
        self, scraped_services: ScrapedServices, expression: str, expected: float
    ) -> None:
        scraped_services.prometheus.wait_for(expression, expected)

    def test_both_services_name_the_champion(self, scraped_services: ScrapedServices) -> None:
        samples = scraped_services.prometheus.query("sensorwatch_model_info == 1")
        versions = [sample.labels["version"] for sample in samples]
        assert versions == [scraped_services.services.version] * 2

    def test_the_lag_of_every_partition_ends_at_zero(
        self, scraped_services: ScrapedServices
    ) -> None:
        topic = scraped_services.services.topic
        lag_query = f'count(sensorwatch_consumer_lag_records{{topic="{topic}"}} == 0)'
        scraped_services.prometheus.wait_for(lag_query, 2)

    @pytest.mark.parametrize("expression", dashboard_expressions())
    def test_every_query_of_the_dashboards_has_a_value(
        self, scraped_services: ScrapedServices, expression: str
    ) -> None:
        # A panel of counts above zero is empty if nothing was counted, such as an absorbed record.
        expression = expression.removesuffix(" > 0")

        def finite_values() -> list[float]:
            values = [sample.value for sample in scraped_services.prometheus.query(expression)]
            return [value for value in values if not math.isnan(value)]

        assert wait_until(
            finite_values, deadline=20, what=f"{expression} to give a number", every=0.3
        )

    def test_the_alerts_are_evaluated_and_do_not_fire(
        self, scraped_services: ScrapedServices
    ) -> None:
        wait_until(
            lambda: {rule["health"] for rule in scraped_services.prometheus.rules()} == {"ok"},
            deadline=20,
            what="the rules to be evaluated",
            every=0.3,
        )
        firing_alerts = [
            rule["name"]
            for rule in scraped_services.prometheus.rules()
            if rule["state"] == "firing"
        ]
        assert firing_alerts == []

    def test_every_metric_of_alerts_and_dashboards_exists(
        self, scraped_services: ScrapedServices
    ) -> None:
        text = ALERTS_FILE.read_text() + "\n".join(dashboard_expressions())
        metric_names = set(re.findall(r"\bsensorwatch_[a-z_]+\b", text))
        # The schema of this test has no signal whose missing values are filled.
        metric_names -= {"sensorwatch_held_values_total"}
        assert len(metric_names) > 10
        wait_until(
            lambda: metric_names <= scraped_services.prometheus.metric_names(),
            deadline=20,
            what=f"all of {sorted(metric_names)}",
            every=0.3,
        )

    def test_promtool_accepts_the_metrics(self, scraped_services: ScrapedServices) -> None:
        for address in scraped_services.services.addresses:
            _, text = scraped_services.services.get(address, "/metrics")
            check_result = promtool("check", "metrics", text=text)
            assert (check_result.returncode, check_result.stdout + check_result.stderr) == (0, "")
        wrong_type_result = promtool("check", "metrics", text="# TYPE a_total gauge\na_total 1\n")
        assert wrong_type_result.returncode != 0, "promtool must reject a wrong type"

    def test_prometheus_3_gets_a_format_that_it_accepts(
        self, scraped_services: ScrapedServices
    ) -> None:
        for address in scraped_services.services.addresses[:2]:
            content_type, text = scraped_services.services.get(
                address, "/metrics", accept=PROMETHEUS_3_ACCEPT
            )
            assert content_type.startswith("application/openmetrics-text; version=1.0.0")
            parsed_families = parser.text_string_to_metric_families(text)  # type: ignore[no-untyped-call] # theirs
            families = {family.name for family in parsed_families}
            assert "sensorwatch_rows_scored" in families
