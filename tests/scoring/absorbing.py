"""Processing that absorbs heartbeats, for detectors whose schema ignores no records."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.processing import Outcome, process

HEARTBEAT = b'{"type": "heartbeat"}'
"""The value of a record that is absorbed."""


def process_with_heartbeats(
    payloads: Sequence[bytes | None], detector: Detector, memory: Memory, **options: Any
) -> Outcome:
    """Return the outcomes of `process` for a schema that ignores heartbeats."""
    ignoring_detector = replace(detector, schema=_ignoring_schema(detector.schema))
    return process(payloads, ignoring_detector, memory, **options)


@cache
def _ignoring_schema(schema: Schema) -> Schema:
    return schema.model_copy(update={"ignore": (("type", ("heartbeat",)),)})
