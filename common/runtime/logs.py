"""Structured logs: one line per lifecycle event, for people or for machines."""

import json
import logging
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

from sensorwatch.common.escaping import escape, escape_json, escape_lines

ROOT_LOGGER = "sensorwatch"
_RESERVED_FIELDS = ("ts", "level", "logger", "event", "traceback")
_UNQUOTED = re.compile(r"[^\s\"'=\\\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Log:
    """Writes events under one logger name; keyword arguments become fields of the event."""

    stdlib_logger: logging.Logger

    def debug(self, event: str, /, **fields: object) -> None:
        """Write an event that helps with a diagnosis."""
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        """Write a lifecycle event."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """Write an event that a person should know of, but need not act on at once."""
        self._write(logging.WARNING, event, fields)

    def error(
        self, event: str, *, exception: BaseException | None = None, **fields: object
    ) -> None:
        """Write an event that a person must act on, with the traceback of `exception`."""
        self._write(logging.ERROR, event, fields, exception)

    def _write(
        self,
        level: int,
        event: str,
        fields: Mapping[str, object],
        exception: BaseException | None = None,
    ) -> None:
        if self.stdlib_logger.isEnabledFor(level):
            # The event is passed as an argument, so that a % in its text is not read as a format.
            self.stdlib_logger.log(level, "%s", event, exc_info=exception, extra={"fields": fields})


def logger(name: str) -> Log:
    """Return the log of a part of the project, e.g. "consumer"."""
    return Log(logging.getLogger(f"{ROOT_LOGGER}.{name}"))


def kafka_logger() -> logging.Logger:
    """Return the logger for a Kafka client; it writes librdkafka's lines into our log."""
    return logging.getLogger(f"{ROOT_LOGGER}.kafka")


def configure(format: str, level: str, stream: TextIO | None = None) -> None:  # noqa: A002 - the setting
    """Configure this process to write its log to `stream`, or to standard error if it is None.

    `format`: "human" or "json"; `level`: "debug", "info", "warning" or "error". Lines of other
    libraries are written from level "warning" on.
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(_JsonFormatter() if format == "json" else _HumanFormatter())
    root = logging.getLogger()
    own_handlers = [h for h in root.handlers if isinstance(h.formatter, _LineFormatter)]
    for own_handler in own_handlers:
        root.removeHandler(own_handler)
    root.addHandler(handler)
    level_number = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(level_number, logging.WARNING))
    logging.getLogger(ROOT_LOGGER).setLevel(level_number)


class _LineFormatter(logging.Formatter):
    def line_fields(self, record: logging.LogRecord) -> tuple[str, str, str, Mapping[str, Any]]:
        fields = getattr(record, "fields", {})
        name = record.name.removeprefix(f"{ROOT_LOGGER}.")
        return record.levelname.lower(), name, record.getMessage(), fields


class _HumanFormatter(_LineFormatter):
    def format(self, record: logging.LogRecord) -> str:
        level, name, event, fields = self.line_fields(record)
        instant = datetime.fromtimestamp(record.created).astimezone()
        time = instant.strftime("%H:%M:%S.") + f"{instant.microsecond // 1000:03d}"
        field_texts = "".join(f"  {key}={_field_text(value)}" for key, value in fields.items())
        line = f"{time} {level:<7} {name}  {escape(event)}{field_texts}"
        if not record.exc_info:
            return line
        return f"{line}\n{escape_lines(self.formatException(record.exc_info))}"


class _JsonFormatter(_LineFormatter):
    def format(self, record: logging.LogRecord) -> str:
        level, name, event, fields = self.line_fields(record)
        instant = datetime.fromtimestamp(record.created, tz=UTC).replace(tzinfo=None)
        line: dict[str, object] = {
            "ts": instant.isoformat(timespec="milliseconds") + "Z",
            "level": level,
            "logger": name,
            "event": event,
        }
        line |= {
            f"{k}_" if k in _RESERVED_FIELDS else k: _json_value(value)
            for k, value in fields.items()
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _field_text(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    if _UNQUOTED.fullmatch(text) and escape(text) == text:
        return text
    return escape_json(json.dumps(text, ensure_ascii=False))


def _json_value(value: object) -> object:
    # NaN and infinity are written as texts, because JSON has no such numbers and parsers would
    # refuse the line.
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _json_value(field) for key, field in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(element) for element in value]
    return value
