"""The rule of silent sensors in the settings."""

from sensorwatch.common.runtime.setting_keys import SensorSettings
from sensorwatch.common.scoring.silence_rule import SilenceRule


def silence_rule(settings: SensorSettings) -> SilenceRule:
    """Return the rule of silent sensors that the settings describe."""
    return SilenceRule(
        check_seconds=settings.silent_check_seconds,
        after_seconds=settings.silent_after_seconds,
        after_cadences=settings.silent_after_cadences,
        severity=settings.silent_severity.value,
    )
