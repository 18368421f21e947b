"""The simulator's fault labels compared with the alarms and dead letters of the run."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from sensorwatch.common.kafka.records import Coordinates
from sensorwatch.common.simulation.faults import FaultKind

_MALFORMED = FaultKind.MALFORMED.value


@dataclass(slots=True)
class Observations:
    """What was read from the topics: labels, alarms and dead letters by record.

    The order between topics does not matter; within a partition records come in offset order.
    """

    rows: int = 0
    """The number of records, labelled or not."""
    fault_episodes: list[str] = field(default_factory=list)
    """The fault kind of each fault episode."""
    labels: dict[Coordinates, int] = field(default_factory=dict)
    """The fault episode of each labelled record, as an index."""
    alarms: dict[Coordinates, str] = field(default_factory=dict)
    """The id of the alarm episode of each anomalous row."""
    dead_letters: set[Coordinates] = field(default_factory=set)
    _open: dict[bytes | None, int] = field(default_factory=dict)
    """The fault episode of each sensor whose newest record is labelled."""

    def add_record(self, where: Coordinates, key: bytes | None, label: str) -> None:
        """Take an input record; a fault episode is a sensor's consecutive records of one label."""
        self.rows += 1
        if not label:
            self._open.pop(key, None)
            return
        episode = self._open.get(key)
        if episode is None or self.fault_episodes[episode] != label:
            self.fault_episodes.append(label)
            episode = self._open[key] = len(self.fault_episodes) - 1
        self.labels[where] = episode


@dataclass(frozen=True, slots=True)
class KindScore:
    """How many rows and fault episodes of one kind were detected.

    A row is detected by an alarm, a malformed row by its dead letter. An episode is detected if
    one of its rows is.
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
class Score:
    """Recall and precision, by row and by episode."""

    kinds: tuple[KindScore, ...]
    row_precision: Ratio
    """Alarms of labelled rows, of all alarms."""
    episode_precision: Ratio
    """Alarm episodes with at least one labelled row, of all alarm episodes."""
    false_alarms: Ratio
    """Healthy rows with an alarm, of all healthy rows."""
    false_alarms_beside_faults: int
    """False alarms in alarm episodes that also have a labelled row."""

    @property
    def row_recall(self) -> Ratio:
        """Detected rows, of all labelled rows."""
        return Ratio(sum(k.rows_detected for k in self.kinds), sum(k.rows for k in self.kinds))

    @property
    def episode_recall(self) -> Ratio:
        """Detected fault episodes, of all fault episodes."""
        return Ratio(
            sum(k.episodes_detected for k in self.kinds), sum(k.episodes for k in self.kinds)
        )


def score(seen: Observations) -> Score:
    """Compare the labels with the alarms and dead letters."""
    true_alarms = seen.alarms.keys() & seen.labels.keys()
    true_episodes = {seen.alarms[where] for where in true_alarms}
    false_alarms = seen.alarms.keys() - true_alarms
    return Score(
        tuple(_kind_scores(seen)),
        row_precision=Ratio(len(true_alarms), len(seen.alarms)),
        episode_precision=Ratio(len(true_episodes), len(set(seen.alarms.values()))),
        false_alarms=Ratio(len(false_alarms), seen.rows - len(seen.labels)),
        false_alarms_beside_faults=sum(
            seen.alarms[where] in true_episodes for where in false_alarms
        ),
    )


def _kind_scores(seen: Observations) -> Iterator[KindScore]:
    rows: Counter[str] = Counter()
    rows_detected: Counter[str] = Counter()
    detected: set[int] = set()
    for where, episode in seen.labels.items():
        kind = seen.fault_episodes[episode]
        rows[kind] += 1
        if where in (seen.dead_letters if kind == _MALFORMED else seen.alarms):
            rows_detected[kind] += 1
            detected.add(episode)
    episodes = Counter(seen.fault_episodes)
    episodes_detected = Counter(seen.fault_episodes[episode] for episode in detected)
    for kind in _in_order(rows):
        yield KindScore(
            kind, rows[kind], rows_detected[kind], episodes[kind], episodes_detected[kind]
        )


def _in_order(kinds: Counter[str]) -> Iterator[str]:
    """Yield the simulator's kinds in their order, then others by name."""
    known = [kind.value for kind in FaultKind]
    yield from (kind for kind in known if kind in kinds)
    yield from sorted(set(kinds) - set(known))
