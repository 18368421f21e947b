"""`sensorwatch state`: show what the memory of a group holds, and let it begin anew."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from sensorwatch.commands.console_table import print_table
from sensorwatch.commands.ledger_command import GroupOption, JsonOption
from sensorwatch.common.errors import ModelRefused, StateRefused, UsageError
from sensorwatch.common.kafka.ledger_topic import by_partition, read_ledger
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.topic_reader import watermarks
from sensorwatch.common.kafka.topics import extend_topic, require_topics
from sensorwatch.common.ledger.account import Account
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.runtime.command_line import ConfigOption, typer_app
from sensorwatch.common.runtime.fingerprint import fingerprint
from sensorwatch.common.runtime.printing import print_json, print_line
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.runtime.settings import load_settings
from sensorwatch.proof.proof_inputs import evidence_of
from sensorwatch.state.account_commit import recommit, require_no_members
from sensorwatch.state.account_reset import Reset, Terms, lost, reset_of
from sensorwatch.state.committed_accounts import Standing, committed_accounts
from sensorwatch.state.snapshot_summary import Inventory, inventory

app = typer_app(help="Show the sensors' memory, and let it begin anew.", no_args_is_help=True)
COLUMNS = ("partition", "offset", "snapshot", "age", "sensors", "episodes", "warming up", "bytes")


@dataclass(frozen=True, slots=True)
class _Group:
    """Where a group stands, partition by partition."""

    standings: dict[Partition, Standing]
    newest: dict[Partition, Account]
    """By its ledger."""
    partitions: int
    state_partitions: int

    @property
    def known(self) -> list[Partition]:
        return sorted({*self.standings, *self.newest})

    def account(self, where: Partition) -> Account | None:
        """The newest one that is known: the committed one, else the ledger's."""
        standing = self.standings.get(where)
        committed = None if standing is None else standing.account
        return committed or self.newest.get(where)


@app.command()
def show(
    config: ConfigOption = None, group: GroupOption = None, as_json: JsonOption = False
) -> None:
    """Show for each partition what its newest snapshot holds, and how old that is in records."""
    settings = _settings(config, group)
    found = _look(settings)
    rows = [
        (where, found.standings.get(where), held) for where, held in _held(settings, found).items()
    ]
    if as_json:
        for row in rows:
            print_json(_plain(*row))
        return
    print_table((*COLUMNS, "model"), [_cells(*row) for row in rows], whole="partition")


@app.command()
def reset(
    config: ConfigOption = None,
    group: GroupOption = None,
    partition: Annotated[
        list[int] | None, typer.Option(help="Only this partition; may be given several times.")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="earliest|latest|OFFSET", help="Begin there, and not where the group stands."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it only say what.")] = False,
) -> None:
    """Begin with a cold memory and a new account, and say what is lost by it.

    For a group whose memory cannot be restored. Stop its consumers first.
    """
    settings = _settings(config, group)
    require_no_members(settings)
    found = _look(settings)
    chosen = _chosen(found, partition)
    kept, terms = watermarks(settings.kafka, settings.topics.readings), _terms(settings)
    resets = [
        reset_of(where, found.standings.get(where), kept[where.number], to, terms)
        for where in chosen
    ]
    held = _held(settings, found)
    for one in resets:
        for told in lost(one, held[one.partition]):
            print_line(told)
    grown = found.partitions > found.state_partitions
    if grown:
        print_line(
            f'"{settings.state_topic}" gets {found.partitions} partitions, as the readings have '
            f"(now {found.state_partitions})"
        )
    if not yes:
        raise UsageError("nothing was committed; say --yes to begin anew there")
    if grown:
        extend_topic(settings.kafka, settings.state_topic, found.partitions)
    _commit(settings, resets)


def _commit(settings: Settings, resets: list[Reset]) -> None:
    accounts = {one.partition: one.account for one in resets}
    recommit(settings, accounts, [note for one in resets for note in one.notes])
    print_line(f"{len(accounts)} partitions of {settings.consumer.group} begin anew")


def _settings(config: Any, group: str | None) -> Settings:
    return load_settings(config, overrides={"consumer.group": group}).settings


def _look(settings: Settings) -> _Group:
    kafka, group, topic = settings.kafka, settings.consumer.group, settings.topics.readings
    counts = require_topics(kafka, [topic, settings.state_topic])
    ledger = by_partition(read_ledger(kafka, settings.ledger_topic, group=group))
    found = _Group(
        committed_accounts(kafka, topic, group=group),
        {where: records[-1].account for where, records in ledger.items() if where.topic == topic},
        counts[topic],
        counts[settings.state_topic],
    )
    if not found.known:
        raise UsageError(
            f'the group "{group}" has no account of the topic "{topic}", and so no memory: correct '
            "--group or [topics] readings"
        )
    return found


def _chosen(found: _Group, numbers: list[int] | None) -> list[Partition]:
    """Return the partitions that are asked for; raises UsageError where they cannot be reset."""
    if found.partitions < found.state_partitions:
        raise UsageError(
            f"the state's topic has {found.state_partitions} partitions, and the readings have "
            f"{found.partitions}: delete it, let `sensorwatch topics create` make it anew, and "
            "reset then"
        )
    wanted = set(numbers or [])
    if wanted and found.partitions != found.state_partitions:
        raise UsageError(
            f"the readings got partitions ({found.state_partitions} before, {found.partitions} "
            "now), and sensors may have moved between all of them: leave --partition out"
        )
    unknown = wanted - {where.number for where in found.known}
    if unknown:
        raise UsageError(f"the group has no account of partition {min(unknown)}: correct it")
    return [where for where in found.known if not wanted or where.number in wanted]


def _terms(settings: Settings) -> Terms:
    try:
        version = Registry(settings.registry.path).resolve(settings.registry.model, "champion")
    except ModelRefused:
        version = ""  # the worker will say what it scores by
    options = settings.consumer
    return Terms(version, fingerprint(), options.breaker.window_rows, options.max_sensors)


def _held(settings: Settings, found: _Group) -> dict[Partition, Inventory | str | None]:
    """Return for each partition what its snapshot holds, or why that cannot be said."""
    # Of the state's topic, which has as many as the readings had when the snapshots were made.
    evidence = evidence_of(settings, partitions=found.state_partitions)
    held: dict[Partition, Inventory | str | None] = {}
    for where in found.known:
        try:
            held[where] = inventory(where, found.account(where), evidence)
        except (StateRefused, ModelRefused) as error:
            held[where] = str(error).partition(". Nothing was scored")[0]
    return held


def _plain(
    where: Partition, standing: Standing | None, held: Inventory | str | None
) -> dict[str, Any]:
    offset = None if standing is None else standing.offset
    told: Mapping[str, Any] = {}
    if isinstance(held, Inventory):
        age = None if offset is None else offset - held.next_offset
        told = {"snapshot": asdict(held), "age_records": age}
    elif held is not None:
        told = {"refused": held}
    return {"topic": where.topic, "partition": where.number, "committed": offset, **told}


def _cells(where: Partition, standing: Standing | None, held: Inventory | str | None) -> list[str]:
    offset = "lost" if standing is None else str(standing.offset)
    if not isinstance(held, Inventory):
        return [str(where), offset, *["-"] * 6, held or "nothing written down yet"]
    age = "?" if standing is None else str(standing.offset - held.next_offset)
    counts = (held.next_offset, age, held.sensors, held.open_episodes, held.warming_up, held.bytes)
    return [str(where), offset, *(str(count) for count in counts), held.model_version]
