"""Accounts and findings as they are printed: a table for people, JSON for programs."""

from collections.abc import Mapping
from typing import Any

from sensorwatch.commands.console_table import print_table
from sensorwatch.common.kafka.ledger_text import account_to_plain
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.runtime.printing import print_line
from sensorwatch.proof.ledger_intervals import COUNTS, Finding
from sensorwatch.state.committed_accounts import CommittedAccount


def account_values(
    partition: Partition, cause: str, committed_account: CommittedAccount
) -> dict[str, Any]:
    """Return an account with where it was found, as plain values."""
    account = (
        {} if committed_account.account is None else account_to_plain(committed_account.account)
    )
    record_origin = {"topic": partition.topic, "partition": partition.number, "record": cause}
    return record_origin | {"committed": committed_account.offset} | account


def print_accounts(
    rows: list[tuple[Partition, str, CommittedAccount]],
    committed_accounts_by_partition: Mapping[Partition, CommittedAccount],
) -> None:
    """Print accounts as a table, and the sum of the committed ones."""
    columns = ("partition", "record", "offset", *(name.replace("_", " ") for name in COUNTS))
    lines = [
        _cells(str(partition), cause, committed_account)
        for partition, cause, committed_account in rows
    ]
    # Without the digests, which are for programs: `--json` has them.
    print_table((*columns, "model"), lines, unbroken_column="partition")
    accounts = [
        s.account for s in committed_accounts_by_partition.values() if s.account is not None
    ]
    total = [sum(getattr(a, name) for a in accounts) for name in COUNTS]
    print_line("records in {} = normal {} + anomalies {} + dead letters {}".format(*total))


def _cells(partition: str, cause: str, committed_account: CommittedAccount) -> list[str]:
    account = committed_account.account
    counts = [str(getattr(account, name, "?")) for name in COUNTS]
    model = "no account" if account is None else account.model_version
    return [partition, cause, str(committed_account.offset), *counts, model]


def finding_values(finding: Finding) -> dict[str, Any]:
    """Return a finding as plain values."""
    interval = finding.interval
    return {
        "partition": str(interval.partition),
        "from": interval.begin.next_offset,
        "to": interval.end.next_offset,
        "records": interval.records,
        "model_version": interval.version,
        "verdict": finding.verdict.value,
        "detail": finding.detail,
    }


def finding_line(finding: Finding) -> str:
    """Return a finding as a line."""
    finding_fields = finding_values(finding)
    detail = f"  ({finding.detail})" if finding.detail else ""
    return (
        f"{finding_fields['partition']}  {finding_fields['from']}..{finding_fields['to']}  {finding_fields['records']} records  "
        f"{finding_fields['model_version']}  {finding_fields['verdict']}{detail}"
    )
