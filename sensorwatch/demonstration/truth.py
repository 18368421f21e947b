"""What the simulator says was wrong, beside what sensorwatch said about it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from sensorwatch.common.kafka.records import Coordinates
from sensorwatch.common.simulation.faults import FaultKind

_MALFORMED = FaultKind.MALFORMED.value


@dataclass(slots=True)
class Truth:
    """Collects labels and outcomes, in any order of topics, in order within a partition."""

    labels: dict[Coordinates, int] = field(default_factory=dict)
    """The episode of each labelled record."""
    episodes: list[str] = field(default_factory=list)
    """The kind of each episode."""
    events: set[Coordinates] = field(default_factory=set)
    letters: set[Coordinates] = field(default_factory=set)
    rows: int = 0
    _going_on: dict[bytes | None, int] = field(default_factory=dict)
    """The episode in which a sensor's newest record lies."""

    def record(self, where: Coordinates, key: bytes | None, label: str) -> None:
        """Take a record of the input; an episode is a sensor's labelled records in a row."""
        self.rows += 1
        if not label:
            self._going_on.pop(key, None)
            return
        episode = self._going_on.get(key)
        if episode is None or self.episodes[episode] != label:
            self.episodes.append(label)
            episode = self._going_on[key] = len(self.episodes) - 1
        self.labels[where] = episode


@dataclass(frozen=True, slots=True)
class KindScore:
    """How much of one kind of fault was found."""

    kind: str
    rows: int
    rows_found: int
    episodes: int
    episodes_found: int


@dataclass(frozen=True, slots=True)
class Score:
    """What recall and precision are made of; a malformed record is found by its dead letter."""

    kinds: tuple[KindScore, ...]
    true_alarms: int
    """Events of faulty rows."""
    false_alarms: int
    """Events of healthy rows."""
    healthy_rows: int

    @property
    def rows(self) -> tuple[int, int]:
        """Labelled rows, and how many of them were found."""
        return sum(k.rows for k in self.kinds), sum(k.rows_found for k in self.kinds)

    @property
    def episodes(self) -> tuple[int, int]:
        """Fault episodes, and in how many of them a row was found."""
        return sum(k.episodes for k in self.kinds), sum(k.episodes_found for k in self.kinds)

    @property
    def alarmed_episodes(self) -> int:
        """Fault episodes with an event, so malformed records left out."""
        return sum(k.episodes_found for k in self.kinds if k.kind != _MALFORMED)


def score(truth: Truth) -> Score:
    """Compare labels and outcomes."""
    rows: Counter[str] = Counter()
    rows_found: Counter[str] = Counter()
    found: set[int] = set()
    for where, episode in truth.labels.items():
        kind = truth.episodes[episode]
        rows[kind] += 1
        if where in (truth.letters if kind == _MALFORMED else truth.events):
            rows_found[kind] += 1
            found.add(episode)
    episodes = Counter(truth.episodes)
    episodes_found = Counter(truth.episodes[episode] for episode in found)
    return Score(
        tuple(
            KindScore(kind, rows[kind], rows_found[kind], episodes[kind], episodes_found[kind])
            for kind in _ordered(rows)
        ),
        true_alarms=len(truth.events & truth.labels.keys()),
        false_alarms=len(truth.events - truth.labels.keys()),
        healthy_rows=truth.rows - len(truth.labels),
    )


def _ordered(rows: Counter[str]) -> Iterator[str]:
    known = [kind.value for kind in FaultKind]
    yield from (kind for kind in known if kind in rows)
    yield from sorted(set(rows) - set(known))
