"""The demonstration's account: it is right only where every party counted the same."""

from dataclasses import replace

import pytest

from sensorwatch.common.ledger.account import Account
from sensorwatch.common.runtime.command_line import run
from sensorwatch.demonstration.accounting import Counts, discrepancies, equation
from sensorwatch.demonstration.performance import conclude
from sensorwatch.demonstration.plain_screen import PlainScreen
from sensorwatch.demonstration.truth import Truth

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
    ("wrong", "said"),
    [
        (replace(SOUND, events=13), "14 anomalies in the ledger, but 13 events read back"),
        (replace(SOUND, events=15), "14 anomalies in the ledger, but 15 events read back"),
        (replace(SOUND, dead_letters=5), "6 dead letters in the ledger, but 5 read back"),
        (replace(SOUND, records_in=201), "201 in the topic, but 200 in the ledger"),
        (replace(SOUND, delivered=201), "201 delivered, but only 200 in the topic"),
        (replace(SOUND, failed=1), "1 records were not delivered"),
        (replace(SOUND, accounts=[ACCOUNT]), "200 in the topic, but 100 in the ledger"),
        (
            replace(SOUND, accounts=[ACCOUNT, replace(ACCOUNT, normal=89)]),
            "the ledger of a partition does not add up",
        ),
    ],
)
def test_a_missing_or_surplus_outcome_on_any_side_is_named(wrong: Counts, said: str) -> None:
    assert any(said in problem for problem in discrepancies(wrong)), discrepancies(wrong)


def test_records_of_somebody_else_are_in_the_account_without_breaking_it() -> None:
    counts = replace(SOUND, delivered=190)

    assert counts.foreign == 10
    assert discrepancies(counts) == []


def test_a_missing_outcome_ends_the_demo_with_code_1_and_says_which(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def end(counts: Counts) -> None:
        conclude(PlainScreen(), counts, Truth(), {}, target_alert_rate=0.005)

    assert run(lambda: end(SOUND), []) == 0
    assert "It adds up" in capsys.readouterr().out
    assert run(lambda: end(replace(SOUND, dead_letters=5)), []) == 1
    printed = capsys.readouterr()
    assert "It does NOT add up" in printed.out
    assert "6 dead letters in the ledger, but 5 read back" in printed.err
