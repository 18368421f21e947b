"""All configuration keys with their types, bounds and defaults."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    field_validator,
    model_validator,
)

from sensorwatch.common.rows.zones import load_zone
from sensorwatch.common.runtime.notify_settings import NotifySettings
from sensorwatch.common.runtime.setting_choices import (
    AlarmSeverity,
    Delivery,
    EmittedEvents,
    FeatureKind,
    LogFormat,
    LogLevel,
    StartPosition,
)
from sensorwatch.common.runtime.settings_table import SettingsTable as _SettingsTable
from sensorwatch.common.runtime.verdict_settings import VerdictSettings

KAFKA_DEFAULTS: Mapping[str, str] = {"bootstrap.servers": "localhost:9092"}
MAX_WAIT_MS = 200
"""Largest `max_wait_ms`. A longer wait would delay SIGTERM, because Python runs a signal handler
only after the client's consume() returns."""


def is_topic_name(name: str) -> bool:
    """Return whether Kafka allows this name for a topic."""
    return re.fullmatch(r"[A-Za-z0-9._-]{1,249}", name) is not None and name not in (".", "..")


def _check_topic_name(name: str) -> str:
    if not is_topic_name(name):
        raise ValueError("not a topic name (1 to 249 of letters, digits, '.', '_' and '-')")
    return name


def _check_scalar(value: object) -> object:
    # Without this check, pydantic would report a wrong value once for each type of the union.
    if not isinstance(value, str | int | float | bool):
        raise ValueError("not a text, a number, true or false")  # noqa: TRY004 - for pydantic
    return value


def _check_wait(milliseconds: int) -> int:
    if milliseconds > MAX_WAIT_MS:
        raise ValueError(
            f"at most {MAX_WAIT_MS}, found {milliseconds}: the worker reacts to SIGTERM only after "
            "this wait, and a longer wait makes no micro-batch larger"
        )
    return milliseconds


def _check_zone(zone: str) -> str:
    if zone:
        load_zone(zone)
    return zone


def _check_optional_topic_name(name: str) -> str:
    return _check_topic_name(name) if name else name


