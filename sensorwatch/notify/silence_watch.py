"""Polls the silences of Alertmanager in a thread, and gives the verdicts in their comments."""

import threading
from collections.abc import Callable, Mapping, Sequence

from confluent_kafka import KafkaException

from sensorwatch.common.alarms.events import event_instant
from sensorwatch.common.alarms.incidents import Incident
from sensorwatch.common.errors import SensorwatchError, UsageError
from sensorwatch.common.policy.calendar_intervals import to_microseconds
from sensorwatch.common.runtime.logs import logger
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.verdicts.giving import NewVerdict, give_verdict
from sensorwatch.common.verdicts.verdict import VerdictSource
from sensorwatch.common.verdicts.verdict_topic import read_newest_records
from sensorwatch.episodes.episode_search import read_book
from sensorwatch.notify.alerts import labels_of
from sensorwatch.notify.http_client import Get
from sensorwatch.notify.routing import Target, TargetKind, address_of
from sensorwatch.notify.silences import Silence, silenced_incident, verdict_silences

SILENCES_PATH = "/api/v2/silences"

_log = logger("notify")

Judge = Callable[[str, Silence], bool]
"""Gives the verdict of a silence on the episode with an id; returns False if there already is a
verdict that is newer than the silence."""


class SilenceWatch:
    """Gives the verdicts of silences. `note` is called by the notifier after each interval.

    The requests and the verdicts are made in a thread, so that the notifier never waits for them.
    """

    def __init__(self, targets: Sequence[Target], get: Get, judge: Judge) -> None:
        """Start the thread if there is an Alertmanager."""
        self._targets = [t for t in targets if t.kind is TargetKind.ALERTMANAGER]
        self._get, self._judge = get, judge
        self._incidents: Sequence[Incident] = ()
        self._handled: set[tuple[str, str]] = set()
        """Id and time of the silences that need no further work."""
        self._failed_urls: set[str] = set()
        self._wake, self._stopping = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="silences", daemon=True)
        if self._targets:
            self._thread.start()

    def note(self, incidents: Sequence[Incident]) -> None:
        """Poll now, with these incidents; does not wait."""
        self._incidents = incidents
        self._wake.set()

    def close(self) -> None:
        """Stop the thread; does not wait for an answer of Alertmanager."""
        self._stopping = True
        self._wake.set()

    def poll(self) -> None:
        """Ask each Alertmanager for its silences, and give their verdicts."""
        incidents = self._incidents
        for url in dict.fromkeys(target.url for target in self._targets):
            alerts = [
                (labels_of(incident, target), incident)
                for incident in incidents
                for target in self._targets
                if target.url == url
            ]
            for silence in self._silences(url):
                if (silence.id, silence.given.isoformat()) not in self._handled:
                    self._handle(silence, alerts)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._stopping:
                return
            self.poll()

    def _silences(self, url: str) -> list[Silence]:
        try:
            silences = verdict_silences(self._get(f"{url.rstrip('/')}{SILENCES_PATH}"))
        except (OSError, ValueError) as error:
            if url not in self._failed_urls:
                _log.warning("silences cannot be read", target=address_of(url), why=str(error))
            self._failed_urls.add(url)
            return []
        self._failed_urls.discard(url)
        return silences

    def _handle(
        self, silence: Silence, alerts: Sequence[tuple[Mapping[str, str], Incident]]
    ) -> None:
        """Give the verdict of a silence; it is tried again at the next poll if the broker fails."""
        incident = silenced_incident(silence, alerts)
        if incident is None:
            return
        episode_id = incident.worst_episode.id
        try:
            is_given = self._judge(episode_id, silence)
        except UsageError as error:
            _log.error(
                "verdict of a silence refused",
                silence=silence.id,
                episode=episode_id,
                why=str(error),
            )
        except (SensorwatchError, KafkaException, OSError) as error:
            _log.warning(
                "verdict of a silence not stored yet",
                silence=silence.id,
                episode=episode_id,
                why=str(error),
            )
            return
        else:
            if is_given:
                _log.info(
                    "verdict of a silence stored",
                    episode=episode_id,
                    verdict=silence.verdict.value,
                    who=silence.who,
                )
        self._handled.add((silence.id, silence.given.isoformat()))


def silence_judge(settings: Settings, now: Callable[[], int]) -> Judge:
    """Return the function that stores verdicts. `now` returns the time in microseconds UTC."""

    def judge(episode_id: str, silence: Silence) -> bool:
        record = read_newest_records(settings.kafka, settings.verdicts_topic).get(episode_id)
        if record is not None and event_instant(record.when) >= silence.given:
            return False
        episode = read_book(settings.kafka, settings.topics.anomalies).get(episode_id)
        if episode is None:
            raise UsageError("the anomaly topic no longer has the episode")
        new = NewVerdict(silence.verdict, silence.who, VerdictSource.ALERTMANAGER, silence.note)
        # A clock of Alertmanager may be ahead. The verdict must not be older than its silence.
        given = to_microseconds(silence.given)
        give_verdict(settings, episode, new, now=max(now(), given))
        return True

    return judge
