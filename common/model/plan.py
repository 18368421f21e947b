"""Which features a model sees, in a declared and versioned order."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.rows.schema import Schema

PLAN_VERSION = 2
PLAIN, FORECAST = "plain", "forecast"


class FeatureKind(StrEnum):
    """What a feature is computed from."""

    SIGNAL = "signal"
    HOUR = "hour"
    DAY_OF_WEEK = "dayofweek"
    RESIDUAL = "residual"
    """Whitened difference between a signal and its forecast."""
    STANDARD = "standard"
    """A signal in scales from its sensor's location."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the matrix."""

    name: str
    kind: FeatureKind
    signal: int = -1
    """Position of its signal in the schema; -1 where it has none."""


@dataclass(frozen=True, slots=True)
class FeaturePlan:
    """The columns of the matrix in order; `name` says which recipe they are."""

    name: str
    features: tuple[Feature, ...]
    version: int = 1

    @property
    def needs_memory(self) -> bool:
        """Whether its features need the sensor's earlier rows."""
        return any(feature.kind is FeatureKind.RESIDUAL for feature in self.features)

    def to_plain(self) -> dict[str, Any]:
        """Return the plan as plain values for the manifest."""
        columns = [
            {"name": feature.name, "kind": feature.kind.value, "signal": feature.signal}
            for feature in self.features
        ]
        return {"name": self.name, "version": self.version, "features": columns}


def plain_plan(schema: Schema) -> FeaturePlan:
    """The raw signals, then hour and day of week (UTC): no memory."""
    signals = [
        Feature(name, FeatureKind.SIGNAL, position)
        for position, name in enumerate(schema.signal_names)
    ]
    calendar = [Feature(kind.value, kind) for kind in (FeatureKind.HOUR, FeatureKind.DAY_OF_WEEK)]
    return FeaturePlan(PLAIN, (*signals, *calendar))


def forecast_plan(schema: Schema) -> FeaturePlan:
    """Whitened one-step forecast residuals, then the signals against their sensor's level."""
    columns = [
        Feature(f"{name} {kind}", kind, position)
        for kind in (FeatureKind.RESIDUAL, FeatureKind.STANDARD)
        for position, name in enumerate(schema.signal_names)
    ]
    return FeaturePlan(FORECAST, tuple(columns), version=2)


def plan_from_plain(plain: dict[str, Any], schema: Schema) -> FeaturePlan:
    """Read a plan back from a manifest.

    Raises ModelRefused for a newer version or one that does not fit the schema.
    """
    try:
        version = int(plain["version"])
        if version > PLAN_VERSION:
            raise ModelRefused(
                f"feature plan version {version} is newer than this code's {PLAN_VERSION}: "
                "upgrade sensorwatch"
            )
        features = tuple(
            Feature(str(column["name"]), FeatureKind(column["kind"]), int(column["signal"]))
            for column in plain["features"]
        )
        plan = FeaturePlan(str(plain["name"]), features, version)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelRefused(f"the feature plan cannot be read: {error!r}") from error
    for feature in plan.features:
        calendar = feature.kind in (FeatureKind.HOUR, FeatureKind.DAY_OF_WEEK)
        if not calendar and not 0 <= feature.signal < len(schema.signals):
            raise ModelRefused(f"feature {feature.name!r} names signal {feature.signal}: no such")
    return plan
