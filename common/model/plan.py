"""The feature plan: a versioned list of the columns of the forest's matrix, in order."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.model.angles import model_schema
from sensorwatch.common.rows.schema import Schema

PLAN_VERSION = 2
"""Newest plan version that this code can read."""
PLAIN_PLAN, FORECAST_PLAN = "plain", "forecast"
"""Values of `FeaturePlan.name`."""


class FeatureContent(StrEnum):
    """The kind of value that a feature contains."""

    SIGNAL = "signal"
    HOUR = "hour"
    DAY_OF_WEEK = "dayofweek"
    RESIDUAL = "residual"
    """Whitened residual: the difference between a signal and its forecast."""
    STANDARD = "standard"
    """Standardised signal: (value - location) / scale, with the sensor's location and scale."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the forest's matrix."""

    name: str
    kind: FeatureContent
    signal: int = -1
    """Position of the signal in `model_schema(schema)`; -1 if the feature has no signal."""


@dataclass(frozen=True, slots=True)
class FeaturePlan:
    """The columns of the forest's matrix in order; `name` is PLAIN_PLAN or FORECAST_PLAN."""

    name: str
    features: tuple[Feature, ...]
    version: int = 1

    @property
    def needs_memory(self) -> bool:
        """True if a feature is computed from the sensor's previous rows."""
        return any(feature.kind is FeatureContent.RESIDUAL for feature in self.features)

    def to_plain(self) -> dict[str, Any]:
        """Return the plan as JSON values for the manifest."""
        columns = [
            {"name": feature.name, "kind": feature.kind.value, "signal": feature.signal}
            for feature in self.features
        ]
        return {"name": self.name, "version": self.version, "features": columns}


def plain_plan(schema: Schema) -> FeaturePlan:
    """Return the plain plan, without memory: raw signals, then hour and day of week (UTC)."""
    signals = [
        Feature(name, FeatureContent.SIGNAL, position)
        for position, name in enumerate(model_schema(schema).signal_names)
    ]
    calendar_features = [
        Feature(kind.value, kind) for kind in (FeatureContent.HOUR, FeatureContent.DAY_OF_WEEK)
    ]
    return FeaturePlan(PLAIN_PLAN, (*signals, *calendar_features))


def forecast_plan(schema: Schema) -> FeaturePlan:
    """Return the forecast plan, with memory: whitened residuals, then standardised signals."""
    columns = [
        Feature(f"{name} {kind}", kind, position)
        for kind in (FeatureContent.RESIDUAL, FeatureContent.STANDARD)
        for position, name in enumerate(model_schema(schema).signal_names)
    ]
    return FeaturePlan(FORECAST_PLAN, tuple(columns), version=2)


def plan_from_plain(plain: dict[str, Any], schema: Schema) -> FeaturePlan:
    """Build a plan from the JSON values in a manifest.

    Raises ModelRefused if the plan has a newer version or does not fit the schema.
    """
    try:
        version = int(plain["version"])
        if version > PLAN_VERSION:
            raise ModelRefused(
                f"the feature plan has version {version}, this code reads versions up to "
                f"{PLAN_VERSION}: upgrade sensorwatch"
            )
        features = tuple(
            Feature(str(column["name"]), FeatureContent(column["kind"]), int(column["signal"]))
            for column in plain["features"]
        )
        plan = FeaturePlan(str(plain["name"]), features, version)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelRefused(f"the feature plan cannot be read: {error!r}") from error
    signals = len(model_schema(schema).signals)
    for feature in plan.features:
        is_calendar_feature = feature.kind in (FeatureContent.HOUR, FeatureContent.DAY_OF_WEEK)
        if not is_calendar_feature and not 0 <= feature.signal < signals:
            raise ModelRefused(
                f"the feature {feature.name!r} uses signal number {feature.signal}, wanted 0 to "
                f"{signals - 1}"
            )
    return plan
