"""Format accounts and findings as a table, as lines of text and as JSON values."""

from collections.abc import Mapping
from typing import Any

from sensorwatch.commands.console_table import print_table
from sensorwatch.common.kafka.committed_accounts import CommittedAccount
from sensorwatch.common.kafka.ledger_text import account_to_plain
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.runtime.printing import print_line
from sensorwatch.proof.ledger_intervals import COUNT_FIELDS, Finding


def account_values(
    partition: Partition, cause: str, committed_account: CommittedAccount
) -> dict[str, Any]:
    """Return an account, its partition and the cause of its ledger record as values for JSON."""
    account = (
        {} if committed_account.account is None else account_to_plain(committed_account.account)
    )
    record_origin = {"topic": partition.topic, "partition": partition.number, "record": cause}
    return record_origin | {"committed": committed_account.offset} | account


def print_accounts(
    rows: list[tuple[Partition, str, CommittedAccount]],
    committed_accounts: Mapping[Partition, CommittedAccount],
) -> None:
    """Print accounts as a table, and below the table the sums of the committed accounts.

    `rows`: for each line of the table, the partition, the cause and the account.
    """
    columns = ("partition", "record", "offset", *(name.replace("_", " ") for name in COUNT_FIELDS))
    lines = [
        _account_cells(str(partition), cause, committed_account)
        for partition, cause, committed_account in rows
    ]
    # Digests are too long for a table. The output of `--json` contains the digests.
    print_table((*columns, "model"), lines, unbroken_column="partition")
    accounts = [entry.account for entry in committed_accounts.values() if entry.account is not None]
    totals = [sum(getattr(account, name) for account in accounts) for name in COUNT_FIELDS]
    print_line(
        "records in {} = normal {} + anomalies {} + dead letters {} + absorbed {}; "
        "scored rows {}".format(*totals)
    )


def _account_cells(partition: str, cause: str, committed_account: CommittedAccount) -> list[str]:
    account = committed_account.account
    counts = [str(getattr(account, name, "?")) for name in COUNT_FIELDS]
    model = "no account" if account is None else account.model_version
    return [partition, cause, str(committed_account.offset), *counts, model]


def finding_values(finding: Finding) -> dict[str, Any]:
    """Return a finding as values for JSON."""
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
    """Return a finding as one line of text."""
    interval = finding.interval
    detail = f"  ({finding.detail})" if finding.detail else ""
    return (
        f"{interval.partition}  {interval.begin.next_offset}..{interval.end.next_offset}  "
        f"{interval.records} records  {interval.version}  {finding.verdict.value}{detail}"
    )
