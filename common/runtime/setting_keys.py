"""Every key of the configuration with its type, bounds and default."""

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

KAFKA_DEFAULTS: Mapping[str, str] = {"bootstrap.servers": "localhost:9092"}
MAX_WAIT_MS = 200
"""A signal's handler runs only when the client's consume() returns."""


class Delivery(StrEnum):
    """How results and offsets are committed."""

    EXACTLY_ONCE = "exactly_once"
    AT_LEAST_ONCE = "at_least_once"


class Emit(StrEnum):
    """What is published of an episode, besides its end; what is counted does not depend on it."""

    ROWS = "rows"
    """Every anomalous row."""
    EPISODES = "episodes"
    """Its first row only; a late or duplicate row is an episode of its own."""


class StartPosition(StrEnum):
    """Where a partition without a committed offset begins."""

    EARLIEST = "earliest"
    LATEST = "latest"
    ERROR = "error"


class FeatureKind(StrEnum):
    """What a model looks at."""

    FORECAST = "forecast"
    """Each row against what the rows before it let expect."""
    PLAIN = "plain"
    """The raw signals, hour and day of week; no memory."""


class LogFormat(StrEnum):
    """Who reads the log."""

    HUMAN = "human"
    JSON = "json"


class LogLevel(StrEnum):
    """The least important line that is still written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def is_topic(name: str) -> bool:
    """Say whether Kafka allows a topic of this name."""
    return re.fullmatch(r"[A-Za-z0-9._-]{1,249}", name) is not None and name not in (".", "..")


def _check_topic_name(name: str) -> str:
    if not is_topic(name):
        raise ValueError("not a topic name (1 to 249 of letters, digits, '.', '_' and '-')")
    return name


def _check_scalar(value: object) -> object:
    # One message instead of pydantic's one for every type of the union.
    if not isinstance(value, str | int | float | bool):
        raise ValueError("not a text, a number, true or false")  # noqa: TRY004 - pydantic's way
    return value


def _check_wait(milliseconds: int) -> int:
    if milliseconds > MAX_WAIT_MS:
        raise ValueError(
            f"at most {MAX_WAIT_MS}, found {milliseconds}: a SIGTERM is heard only when the "
            "wait for records ends, and waiting longer makes no batch larger"
        )
    return milliseconds


def _check_optional_topic_name(name: str) -> str:
    return _check_topic_name(name) if name else name


Scalar = str | int | float | bool
Topic = Annotated[str, AfterValidator(_check_topic_name)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Ratio = Annotated[float, Field(gt=0, lt=1)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
# The files and the environment know no paths and enums, only texts.
FilePath = Annotated[Path, Field(strict=False)]
Text = Annotated[str, Field(min_length=1)]


class _SettingsTable(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TopicSettings(_SettingsTable):
    """The names of the topics."""

    readings: Topic = "sensors"
    anomalies: Topic = "anomalies"
    dead_letters: Topic = "sensors.dlq"
    ledger: Annotated[str, AfterValidator(_check_optional_topic_name)] = ""
    """Empty: `<group>.ledger`; read it as `Settings.ledger_topic`."""
    state: Annotated[str, AfterValidator(_check_optional_topic_name)] = ""
    """Empty: `<group>.state`; read it as `Settings.state_topic`."""


class SchemaSettings(_SettingsTable):
    """Where the declaration of a row stands."""

    path: FilePath = Path("schemas/default.toml")


class RegistrySettings(_SettingsTable):
    """Where the model versions are kept, and the name of ours."""

    path: FilePath = Path("registry")
    model: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")] = "default"


class BreakerSettings(_SettingsTable):
    """When too many rejections stop the consumer."""

    max_rejected_ratio: Annotated[float, Field(gt=0, le=1)] = 0.5
    min_rows: Count = 1_000
    window_rows: Count = 10_000
    grace_seconds: Annotated[float, Field(ge=0, le=86_400)] = 60

    @model_validator(mode="after")
    def _check_min_rows(self) -> Self:
        # The window is ten buckets (common/detection/ledger.py); the newest may just have begun.
        guaranteed_rows = 9 * (self.window_rows // 10)
        if self.min_rows > guaranteed_rows:
            raise ValueError(
                f"min_rows {self.min_rows} is above {guaranteed_rows}, which is all that a window of "
                f"window_rows {self.window_rows} always holds (nine tenths), so the breaker could "
                "stay shut: lower min_rows or raise window_rows"
            )
        return self


class ConsumerSettings(_SettingsTable):
    """The consumer's loop."""

    group: Text = "sensorwatch"
    instance: Text = "0"
    """Stable per host or pod; the transactional id is group.instance.worker."""
    delivery: Annotated[Delivery, Field(strict=False)] = Delivery.EXACTLY_ONCE
    start: Annotated[StartPosition, Field(strict=False)] = StartPosition.EARLIEST
    emit: Annotated[Emit, Field(strict=False)] = Emit.ROWS
    max_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 50_000
    max_wait_ms: Annotated[int, Field(ge=0), AfterValidator(_check_wait)] = 50
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    threads: Annotated[int, Field(ge=1, le=64)] = 2
    """Of a worker, for what needs no order among the rows of a large micro-batch."""
    http_host: Text = "127.0.0.1"
    http_port: Port = 9101
    """Worker n adds n; 0: any free port."""
    snapshot_every_rows: Count = 250_000
    """At least twice the sensors of a partition lie between two snapshots of its memory."""
    snapshot_every_seconds: Seconds = 3_600
    """Of a partition that had any record since. Keep it far below the input's retention."""
    max_sensors: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """Of a partition; for one more the sensor that was silent for longest is forgotten."""
    commit_deadline_seconds: Seconds = 30
    shutdown_seconds: Seconds = 5
    breaker: BreakerSettings = BreakerSettings()

    @model_validator(mode="after")
    def _check_last_port(self) -> Self:
        last = self.http_port + self.workers - 1
        if self.http_port and last > 65_535:
            raise ValueError(f"http_port {self.http_port} + {self.workers} workers end at {last}")
        return self


