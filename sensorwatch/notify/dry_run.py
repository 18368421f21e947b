"""Computes the messages that a notifier would have sent for the events in the topic."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from confluent_kafka import Message

from sensorwatch.common.alarms.events import AnyEvent, BackEvent, ClosingEvent, Event, read_event
from sensorwatch.common.kafka.records import Record, received_at
from sensorwatch.common.runtime.notify_settings import NotifySettings
from sensorwatch.common.runtime.printing import print_line, print_note
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.notify.anomaly_reader import AnomalyReader, open_reader
from sensorwatch.notify.changes import Change, ChangeKind, next_change
from sensorwatch.notify.incident_book import IncidentBook, is_older, may_need_message
from sensorwatch.notify.policy import NotifyPolicy, policy_of
from sensorwatch.notify.routing import Target, TargetKind, lowest_severity, route_target

_EVENTS_BETWEEN_REMOVALS = 1_000
_WAIT_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class DryMessage:
    """A message that would have been sent."""

    time: datetime
    """Kafka timestamp of the event that causes the message."""
    route: str
    change: Change


def print_messages(settings: Settings, since_seconds: int, since_text: str) -> None:
    """Read the anomaly topic once, and print what would have been sent since then.

    `since_text` is the duration `since_seconds`, as the user wrote it. Raises BrokerUnavailable if
    the topic cannot be read.
    """
    policy = policy_of(settings.notify, settings.notify_group)
    begin = datetime.now(UTC) - timedelta(seconds=since_seconds)
    reader = open_reader(settings, policy, begin)
    counts: Counter[ChangeKind] = Counter()
    too_old: set[str] = set()
    try:
        messages = dry_messages(_records(reader), _dry_targets(settings.notify), policy, too_old)
        for message in messages:
            if message.time >= begin:
                counts[message.change.kind] += 1
                print_line(_line(message))
    finally:
        reader.close()
    count = counts.total()
    print_line(
        f"{count} {'message' if count == 1 else 'messages'} in the last {since_text}: "
        f"{counts[ChangeKind.OPENED]} opened, {counts[ChangeKind.RAISED]} raised, "
        f"{counts[ChangeKind.CLOSED]} closed"
    )
    if too_old:
        print_note(
            f"{len(too_old)} more incidents were older than [notify] max_age = "
            f'"{settings.notify.max_age}" when their events arrived, as in a replay of old rows'
        )


def dry_messages(
    records: Iterable[Record], targets: Sequence[Target], policy: NotifyPolicy, too_old: set[str]
) -> Iterator[DryMessage]:
    """Yield the messages that the records cause, in the order of their Kafka timestamps.

    `too_old` gets the ids of the incidents that are not sent because of their age.
    """
    book = IncidentBook(lowest_severity(targets))
    for number, (now, event) in enumerate(_events_in_order(records)):
        old_state = book.state_of(event)
        state = book.add(event, now)
        if state is None or not may_need_message(old_state, state):
            continue
        incident = book.incident_of(state)
        is_end_only = old_state is None and isinstance(event, ClosingEvent | BackEvent)
        if incident is None or is_end_only:
            continue
        for target in targets:
            if target.wants(incident) and is_older(
                book.last(incident), now, policy.max_age_seconds
            ):
                too_old.add(incident.id)
            while change := next_change(book, incident, target, policy.max_age_seconds, now):
                book.set_notice(change.episode_ids, target.key, change.notice)
                yield DryMessage(now, target.route, change)
        if number % _EVENTS_BETWEEN_REMOVALS == 0:
            _remove_old_incidents(book, policy, now)


def _dry_targets(settings: NotifySettings) -> list[Target]:
    """Return one target for each route, because the number of URLs does not matter to a person."""
    if not settings.routes:
        return [Target(TargetKind.WEBHOOK, "", severity=settings.severity.value)]
    return [route_target(route, TargetKind.WEBHOOK, "") for route in settings.routes]


def _records(reader: AnomalyReader) -> Iterator[Message]:
    """Yield the records that existed when the reader started."""
    while not reader.is_caught_up():
        yield from reader.poll(_WAIT_SECONDS)


def _events_in_order(records: Iterable[Record]) -> Iterator[tuple[datetime, AnyEvent]]:
    """Yield the events of all partitions, as a running notifier would have read them.

    The rows in the middle of an episode are left out, because they cause no message.
    """
    events: list[tuple[int, int, AnyEvent]] = []
    newest: defaultdict[int, int] = defaultdict(int)
    end = time.time_ns() // 1_000
    for record in records:
        event = read_event(record)
        if event is None or (
            isinstance(event, Event) and event.episode.rows > 1 and not event.news
        ):
            continue
        # The order within a partition must stay, also if its timestamps go back.
        number = record.partition() or 0
        newest[number] = max(newest[number], min(received_at(record) or 0, end))
        events.append((newest[number], len(events), event))
    for microseconds, _, event in sorted(events, key=lambda entry: entry[:2]):
        yield datetime.fromtimestamp(microseconds / 1e6, UTC), event


def _remove_old_incidents(book: IncidentBook, policy: NotifyPolicy, now: datetime) -> None:
    for incident in list(book.incidents()):
        if incident.end is not None and is_older(book.last(incident), now, policy.max_age_seconds):
            book.forget(incident)


def _line(message: DryMessage) -> str:
    change = message.change
    incident = change.incident
    route = f"  [{message.route}]" if message.route else ""
    name = incident.group or incident.sensor_ids[0]
    return (
        f"{message.time:%Y-%m-%d %H:%M:%S}  {change.kind.value:<6}  {incident.severity:<8}  "
        f"{name}  {incident.message}{route}"
    )
