"""The account of the demo adds up only if all parties counted the same records."""

from dataclasses import replace

import pytest

from sensorwatch.common.ledger.account import Account
from sensorwatch.common.runtime.command_line import run
from sensorwatch.demo.account import Counts, discrepancies, equation
from sensorwatch.demo.run import print_summary
from sensorwatch.demo.score import Observations
from sensorwatch.demo.screens import PlainScreen

ACCOUNT = Account(0, 100, consumed=100, normal=90, anomalies=7, dead_letters=3)
SOUND = Counts(
    delivered=200,
    failed=0,
    records_in=200,
    accounts=[ACCOUNT, ACCOUNT],
    events=14,
    dead_letters=6,
)


def test_counts_that_agree_have_no_discrepancy_and_show_the_four_numbers() -> None:
    assert discrepancies(SOUND) == []
    assert equation(SOUND) == "records in 200 = normal 180 + anomalies 14 + dead letters 6"


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (replace(SOUND, events=13), "14 anomalies in the ledger, but 13 events read back"),
        (replace(SOUND, events=15), "14 anomalies in the ledger, but 15 events read back"),
        (replace(SOUND, dead_letters=5), "6 dead letters in the ledger, but 5 read back"),
        (replace(SOUND, records_in=201), "201 records in the topic, but 200 in the ledger"),
        (replace(SOUND, delivered=201), "201 records delivered, but only 200 in the topic"),
        (replace(SOUND, failed=1), "1 records were not delivered"),
        (replace(SOUND, accounts=[ACCOUNT]), "200 records in the topic, but 100 in the ledger"),
        (
            replace(SOUND, accounts=[ACCOUNT, replace(ACCOUNT, normal=89)]),
            "the ledger of one partition does not add up",
        ),
    ],
)
def test_a_missing_or_surplus_outcome_is_reported(wrong: Counts, problem: str) -> None:
    assert any(problem in text for text in discrepancies(wrong)), discrepancies(wrong)


def test_records_of_another_producer_are_counted_and_break_nothing() -> None:
    counts = replace(SOUND, delivered=190)

    assert counts.foreign == 10
    assert discrepancies(counts) == []


def test_a_missing_outcome_ends_the_demo_with_code_1_and_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def end(counts: Counts) -> None:
        print_summary(PlainScreen(), counts, Observations(), {}, target_alert_rate=0.005)

    assert run(lambda: end(SOUND), []) == 0
    assert "The account adds up" in capsys.readouterr().out
    assert run(lambda: end(replace(SOUND, dead_letters=5)), []) == 1
    printed = capsys.readouterr()
    assert "The account does NOT add up" in printed.out
    assert "6 dead letters in the ledger, but 5 read back" in printed.err
