"""`sensorwatch ledger`: show the account of every record, verify it, restore lost offsets."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from sensorwatch.common.errors import CheckFailed, UsageError
from sensorwatch.common.kafka.ledger_text import LedgerRecord
from sensorwatch.common.kafka.ledger_topic import by_partition, read_ledger
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account
from sensorwatch.common.runtime.command_line import ConfigOption, typer_app
from sensorwatch.common.runtime.printing import print_json, print_line, print_note
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.runtime.settings import load_settings
from sensorwatch.proof.ledger_intervals import Finding, Verdict, begun_anew, since_begun, stretches
from sensorwatch.proof.ledger_output import line, plain, plain_finding, print_accounts
from sensorwatch.proof.proof_inputs import evidence_of
from sensorwatch.proof.replay_proof import Proof
from sensorwatch.state.account_commit import recommit
from sensorwatch.state.committed_accounts import Standing, committed_accounts

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
    settings = _settings(config, group)
    standings = _standings(settings)
    records = _records(settings) if history else {}
    if not standings:
        raise UsageError(f"{_nothing(settings)}: correct --group or [topics] readings")
    rows = [(partition, "committed", standing) for partition, standing in standings.items()]
    for partition, found in records.items():
        rows += [
            (partition, record.cause.value, Standing(record.account.next_offset, record.account))
            for record in found
        ]
    if as_json:
        for partition, cause, standing in rows:
            print_json(plain(partition, cause, standing))
    else:
        print_accounts(rows, standings)
    _require_sums(standings)


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
    settings = _settings(config, group)
    standings = _standings(settings)
    evidence = evidence_of(settings)
    findings: list[Finding] = []
    for where, found in _records(settings).items():
        if partition is not None and where.number != partition:
            continue
        records = since_begun(found) if since_begun_anew else found
        findings += begun_anew(records)
        proof = Proof(evidence)
        findings += [
            proof.verify(stretch)
            for stretch in stretches(records, _account_of(standings.get(where)))
        ]
    if not findings:
        only = "" if partition is None else f" in partition {partition}"
        raise UsageError(f"{_nothing(settings)}{only}: there is nothing to verify")
    for finding in findings:
        if as_json:
            print_json(plain_finding(finding))
        else:
            print_line(line(finding))
    wrong = [f for f in findings if f.verdict in (Verdict.DIFFERENT, Verdict.BEGUN_ANEW)]
    proven = [finding for finding in findings if finding.verdict is Verdict.PROVEN]
    records_proven = sum(finding.stretch.records for finding in proven)
    # Standard output is for JSON only, if that was asked for.
    print_sum = print_note if as_json else print_line
    print_sum(f"{records_proven} records proven in {len(proven)} of {len(findings)} stretches")
    if wrong:
        raise CheckFailed(f"{len(wrong)} of {len(findings)} stretches are not as they should be")


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
    settings = _settings(config, group)
    standings = _standings(settings)
    newest = {where: found[-1].account for where, found in _records(settings).items()}
    lost = {where: account for where, account in newest.items() if where not in standings}
    if not lost:
        print_line("no partition has lost its offset; nothing to do")
        return
    for where, account in lost.items():
        print_line(f"{where}: offset {account.next_offset} (after {account.consumed} records)")
    if not yes:
        raise UsageError("nothing was committed; say --yes to commit these offsets")
    recommit(settings, lost)
    print_line(f"committed {len(lost)} offsets for group {settings.consumer.group}")


def _settings(config: Any, group: str | None) -> Settings:
    return load_settings(config, overrides={"consumer.group": group}).settings


def _standings(settings: Settings) -> dict[Partition, Standing]:
    return committed_accounts(
        settings.kafka, settings.topics.readings, group=settings.consumer.group
    )


def _records(settings: Settings) -> dict[Partition, list[LedgerRecord]]:
    found = read_ledger(settings.kafka, settings.ledger_topic, group=settings.consumer.group)
    return by_partition(found)


def _nothing(settings: Settings) -> str:
    group, topic = settings.consumer.group, settings.topics.readings
    return f'the group "{group}" has no account of the topic "{topic}"'


def _account_of(standing: Standing | None) -> Account | None:
    return None if standing is None else standing.account


def _require_sums(standings: Mapping[Partition, Standing]) -> None:
    wrong = [
        str(where)
        for where, standing in standings.items()
        if standing.account is not None and not standing.account.adds_up
    ]
    if wrong:
        raise CheckFailed(f"the ledger does not add up for {', '.join(wrong)}")
