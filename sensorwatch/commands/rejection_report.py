"""Count rejected rows by reason, with the first examples of each reason."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from sensorwatch.common.rows.rejection import Reason, Rejection

EXAMPLES_PER_REASON = 3


class RejectionReport:
    """Counts rows and rejections, and keeps the first examples of each reason."""

    def __init__(self) -> None:
        self.rows = 0
        self._reasons: Counter[Reason] = Counter()
        self._examples: dict[Reason, list[str]] = {}

    @property
    def rejected(self) -> int:
        """Return the number of rejected rows."""
        return self._reasons.total()

    def add(
        self, rows: int, rejections: Sequence[Rejection], *, location: Callable[[int], str]
    ) -> None:
        """Add rows and their rejections to the counts.

        `location`: returns the label of a row, such as `row 7`; its argument is the index of the
        row in this call.
        """
        self.rows += rows
        for rejection in rejections:
            self._reasons[rejection.reason] += 1
            examples = self._examples.setdefault(rejection.reason, [])
            if len(examples) < EXAMPLES_PER_REASON:
                examples.append(_example(rejection, location(rejection.index)))

    def lines(self) -> Iterator[str]:
        """Yield the lines of the report, with the most frequent reason first."""
        yield f"{self.rows} rows: {self.rows - self.rejected} readings, {self.rejected} rejected"
        for reason, count in self._reasons.most_common():
            yield f"  {reason}: {count}"
            yield from (f"    {example}" for example in self._examples[reason])


def _example(rejection: Rejection, location: str) -> str:
    field = f"{rejection.field}: " if rejection.field else ""
    return f"{location}: {field}{rejection.detail}"
