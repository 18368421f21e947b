"""Compare the simulator's fault labels with the alarms and dead letters of a run."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from sensorwatch.common.alarms.severity import severity_rank
from sensorwatch.common.kafka.records import Coordinates
from sensorwatch.common.scoring.detections import FIRST_SEVERITY, SEVERITIES
from sensorwatch.common.simulation.faults import FaultKind

_MALFORMED = FaultKind.MALFORMED.value


@dataclass(slots=True)
class Observations:
    """The labels, alarms and dead letters that were read from the topics, for each input record.

    The topics may be read in any order. The records of a partition must be added in offset order.
    """

    rows: int = 0
    """Number of all input records, with or without a label."""
    fault_episodes: list[str] = field(default_factory=list)
    """The kind of fault of each fault episode."""
    labels: dict[Coordinates, int] = field(default_factory=dict)
    """The fault episode of each labelled record, as an index of `fault_episodes`."""
    alarms: dict[Coordinates, str] = field(default_factory=dict)
    """The id of the alarm episode of each anomalous row."""
    severities: dict[str, str] = field(default_factory=dict)
    """The highest severity of each alarm episode so far, by its id."""
    dead_letters: set[Coordinates] = field(default_factory=set)
    _open_episodes: dict[bytes | None, int] = field(default_factory=dict)
    """The fault episode of each sensor's newest record, if the record has a label."""

    def add_alarm(self, record: Coordinates, episode: str, severity: str) -> None:
        """Add an anomalous row. The severity of an episode never falls."""
        self.alarms[record] = episode
        known_severity = self.severities.get(episode, severity)
        self.severities[episode] = max(known_severity, severity, key=severity_rank)

    def add_record(self, record: Coordinates, key: bytes | None, label: str) -> None:
        """Add an input record.

        Consecutive records of a sensor with the same label form one fault episode.
        """
        self.rows += 1
        if not label:
            self._open_episodes.pop(key, None)
            return
        episode = self._open_episodes.get(key)
        if episode is None or self.fault_episodes[episode] != label:
            self.fault_episodes.append(label)
            episode = self._open_episodes[key] = len(self.fault_episodes) - 1
        self.labels[record] = episode


@dataclass(frozen=True, slots=True)
class KindScore:
    """The numbers of detected rows and fault episodes of one kind of fault.

    A row is detected if it raised an alarm. A malformed row is detected if it became a dead letter.
    An episode is detected if one of its rows is detected.
    """

    kind: str
    rows: int
    rows_detected: int
    episodes: int
    episodes_detected: int


@dataclass(frozen=True, slots=True)
class Ratio:
    """A count, and the total that it is a part of."""

    part: int
    total: int


@dataclass(frozen=True, slots=True)
class SeverityScore:
    """The alarm episodes of one severity, and the faults that they find.

    A malformed row is not a fault here, because it becomes a dead letter and not an alarm.
    """

    severity: str
    precision: Ratio
    """Share of the alarm episodes with this severity that contain at least one labelled row."""
    recall: Ratio
    """Share of the fault episodes that are in an alarm episode of at least this severity."""


@dataclass(frozen=True, slots=True)
class Score:
    """Recall and precision of the alarms, for rows and for episodes."""

    kinds: tuple[KindScore, ...]
    severities: tuple[SeverityScore, ...]
    """The highest severity first."""
    row_precision: Ratio
    """Share of all alarms that were raised by labelled rows."""
    episode_precision: Ratio
    """Share of all alarm episodes that contain at least one labelled row."""
    false_alarms: Ratio
    """Share of all healthy rows that raised an alarm."""
    false_alarms_beside_faults: int
    """Number of false alarms in alarm episodes that contain a labelled row."""

    @property
    def row_recall(self) -> Ratio:
        """Return the share of all labelled rows that were detected."""
        return Ratio(
            sum(kind.rows_detected for kind in self.kinds), sum(kind.rows for kind in self.kinds)
        )


def score(observations: Observations) -> Score:
    """Return recall and precision of the alarms and dead letters against the labels."""
    true_alarms = observations.alarms.keys() & observations.labels.keys()
    true_episodes = {observations.alarms[record] for record in true_alarms}
    false_alarms = observations.alarms.keys() - true_alarms
    return Score(
        tuple(_kind_scores(observations)),
        tuple(_severity_scores(observations, true_episodes)),
        row_precision=Ratio(len(true_alarms), len(observations.alarms)),
        episode_precision=Ratio(len(true_episodes), len(set(observations.alarms.values()))),
        false_alarms=Ratio(len(false_alarms), observations.rows - len(observations.labels)),
        false_alarms_beside_faults=sum(
            observations.alarms[record] in true_episodes for record in false_alarms
        ),
    )


def _severity_scores(
    observations: Observations, true_episodes: set[str]
) -> Iterator[SeverityScore]:
    severities = observations.severities
    fault_count = sum(kind != _MALFORMED for kind in observations.fault_episodes)
    rank_of_fault: dict[int, int] = {}
    for record, fault in observations.labels.items():
        if record in observations.alarms:
            rank = severity_rank(severities[observations.alarms[record]])
            rank_of_fault[fault] = max(rank_of_fault.get(fault, 0), rank)
    for severity in reversed(SEVERITIES[FIRST_SEVERITY:]):
        episodes = {episode for episode, highest in severities.items() if highest == severity}
        found_count = sum(rank >= severity_rank(severity) for rank in rank_of_fault.values())
        yield SeverityScore(
            severity.value,
            Ratio(len(episodes & true_episodes), len(episodes)),
            Ratio(found_count, fault_count),
        )


def _kind_scores(observations: Observations) -> Iterator[KindScore]:
    row_counts: Counter[str] = Counter()
    detected_row_counts: Counter[str] = Counter()
    detected_episodes: set[int] = set()
    for record, episode in observations.labels.items():
        kind = observations.fault_episodes[episode]
        row_counts[kind] += 1
        if record in (observations.dead_letters if kind == _MALFORMED else observations.alarms):
            detected_row_counts[kind] += 1
            detected_episodes.add(episode)
    episode_counts = Counter(observations.fault_episodes)
    detected_episode_counts = Counter(
        observations.fault_episodes[episode] for episode in detected_episodes
    )
    for kind in _sort_kinds(row_counts):
        yield KindScore(
            kind,
            row_counts[kind],
            detected_row_counts[kind],
            episode_counts[kind],
            detected_episode_counts[kind],
        )


def _sort_kinds(kinds: Counter[str]) -> Iterator[str]:
    """Yield the kinds of faults in the simulator's order, then unknown kinds sorted by name."""
    simulator_kinds = [kind.value for kind in FaultKind]
    yield from (kind for kind in simulator_kinds if kind in kinds)
    yield from sorted(set(kinds) - set(simulator_kinds))
