"""What a complete test run prints first: how long it takes here, and what it leaves out."""

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from tests.brokers.jars import java_missing
from tests.brokers.real_kafka import REQUIRE_VARIABLE, kafka_missing, kafka_required
from tests.deploy.prometheus import prometheus_missing
from tests.skab_files import skab_missing

_CACHE_KEY = "sensorwatch/seconds"
_TYPICAL_SECONDS = 600
"""Of a complete run with a real Kafka on two cores."""


@dataclass(frozen=True, slots=True)
class Need:
    """What some tests need and this machine may not have."""

    tests: str
    missing: str | None
    """Why it is missing; None if it is there."""
    required: bool = False
    """Whether the tests fail without it; otherwise they are skipped."""


def needs() -> list[Need]:
    """Look at this machine and return the needs of all tests."""
    required = kafka_required()
    return [
        Need("tests on a real Kafka", kafka_missing(), required),
        Need("tests with a proxy before Kafka", java_missing(), required),
        Need("tests with a real Prometheus", prometheus_missing(), required),
        Need("tests on the SKAB files", skab_missing()),
    ]


def is_complete(config: pytest.Config) -> bool:
    """Say whether a run covers all test files, as that of `make test` does."""
    from_settings = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return from_settings and not config.getoption("keyword")


def announcement(config: pytest.Config) -> list[str]:
    """Return the lines that a complete run prints before its first test."""
    expression = config.getoption("markexpr")
    return lines(expression, _seconds_by_expression(config).get(expression), needs())


def remember_duration(config: pytest.Config, seconds: float) -> None:
    """Keep the duration of a complete run for the announcement of the next one."""
    cache = _cache(config)
    if cache is not None:
        known = {**_seconds_by_expression(config), config.getoption("markexpr"): seconds}
        cache.set(_CACHE_KEY, known)


def lines(expression: str, seconds: float | None, all_needs: Iterable[Need]) -> list[str]:
    """Word an announcement.

    `expression`: the marker expression that selects tests, or empty; `seconds`: the duration of the
    last complete run with this expression, or None.
    """
    return [
        f"time: {_time(expression, seconds)}",
        *(_missing(need) for need in all_needs if need.missing is not None),
        f"deselected: every test that does not match -m '{expression}'"
        if expression
        else "deselected: no test",
    ]


def _time(expression: str, seconds: float | None) -> str:
    if seconds is not None:
        return f"{_minutes(seconds)}, as the last such run here"
    if expression:
        return "not measured here yet"
    return f"{_minutes(_TYPICAL_SECONDS)} on two cores; not measured here yet"


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return f"about {seconds:.0f} seconds"
    return f"about {seconds / 60:.0f} minutes"


def _missing(need: Need) -> str:
    if need.required:
        return f"fails: {need.tests}: {need.missing}, and {REQUIRE_VARIABLE} is set"
    return f"skipped: {need.tests}: {need.missing}"


def _seconds_by_expression(config: pytest.Config) -> dict[str, float]:
    cache = _cache(config)
    known: dict[str, float] = {} if cache is None else cache.get(_CACHE_KEY, {})
    return known


def _cache(config: pytest.Config) -> pytest.Cache | None:
    """Return the folder that pytest keeps between runs; None for a run without one."""
    # The attribute itself is missing if the plugin is switched off (-p no:cacheprovider).
    return getattr(config, "cache", None)
