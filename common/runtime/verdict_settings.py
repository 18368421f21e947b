"""The settings of verdicts."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from sensorwatch.common.runtime.settings_table import SettingsTable


class Scope(StrEnum):
    """Which sensors a learned suppression covers."""

    SENSOR = "sensor"
    GROUP = "group"


class VerdictSettings(SettingsTable):
    """Settings of verdicts, and of the suppressions that are learned from them."""

    expire_days: Annotated[float, Field(gt=0, le=3_650)] = 90.0
    """Days after which a learned suppression ends."""
    scope: Annotated[Scope, Field(strict=False)] = Scope.SENSOR
    """Whether a suppression covers the sensor of the episode or its group."""
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share by which an similar excursion may be smaller, larger or longer than the judged one."""
    from_silences: bool = True
    """Whether `notify` reads the silences of Alertmanager whose comment begins with a verdict."""
