"""`sensorwatch ledger`: show the account of every record, verify it, restore lost offsets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sensorwatch.common.errors import CheckFailed, UsageError
from sensorwatch.common.runtime.command_line import ConfigOption, typer_app
from sensorwatch.common.runtime.printing import print_json, print_line, print_note

if TYPE_CHECKING:
    from sensorwatch.common.kafka.ledger_text import LedgerRecord
    from sensorwatch.common.kafka.records import Partition
    from sensorwatch.common.ledger.account import Account
    from sensorwatch.common.runtime.setting_keys import Settings
    from sensorwatch.proof.ledger_intervals import Finding
    from sensorwatch.state.committed_accounts import CommittedAccount

app = typer_app(help="Show the account of every record, and verify it.", no_args_is_help=True)

GroupOption = Annotated[str | None, typer.Option("--group", help="The consumer group.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]


@app.command()
def show(
    config: ConfigOption = None,
    group: GroupOption = None,
    as_json: JsonOption = False,
    history: Annotated[
        bool, typer.Option("--history", help="Every record of the ledger topic, too.")
    ] = False,
) -> None:
    """Show each partition's account as committed, and check that it adds up (exit 1 if not)."""
    from sensorwatch.proof.ledger_output import account_values, print_accounts
    from sensorwatch.state.committed_accounts import CommittedAccount

    settings = _settings(config, group)
    committed_accounts_by_partition = _committed_accounts(settings)
    records = _ledger_records(settings) if history else {}
    if not committed_accounts_by_partition:
        raise UsageError(f"{_no_account_message(settings)}: correct --group or [topics] readings")
    rows = [
        (partition, "committed", committed_account)
        for partition, committed_account in committed_accounts_by_partition.items()
    ]
    for partition, partition_records in records.items():
        rows += [
            (
                partition,
                record.cause.value,
                CommittedAccount(record.account.next_offset, record.account),
            )
            for record in partition_records
        ]
    if as_json:
        for partition, cause, committed_account in rows:
            print_json(account_values(partition, cause, committed_account))
    else:
        print_accounts(rows, committed_accounts_by_partition)
    _require_adding_up(committed_accounts_by_partition)


@app.command(name="verify")
def verify_command(
    config: ConfigOption = None,
    group: GroupOption = None,
    as_json: JsonOption = False,
    partition: Annotated[
        int | None, typer.Option(help="Only this partition of the readings' topic.")
    ] = None,
    since_begun_anew: Annotated[
        bool,
        typer.Option(
            "--since-begun-anew",
            help="Only from where an account was last begun: by a new group, "
            "or after somebody moved its offset.",
        ),
    ] = False,
) -> None:
    """Score the input again and compare: exit 1 if anything was lost, doubled or scored otherwise.

    Works while the input is retained and the registry has the versions that scored it, from the
    opening of an account or from a snapshot of the sensors' memory that is still there.
    """
    from sensorwatch.proof.ledger_intervals import (
        Verdict,
        restarted_accounts,
        since_last_opening,
        split_ledger,
    )
    from sensorwatch.proof.ledger_output import finding_line, finding_values
    from sensorwatch.proof.proof_inputs import connect_proof_inputs
    from sensorwatch.proof.replay_proof import ReplayProof

    settings = _settings(config, group)
    committed_accounts_by_partition = _committed_accounts(settings)
    proof_sources = connect_proof_inputs(settings)
    findings: list[Finding] = []
    for partition_key, partition_records in _ledger_records(settings).items():
        if partition is not None and partition_key.number != partition:
            continue
        records = since_last_opening(partition_records) if since_begun_anew else partition_records
        findings += restarted_accounts(records)
        proof = ReplayProof(proof_sources)
        findings += [
            proof.verify(interval)
            for interval in split_ledger(
                records, _account_of(committed_accounts_by_partition.get(partition_key))
            )
        ]
    if not findings:
        only = "" if partition is None else f" in partition {partition}"
        raise UsageError(f"{_no_account_message(settings)}{only}: there is nothing to verify")
    for finding in findings:
        if as_json:
            print_json(finding_values(finding))
        else:
            print_line(finding_line(finding))
    failed_findings = [
        f for f in findings if f.verdict in (Verdict.DIFFERENT, Verdict.ACCOUNT_RESTARTED)
    ]
    proven = [finding for finding in findings if finding.verdict is Verdict.PROVEN]
    records_proven = sum(finding.interval.records for finding in proven)
    # Standard output is for JSON only, if that was asked for.
    print_total = print_note if as_json else print_line
    print_total(f"{records_proven} records proven in {len(proven)} of {len(findings)} stretches")
    if failed_findings:
        raise CheckFailed(
            f"{len(failed_findings)} of {len(findings)} stretches are not as they should be"
        )


@app.command()
def restore(
    config: ConfigOption = None,
    group: GroupOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it only say what.")] = False,
) -> None:
    """Commit lost offsets again, from the newest ledger record of each partition without one.

    Records that were scored after that ledger record are scored again: their events and dead
    letters come a second time (with the same ids). Stop the consumers first.
    """
    from sensorwatch.state.account_commit import commit_accounts

    settings = _settings(config, group)
    committed_accounts_by_partition = _committed_accounts(settings)
    newest = {
        partition_key: partition_records[-1].account
        for partition_key, partition_records in _ledger_records(settings).items()
    }
    lost = {
        partition_key: account
        for partition_key, account in newest.items()
        if partition_key not in committed_accounts_by_partition
    }
    if not lost:
        print_line("no partition has lost its offset; nothing to do")
        return
    for partition_key, account in lost.items():
        print_line(
            f"{partition_key}: offset {account.next_offset} (after {account.consumed} records)"
        )
    if not yes:
        raise UsageError("nothing was committed; say --yes to commit these offsets")
    commit_accounts(settings, lost)
    print_line(f"committed {len(lost)} offsets for group {settings.consumer.group}")


def _settings(config: Any, group: str | None) -> Settings:
    from sensorwatch.common.runtime.settings import load_settings

    return load_settings(config, overrides={"consumer.group": group}).settings


def _committed_accounts(settings: Settings) -> dict[Partition, CommittedAccount]:
    from sensorwatch.state.committed_accounts import committed_accounts

    return committed_accounts(
        settings.kafka, settings.topics.readings, group=settings.consumer.group
    )


def _ledger_records(settings: Settings) -> dict[Partition, list[LedgerRecord]]:
    from sensorwatch.common.kafka.ledger_topic import by_partition, read_ledger

    partition_records = read_ledger(
        settings.kafka, settings.ledger_topic, group=settings.consumer.group
    )
    return by_partition(partition_records)


def _no_account_message(settings: Settings) -> str:
    group, topic = settings.consumer.group, settings.topics.readings
    return f'the group "{group}" has no account of the topic "{topic}"'


def _account_of(committed_account: CommittedAccount | None) -> Account | None:
    return None if committed_account is None else committed_account.account


def _require_adding_up(
    committed_accounts_by_partition: Mapping[Partition, CommittedAccount],
) -> None:
    failed_findings = [
        str(partition_key)
        for partition_key, committed_account in committed_accounts_by_partition.items()
        if committed_account.account is not None and not committed_account.account.adds_up
    ]
    if failed_findings:
        raise CheckFailed(f"the ledger does not add up for {', '.join(failed_findings)}")
