"""Log lines for people and for machines."""

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
def _restored() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("sensorwatch")
    before = root.level, ours.level, list(root.handlers)
    yield
    root.setLevel(before[0])
    ours.setLevel(before[1])
    root.handlers[:] = before[2]


def written(form: str, level: str = "info") -> io.StringIO:
    """Configure logging into a text buffer."""
    stream = io.StringIO()
    configure(form, level, stream)
    return stream


def test_a_human_line_has_time_level_name_event_and_fields() -> None:
    stream = written("human")

    logger("consumer").info("model loaded", version="v1", took=1 / 3, why="a b")

    time, rest = stream.getvalue().split(" ", 1)
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", time)
    assert rest == 'info    consumer  model loaded  version=v1  took=0.333333  why="a b"\n'


def test_a_json_line_is_one_object_with_a_utc_time_whatever_the_fields_hold() -> None:
    stream = written("json")

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


@pytest.mark.parametrize("form", ["human", "json"])
def test_nothing_that_is_logged_can_forge_a_second_line(form: str) -> None:
    stream = written(form)

    logger("api").warning("bad\nrow", found="x\n12:00:00.000 error forged")

    assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize("form", ["human", "json"])
def test_no_control_character_reaches_the_log(form: str) -> None:
    stream = written(form)
    hostile = "\x1b[2J\x7f\x9b\u202e\u2028\u200b\udcff\r"

    logger("api").warning(hostile, value=hostile, path=Path(hostile), word="\x9b31m")
    logger("api").error(hostile, exception=ValueError(hostile))

    assert is_safe(stream.getvalue().replace("\n", ""))
    assert "1b[2J" in stream.getvalue()


@pytest.mark.parametrize("form", ["human", "json"])
def test_an_error_carries_its_traceback(form: str) -> None:
    stream = written(form)

    logger("consumer").error("crash", exception=ValueError("why"))

    assert "ValueError: why" in stream.getvalue()


def test_lines_below_the_level_are_left_out_and_other_libraries_speak_from_warning_on() -> None:
    stream = written("human", "debug")
    logger("consumer").debug("shown")
    logging.getLogger("elsewhere").info("left out")
    logging.getLogger("elsewhere").warning("elsewhere's warning")
    kafka_logger().error("FAIL [%s]", "broker")

    events = [line.split("  ")[-1] for line in stream.getvalue().splitlines()]
    assert events == ["shown", "elsewhere's warning", "FAIL [broker]"]


def test_configuring_again_replaces_the_first_configuration() -> None:
    first = written("human")
    second = written("json")

    logger("consumer").info("once")

    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1
