"""The demo's account is correct only if producer, topics and ledger have the same counts."""

from dataclasses import replace

import pytest

from sensorwatch.common.ledger.account import Account
from sensorwatch.common.runtime.command_line import run
from sensorwatch.demo.record_account import Counts, discrepancies, equation
from sensorwatch.demo.run import print_summary
from sensorwatch.demo.score import Observations
from sensorwatch.demo.screens import PlainScreen

ACCOUNT = Account(0, 100, consumed=100, normal=90, anomalies=7, dead_letters=3)
AGREEING_COUNTS = Counts(
    delivered=200,
    failed=0,
    records_in=200,
    accounts=[ACCOUNT, ACCOUNT],
    events=14,
    dead_letters=6,
)


def test_agreeing_counts_have_no_discrepancy_and_are_printed_as_an_equation() -> None:
    assert discrepancies(AGREEING_COUNTS) == []
    assert (
        equation(AGREEING_COUNTS)
        == "records in 200 = normal 180 + anomalies 14 + dead letters 6 + absorbed 0"
    )


def test_absorbed_records_are_part_of_the_equation() -> None:
    account = replace(ACCOUNT, normal=60, absorbed=30)
    counts = replace(AGREEING_COUNTS, accounts=[account, account])

    assert discrepancies(counts) == []
    assert (
        equation(counts)
        == "records in 200 = normal 120 + anomalies 14 + dead letters 6 + absorbed 60"
    )
    not_absorbed = replace(account, absorbed=29)
    assert discrepancies(replace(counts, accounts=[account, not_absorbed]))


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (
            replace(AGREEING_COUNTS, events=13),
            "14 anomalies in the ledger, but 13 events read back",
        ),
        (
            replace(AGREEING_COUNTS, events=15),
            "14 anomalies in the ledger, but 15 events read back",
        ),
        (replace(AGREEING_COUNTS, dead_letters=5), "6 dead letters in the ledger, but 5 read back"),
        (
            replace(AGREEING_COUNTS, records_in=201),
            "201 records in the topic, but 200 in the ledger",
        ),
        (
            replace(AGREEING_COUNTS, delivered=201),
            "201 records delivered, but only 200 in the topic",
        ),
        (replace(AGREEING_COUNTS, failed=1), "1 records were not delivered"),
        (
            replace(AGREEING_COUNTS, accounts=[ACCOUNT]),
            "200 records in the topic, but 100 in the ledger",
        ),
        (
            replace(AGREEING_COUNTS, accounts=[ACCOUNT, replace(ACCOUNT, normal=89)]),
            "the ledger of one partition does not add up",
        ),
    ],
)
def test_a_missing_or_surplus_outcome_is_reported(counts: Counts, message: str) -> None:
    assert any(message in text for text in discrepancies(counts)), discrepancies(counts)


def test_records_of_another_producer_are_not_a_discrepancy() -> None:
    counts = replace(AGREEING_COUNTS, delivered=190)

    assert counts.foreign_records == 10
    assert discrepancies(counts) == []


def test_a_missing_outcome_ends_the_demo_with_code_1_and_a_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def end_demo(counts: Counts) -> None:
        print_summary(PlainScreen(), counts, Observations(), {}, target_alert_rate=0.005)

    assert run(lambda: end_demo(AGREEING_COUNTS), []) == 0
    assert "The account adds up" in capsys.readouterr().out
    assert run(lambda: end_demo(replace(AGREEING_COUNTS, dead_letters=5)), []) == 1
    output = capsys.readouterr()
    assert "The account does NOT add up" in output.out
    assert "6 dead letters in the ledger, but 5 read back" in output.err
