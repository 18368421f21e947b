"""Requests: each answer or failure has its outcome, and no redirect is followed."""

import threading
import time

import pytest

from sensorwatch.notify.http_client import Outcome, json_poster
from tests.brokers.ports import free_port
from tests.notify.http_target import HttpTarget


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.ACCEPTED),
        (202, Outcome.ACCEPTED),
        (204, Outcome.ACCEPTED),
        (400, Outcome.REFUSED),
        (409, Outcome.REFUSED),
        (413, Outcome.REFUSED),
        (422, Outcome.REFUSED),
        (401, Outcome.FAILED),
        (404, Outcome.FAILED),
        (408, Outcome.FAILED),
        (429, Outcome.FAILED),
        (503, Outcome.FAILED),
        (500, Outcome.UNKNOWN),
        (502, Outcome.UNKNOWN),
    ],
)
def test_the_status_decides_whether_to_send_again(status: int, outcome: Outcome) -> None:
    with HttpTarget(answer=lambda _value: status) as target:
        answer = json_poster(5)(target.url, {"a": 1}, "application/json")

    assert (answer.outcome, answer.status) == (outcome, status)
    assert target.values == [{"a": 1}]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with HttpTarget() as other, HttpTarget(answer=lambda _value: status) as target:
        target.location = other.url
        answer = json_poster(5)(target.url, {}, "application/json")

    assert answer.outcome is Outcome.FAILED
    assert other.values == []


def test_a_target_that_hangs_has_an_unknown_outcome_after_the_timeout() -> None:
    is_over = threading.Event()
    with HttpTarget(answer=lambda _value: 200 if is_over.wait(10) else 500) as target:
        begin = time.monotonic()
        answer = json_poster(0.2)(target.url, {}, "application/json")
        is_over.set()

    assert answer.outcome is Outcome.UNKNOWN
    assert time.monotonic() - begin < 5


def test_a_closed_port_is_a_failure() -> None:
    answer = json_poster(5)(f"http://127.0.0.1:{free_port()}", {}, "application/json")

    assert answer.outcome is Outcome.FAILED


def test_user_and_password_of_a_url_are_sent_as_a_header() -> None:
    with HttpTarget() as target:
        url = target.url.replace("http://", "http://me:a%40b@")
        answer = json_poster(5)(url, {}, "application/json")

    assert answer.outcome is Outcome.ACCEPTED
    assert target.authorizations == ["Basic bWU6YUBi"]