Scalar = str | int | float | bool
Topic = Annotated[str, AfterValidator(_check_topic_name)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Ratio = Annotated[float, Field(gt=0, lt=1)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
# Files and environment variables contain paths and enums as texts.
FilePath = Annotated[Path, Field(strict=False)]
Text = Annotated[str, Field(min_length=1)]


class TopicSettings(_SettingsTable):
    """The names of the topics."""

    readings: Topic = "sensors"
    anomalies: Topic = "anomalies"
    dead_letters: Topic = "sensors.dlq"
    ledger: Annotated[str, AfterValidator(_check_optional_topic_name)] = ""
    """If empty, the topic is `<group>.ledger`; `Settings.ledger_topic` returns the resolved
    name."""
    state: Annotated[str, AfterValidator(_check_optional_topic_name)] = ""
    """If empty, the topic is `<group>.state`; `Settings.state_topic` returns the resolved name."""
    scores: Annotated[str, AfterValidator(_check_optional_topic_name)] = ""
    """If empty, the topic is `<group>.scores`; `Settings.scores_topic` returns the resolved
    name."""


class SchemaSettings(_SettingsTable):
    """The path of the schema file."""

    path: FilePath = Path("schemas/default.toml")


class RegistrySettings(_SettingsTable):
    """The folder of the registry, and the model name to use."""

    path: FilePath = Path("registry")
    model: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")] = "default"


class BreakerSettings(_SettingsTable):
    """Settings of the breaker, which stops the consumer after too many rejections."""

    max_rejected_ratio: Annotated[float, Field(gt=0, le=1)] = 0.5
    min_rows: Count = 1_000
    window_rows: Count = 10_000
    grace_seconds: Annotated[float, Field(ge=0, le=86_400)] = 60

    @model_validator(mode="after")
    def _check_min_rows(self) -> Self:
        # The window has ten buckets (common/ledger/account.py), and its newest bucket may be nearly
        # empty.
        guaranteed_rows = 9 * (self.window_rows // 10)
        if self.min_rows > guaranteed_rows:
            raise ValueError(
                f"min_rows {self.min_rows} is above {guaranteed_rows}, the records that a "
                f"window of window_rows {self.window_rows} always contains (nine tenths), so the "
                "breaker might never open: lower min_rows or raise window_rows"
            )
        return self


class ConsumerSettings(_SettingsTable):
    """Settings of the consumer."""

    group: Text = "sensorwatch"
    instance: Text = "0"
    """A name that identifies the host or pod and stays the same after a restart; the transactional
    id is group.instance.worker."""
    delivery: Annotated[Delivery, Field(strict=False)] = Delivery.EXACTLY_ONCE
    start: Annotated[StartPosition, Field(strict=False)] = StartPosition.EARLIEST
    emit: Annotated[EmittedEvents, Field(strict=False)] = EmittedEvents.ROWS
    scores: bool = True
    """Whether score records are published; see `sensorwatch.common.kafka.score_records`."""
    max_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 50_000
    max_wait_ms: Annotated[int, Field(ge=0), AfterValidator(_check_wait)] = 50
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    threads: Annotated[int, Field(ge=1, le=64)] = 2
    """Number of threads in which a worker parses and scores a large micro-batch."""
    http_host: Text = "127.0.0.1"
    http_port: Port = 9101
    """Port of worker 0; worker n uses this port plus n. With 0, the system chooses a free port."""
    snapshot_every_rows: Count = 250_000
    """Rows of a partition between two snapshots, or five rows per sensor if that is more."""
    snapshot_every_seconds: Seconds = 3_600
    """Seconds between two snapshots of a partition with new records; must be far below the
    retention time of the topics."""
    max_sensors: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """Largest number of sensors in a partition's memory. If the memory is full, a new sensor evicts
    the sensor that was silent longest."""
    commit_deadline_seconds: Seconds = 30
    shutdown_seconds: Seconds = 5
    breaker: BreakerSettings = BreakerSettings()

    @model_validator(mode="after")
    def _check_last_port(self) -> Self:
        last_port = self.http_port + self.workers - 1
        if self.http_port and last_port > 65_535:
            raise ValueError(
                f"http_port {self.http_port} + {self.workers} workers end at {last_port}"
            )
        return self


class FalseAlarmRates(_SettingsTable):
    """Largest number of false episodes per sensor-day, by severity."""

    warning: Annotated[float, Field(gt=0, le=1_000)] = 0.1
    major: Annotated[float, Field(gt=0, le=1_000)] = 0.03
    critical: Annotated[float, Field(gt=0, le=1_000)] = 0.01


class AlarmSettings(_SettingsTable):
    """Settings of the alarms. They are stored in each model version."""

    false_alarms_per_sensor_day: FalseAlarmRates = FalseAlarmRates()
    max_critical_per_day: Annotated[float, Field(gt=0, le=1_000_000)] = 2.0
    """Largest number of false `critical` episodes per day, summed over all sensors in training."""
    accept_after_rows: Annotated[int, Field(ge=30, le=1_000_000_000)] = 2_000
    """If a signal stays at a new level for this number of rows, the level counts as usual."""


class SeasonSettings(_SettingsTable):
    """Settings of the season. They are stored in each model version."""

    zone: Annotated[str, AfterValidator(_check_zone)] = ""
    """IANA zone whose civil time the season follows; if empty, the schema's `naive_zone` or UTC."""


class TrainerTable(_SettingsTable):
    """The settings in the table `[trainer]`."""

    target_alert_rate: Annotated[float, Field(gt=0, le=0.5)] = 0.005
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    trees: Annotated[int, Field(ge=1, le=10_000)] = 100
    max_samples: Annotated[int, Field(ge=2, le=1_000_000)] = 256
    calibration_share: Ratio = 0.3
    features: Annotated[FeatureKind, Field(strict=False)] = FeatureKind.FORECAST
    min_rows: Annotated[int, Field(ge=3, le=1_000_000)] = 100
    """A sensor that had no rows in training learns its own level from this number of rows."""
    refractory_rows: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """After an alarm, this number of the sensor's next rows cannot raise another alarm."""


class TrainerSettings(TrainerTable):
    """All settings of training: the tables `[trainer]`, `[alarms]` and `[season]`."""

    alarms: AlarmSettings = AlarmSettings()
    season: SeasonSettings = SeasonSettings()


class SensorSettings(_SettingsTable):
    """Settings of silent sensors; see `sensorwatch.common.scoring.silence_rule`."""

    silent_check_seconds: Annotated[float, Field(ge=0, le=86_400)] = 60.0
    """Silent sensors are looked for at each multiple of this event time; with 0, they are not."""
    silent_after_seconds: Annotated[float, Field(ge=0, le=31_536_000)] = 0.0
    """A sensor without rows for longer than this is silent; with 0, its cadence decides."""
    silent_after_cadences: Annotated[float, Field(ge=1, le=1_000_000)] = 10.0
    """A sensor without rows for this number of its cadences, and for a minute, is silent."""
    silent_severity: Annotated[AlarmSeverity, Field(strict=False)] = AlarmSeverity.CRITICAL
    """Severity of the event of a silent sensor."""


class ApiSettings(_SettingsTable):
    """Settings of the HTTP service."""

    host: Text = "127.0.0.1"
    port: Port = 8000
    api_key_file: str = ""
    """A file with the key that requests must contain; if empty, requests need no key."""
    max_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    max_bytes: Annotated[int, Field(ge=1_024, le=1_000_000_000)] = 5_000_000


class PageSettings(_SettingsTable):
    """Settings of the live page of the HTTP service."""

    hours: Annotated[float, Field(ge=0, le=168)] = 12.0
    """The page shows this number of hours up to the newest event. With 0 there is no page."""
    published_on_loopback: bool = False
    """Whether the service runs in a container whose port is published on 127.0.0.1 only. Without a
    key, the page then also answers requests from private addresses."""


class LogSettings(_SettingsTable):
    """Settings of the log."""

    format: Annotated[LogFormat, Field(strict=False)] = LogFormat.HUMAN
    level: Annotated[LogLevel, Field(strict=False)] = LogLevel.INFO


class Settings(_SettingsTable):
    """The whole configuration."""

    kafka: dict[str, Annotated[Scalar, BeforeValidator(_check_scalar)]] = Field(
        default_factory=lambda: dict[str, Scalar](KAFKA_DEFAULTS)
    )
    """librdkafka's own keys, which are passed to the Kafka clients unchanged."""
    topics: TopicSettings = TopicSettings()
    schema_: SchemaSettings = Field(default=SchemaSettings(), alias="schema")
    registry: RegistrySettings = RegistrySettings()
    consumer: ConsumerSettings = ConsumerSettings()
    trainer: TrainerTable = TrainerTable()
    alarms: AlarmSettings = AlarmSettings()
    season: SeasonSettings = SeasonSettings()
    sensors: SensorSettings = SensorSettings()
    api: ApiSettings = ApiSettings()
    notify: NotifySettings = NotifySettings()
    verdicts: VerdictSettings = VerdictSettings()
    page: PageSettings = PageSettings()
    log: LogSettings = LogSettings()

    @field_validator("kafka")
    @classmethod
    def _add_kafka_defaults(cls, kafka: dict[str, Any]) -> dict[str, Any]:
        return {**KAFKA_DEFAULTS, **kafka}

    @property
    def training(self) -> TrainerSettings:
        """All settings of training."""
        return TrainerSettings(**self.trainer.model_dump(), alarms=self.alarms, season=self.season)

    @property
    def ledger_topic(self) -> str:
        """The name of the ledger topic."""
        return self.topics.ledger or f"{self.consumer.group}.ledger"

    @property
    def state_topic(self) -> str:
        """The name of the state topic."""
        return self.topics.state or f"{self.consumer.group}.state"

    @property
    def scores_topic(self) -> str:
        """The name of the scores topic."""
        return self.topics.scores or f"{self.consumer.group}.scores"

    @property
    def verdicts_topic(self) -> str:
        """The name of the verdict topic."""
        return f"{self.consumer.group}.verdicts"

    @property
    def notify_group(self) -> str:
        """The consumer group of the notifier."""
        return self.notify.group or f"{self.consumer.group}.notify"

    @property
    def open_episodes_topic(self) -> str:
        """The name of the notifier's topic of open episodes."""
        return f"{self.notify_group}.open-episodes"
