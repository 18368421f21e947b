"""The groups of sensors: the group of a sensor is a function of its id."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import lru_cache

from sensorwatch.common.rows.field_declarations import KeyField
from sensorwatch.common.rows.limits import MAX_SENSORS
from sensorwatch.common.rows.schema import Schema

NO_GROUP = ""
"""The group of a sensor that belongs to no group."""
_KEY_SEPARATOR = "/"
"""The separator between the field texts in a sensor id."""

GroupReader = Callable[[str], str]
"""A function that returns the group of a sensor id; NO_GROUP if the sensor has none."""


def group_reader(schema: Schema) -> GroupReader | None:
    """Return the function that gives the group of a sensor; None if the schema declares no group.

    The function keeps the groups of the newest MAX_SENSORS sensors, so it computes the group of a
    sensor once.

    >>> from sensorwatch.common.rows.schema import schema_from_plain
    >>> key = {"group": {"before": "-"}, "groups": {"boiler*": "heating"}}
    >>> group_of = group_reader(schema_from_plain({"key": key, "signals": [{"name": "x1"}]}))
    >>> [group_of(sensor_id) for sensor_id in ("pump-7", "boiler-2", "door")]
    ['pump', 'heating', '']
    """
    key = schema.key
    if key is None or (key.group is None and not key.groups):
        return None
    return _cached_reader(key)


@lru_cache(maxsize=64)
def _cached_reader(key: KeyField) -> GroupReader:
    @lru_cache(maxsize=MAX_SENSORS)
    def read_group(sensor_id: str) -> str:
        for pattern, name in key.groups:
            if fnmatchcase(sensor_id, pattern):
                return name
        return _group_by_rule(sensor_id, key)

    return read_group


def _group_by_rule(sensor_id: str, key: KeyField) -> str:
    rule = key.group
    if rule is None:
        return NO_GROUP
    if rule.fields is not None:
        separator, parts = _KEY_SEPARATOR, len(rule.fields)
    else:
        separator, parts = rule.before or "", rule.parts
    texts = sensor_id.split(separator, parts)
    return separator.join(texts[:parts]) if len(texts) > parts else NO_GROUP
