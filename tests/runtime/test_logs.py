"""Tests of log lines in the log formats `human` and `json`."""

import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from sensorwatch.common.runtime.logs import configure, kafka_logger, logger
from tests.runtime.test_printing import is_safe


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root_logger, package_logger = logging.getLogger(), logging.getLogger("sensorwatch")
    settings_before = root_logger.level, package_logger.level, list(root_logger.handlers)
    yield
    root_logger.setLevel(settings_before[0])
    package_logger.setLevel(settings_before[1])
    root_logger.handlers[:] = settings_before[2]


def configure_logging(log_format: str, level: str = "info") -> io.StringIO:
    """Configure logging and return the text buffer that receives the log lines."""
    stream = io.StringIO()
    configure(log_format, level, stream)
    return stream


def test_a_human_line_has_time_level_name_event_and_fields() -> None:
    stream = configure_logging("human")

    logger("consumer").info("model loaded", version="v1", took=1 / 3, why="a b")

    time_text, text_after_time = stream.getvalue().split(" ", 1)
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", time_text)
    assert (
        text_after_time == 'info    consumer  model loaded  version=v1  took=0.333333  why="a b"\n'
    )


def test_a_json_line_is_one_object_with_a_utc_time_for_any_fields() -> None:
    stream = configure_logging("json")

    logger("consumer").info("100 % %s\n", ratio=float("nan"), ts=1, parts=[1, float("inf")])

    line = json.loads(stream.getvalue(), parse_constant=pytest.fail)
    assert datetime.fromisoformat(line.pop("ts")).utcoffset() is not None
    assert line == {
        "level": "info",
        "logger": "consumer",
        "event": "100 % %s\n",
        "ratio": "nan",
        "ts_": 1,
        "parts": [1, "inf"],
    }


@pytest.mark.parametrize("log_format", ["human", "json"])
def test_a_logged_text_cannot_start_a_second_line(log_format: str) -> None:
    stream = configure_logging(log_format)

    logger("api").warning("bad\nrow", found="x\n12:00:00.000 error forged")

    assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize("log_format", ["human", "json"])
def test_no_control_character_reaches_the_log(log_format: str) -> None:
    stream = configure_logging(log_format)
    hostile_text = "\x1b[2J\x7f\x9b\u202e\u2028\u200b\udcff\r"

    logger("api").warning(hostile_text, value=hostile_text, path=Path(hostile_text), word="\x9b31m")
    logger("api").error(hostile_text, exception=ValueError(hostile_text))

    assert is_safe(stream.getvalue().replace("\n", ""))
    assert "1b[2J" in stream.getvalue()


@pytest.mark.parametrize("log_format", ["human", "json"])
def test_the_log_line_of_an_error_contains_its_exception(log_format: str) -> None:
    stream = configure_logging(log_format)

    logger("consumer").error("crash", exception=ValueError("why"))

    assert "ValueError: why" in stream.getvalue()


def test_other_libraries_log_only_warnings_and_errors() -> None:
    stream = configure_logging("human", "debug")
    logger("consumer").debug("shown")
    logging.getLogger("elsewhere").info("left out")
    logging.getLogger("elsewhere").warning("elsewhere's warning")
    kafka_logger().error("FAIL [%s]", "broker")

    log_events = [line.split("  ")[-1] for line in stream.getvalue().splitlines()]
    assert log_events == ["shown", "elsewhere's warning", "FAIL [broker]"]


def test_configuring_again_replaces_the_first_configuration() -> None:
    first_stream = configure_logging("human")
    second_stream = configure_logging("json")

    logger("consumer").info("once")

    assert first_stream.getvalue() == ""
    assert second_stream.getvalue().count("once") == 1
