"""The loop of the notifier: read events, follow incidents, send messages to the targets."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sensorwatch.common.alarms.episode_states import EpisodeState
from sensorwatch.common.alarms.events import read_event
from sensorwatch.common.alarms.incidents import Incident
from sensorwatch.common.kafka.records import Record, received_at
from sensorwatch.common.runtime.logs import logger
from sensorwatch.common.runtime.setting_choices import SeverityChoice
from sensorwatch.consumer.health import Heartbeat
from sensorwatch.notify.alerts import PlannedAlert, alive_alert, idle_alert
from sensorwatch.notify.delivery import Delivery, DeliveryContext
from sensorwatch.notify.incident_book import Notice, TrackedEpisode, is_older, may_need_message
from sensorwatch.notify.ports import EpisodeStore, EventReader, IdleSource

POLL_SECONDS = 0.1
"""Wait for a record. A signal is handled after this time."""
STOP_SECONDS = 2.0
"""After SIGTERM, the notifier waits this time for the answers of the targets."""
STOP_PAUSE_SECONDS = 0.02
RESAVE_AGE_SECONDS = 600
"""An episode is saved again if its newest event is this much newer than the saved event."""

_log = logger("notify")


def _ignore(_incidents: Sequence[Incident]) -> None:
    pass


class Notifier:
    """Sends the incidents to the targets until it is stopped."""

    def __init__(
        self,
        *,
        reader: EventReader,
        saved: EpisodeStore,
        input_watch: IdleSource,
        deliveries: Sequence[Delivery],
        context: DeliveryContext,
        heartbeat: Heartbeat,
        on_upkeep: Callable[[Sequence[Incident]], None] = _ignore,
    ) -> None:
        """Load the saved episodes. `on_upkeep` gets all incidents after each interval."""
        self._reader, self._saved, self._deliveries = reader, saved, deliveries
        self._book, self._policy = context.book, context.policy
        self._metrics, self._clocks = context.metrics, context.clocks
        self._heartbeat, self._input_watch = heartbeat, input_watch
        self._on_upkeep = on_upkeep
        self._idle_partitions: dict[int, datetime] = {}
        self._next_upkeep = self._caught_up_at = self._measured_at = self._clocks.monotonic()
        self._newest_event: datetime | None = None
        self._is_broker_up = True
        self.is_ready = False
        """Whether all events that existed at the start were read."""
        episodes = saved.load()
        self._unsaved_ids: set[str] = set()
        self._saved_states = {episode.state.id: episode.state for episode in episodes}
        for episode in episodes:
            self._book.restore(episode)
        self._book.forget_notices(delivery.target.key for delivery in deliveries)
        self._is_first_start = not episodes and not reader.has_committed

    def run(self, stopping: Callable[[], bool]) -> None:
        """Read and send until `stopping` returns True."""
        while not stopping():
            self.step()
        self._stop()

    def step(self) -> None:
        """Read the next events, and start the messages that are due."""
        self._heartbeat.beat()
        self._read()
        if self._reader.is_caught_up():
            self._caught_up_at = self._measured_at
            if not self.is_ready:
                self._finish_start()
        if self.is_ready:
            self._send()
        if self._clocks.monotonic() >= self._next_upkeep:
            self._next_upkeep = self._clocks.monotonic() + self._policy.interval_seconds
            self._do_upkeep()

    def _stop(self) -> None:
        """Wait for the answers to the last messages, save what the targets know, and commit."""
        deadline = self._clocks.monotonic() + STOP_SECONDS
        while self._clocks.monotonic() < deadline and any(
            delivery.is_busy for delivery in self._deliveries
        ):
            time.sleep(STOP_PAUSE_SECONDS)
        for delivery in self._deliveries:
            self._unsaved_ids |= delivery.collect()
        self._save()
        if self.is_ready:
            self._commit()

    def _read(self) -> None:
        """Add the next events to the book."""
        changes = [self._add(message) for message in self._reader.poll(POLL_SECONDS)]
        if any(changes):
            for delivery in self._deliveries:
                delivery.note_change()

    def _add(self, record: Record) -> bool:
        """Add an event. Return whether targets may need a message at once."""
        event = read_event(record)
        if event is None:
            self._metrics.ignored_records.inc()
            return False
        old_state = self._book.state_of(event)
        state = self._book.add(event, self._received_at(record))
        if state is None:
            return False
        if self._newest_event is None or state.last > self._newest_event:
            self._newest_event = state.last
            self._metrics.newest_event.set(state.last.timestamp())
        saved_state = self._saved_states.get(state.id)
        if saved_state is not None and _is_worth_saving(saved_state, state):
            self._unsaved_ids.add(state.id)
        return may_need_message(old_state, state)

    def _received_at(self, record: Record) -> datetime:
        """Return the Kafka timestamp of a record, limited to 1970 and the present time."""
        now = self._clocks.now()
        microseconds = received_at(record)
        if microseconds is None or microseconds >= now.timestamp() * 1e6:
            return now
        return datetime.fromtimestamp(max(0, microseconds) / 1e6, UTC)

    def _finish_start(self) -> None:
        """Begin to send. The first notifier of a group does not send incidents that have ended."""
        if self._is_first_start:
            now = self._clocks.now()
            for incident in list(self._book.incidents()):
                if incident.end is None:
                    continue
                notice = Notice(incident.id, incident.severity, now, now, is_done=True)
                episode_ids = [episode.id for episode in incident.episodes]
                for delivery in self._deliveries:
                    if delivery.target.wants(incident):
                        self._unsaved_ids |= delivery.set_notice(episode_ids, notice)
        self.is_ready = True
        _log.info("all events are read", partitions=len(self._reader.partitions))

    def _send(self) -> None:
        """Record the results of the targets, save the episodes, and send the next messages."""
        extra_alerts = self._extra_alerts()
        for delivery in self._deliveries:
            self._unsaved_ids |= delivery.collect()
            self._unsaved_ids |= delivery.prepare(extra_alerts)
        self._save()
        for delivery in self._deliveries:
            delivery.send()

    def _extra_alerts(self) -> list[PlannedAlert]:
        """Return the alerts of idle partitions, and the alert that the notifier works."""
        now = self._clocks.now()
        alerts = [
            idle_alert(self._input_watch.topic, number, last_time, self._policy, now)
            for number, last_time in self._idle_partitions.items()
        ]
        if self._clocks.monotonic() - self._caught_up_at <= self._policy.open_seconds:
            alerts.append(alive_alert(self._policy, now))
        return alerts

    def _save(self) -> None:
        """Save the changed episodes. Those that the broker does not store now are saved later."""
        if not self._unsaved_ids:
            return
        records: dict[str, TrackedEpisode | None] = {}
        for episode_id in self._unsaved_ids:
            episode = self._book.saved_form(episode_id)
            if episode is not None:
                records[episode_id] = episode
                self._saved_states[episode_id] = episode.state
            elif self._saved_states.pop(episode_id, None) is not None:
                records[episode_id] = None
        self._unsaved_ids.clear()
        self._saved.save(records)

    def _do_upkeep(self) -> None:
        """Measure the lag, close and forget old incidents, commit the offsets."""
        self._is_broker_up = self._reader.measure_lag()
        if self._is_broker_up:
            self._measured_at = self._clocks.monotonic()
        for number in self._reader.partitions:
            self._metrics.lag.labels(str(number)).set(self._reader.lag(number))
        self._idle_partitions = self._input_watch.idle_partitions()
        self._metrics.idle_partitions.set(len(self._idle_partitions))
        if not self.is_ready:
            return
        self._remove_old_incidents()
        self._on_upkeep(list(self._book.incidents()))
        self._save()
        self._commit()

    def _commit(self) -> None:
        """Commit the offsets if all older changes are saved.

        If the broker is down, it is not called: a call could take longer than a stop may take.
        """
        if self._is_broker_up and self._saved.save({}) and self._reader.commit():
            self._metrics.last_save.set(self._clocks.now().timestamp())
        else:
            _log.warning("the state is not saved, because the broker does not answer")

    def _remove_old_incidents(self) -> None:
        now, policy = self._clocks.now(), self._policy
        open_counts: Counter[str] = Counter()
        for incident in list(self._book.incidents()):
            last = self._book.last(incident)
            episode_ids = [episode.id for episode in incident.episodes]
            if incident.end is None:
                if is_older(last, now, policy.max_open_seconds):
                    self._book.close_open_episodes(incident)
                    self._unsaved_ids.update(set(episode_ids) & self._saved_states.keys())
                    self._metrics.expired_incidents.inc()
                else:
                    open_counts[incident.severity] += 1
            elif is_older(last, now, policy.max_age_seconds):
                is_done = self._book.are_notices_done(incident)
                if not is_done and not is_older(last, now, policy.drop_seconds):
                    continue
                self._metrics.dropped_incidents.inc(not is_done)
                self._book.forget(incident)
                self._unsaved_ids.update(set(episode_ids) & self._saved_states.keys())
        for severity in SeverityChoice:
            self._metrics.open_incidents.labels(severity.value).set(open_counts[severity.value])


def _is_worth_saving(saved_state: EpisodeState, state: EpisodeState) -> bool:
    """Return whether an episode has changed so that a restart needs its new state."""
    return (
        state.severity != saved_state.severity
        or state.end != saved_state.end
        or is_older(saved_state.last, state.last, RESAVE_AGE_SECONDS)
    )