class TrainerSettings(_SettingsTable):
    """How a model is fitted."""

    target_alert_rate: Annotated[float, Field(gt=0, le=0.5)] = 0.005
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    trees: Annotated[int, Field(ge=1, le=10_000)] = 100
    max_samples: Annotated[int, Field(ge=2, le=1_000_000)] = 256
    calibration_share: Ratio = 0.3
    features: Annotated[FeatureKind, Field(strict=False)] = FeatureKind.FORECAST
    min_rows: Annotated[int, Field(ge=3, le=1_000_000)] = 100
    """Rows that a sensor unknown to training learns its own level from."""
    refractory_rows: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """So many rows of a sensor after an alarm raise none."""


class ApiSettings(_SettingsTable):
    """The HTTP service."""

    host: Text = "127.0.0.1"
    port: Port = 8000
    api_key_file: str = ""
    """A file that holds the key which requests must carry; empty: no key."""
    max_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    max_bytes: Annotated[int, Field(ge=1_024, le=1_000_000_000)] = 5_000_000


class LogSettings(_SettingsTable):
    """How the log is written."""

    format: Annotated[LogFormat, Field(strict=False)] = LogFormat.HUMAN
    level: Annotated[LogLevel, Field(strict=False)] = LogLevel.INFO


class Settings(_SettingsTable):
    """The whole configuration."""

    kafka: dict[str, Annotated[Scalar, BeforeValidator(_check_scalar)]] = dict(KAFKA_DEFAULTS)
    """By librdkafka's own key, passed through as it is."""
    topics: TopicSettings = TopicSettings()
    schema_: SchemaSettings = Field(default=SchemaSettings(), alias="schema")
    registry: RegistrySettings = RegistrySettings()
    consumer: ConsumerSettings = ConsumerSettings()
    trainer: TrainerSettings = TrainerSettings()
    api: ApiSettings = ApiSettings()
    log: LogSettings = LogSettings()

    @field_validator("kafka")
    @classmethod
    def _with_defaults(cls, kafka: dict[str, Any]) -> dict[str, Any]:
        return {**KAFKA_DEFAULTS, **kafka}

    @property
    def ledger_topic(self) -> str:
        """The topic of the ledger's records."""
        return self.topics.ledger or f"{self.consumer.group}.ledger"

    @property
    def state_topic(self) -> str:
        """The topic of the snapshots."""
        return self.topics.state or f"{self.consumer.group}.state"
