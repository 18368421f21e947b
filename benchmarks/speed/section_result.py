"""Result of one speed benchmark."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report.document import Section
from benchmarks.speed.speed_targets import Verdict


@dataclass(frozen=True, slots=True)
class SectionResult:
    """A section of the document, and verdicts on the speed targets."""

    section: Section
    verdicts: Sequence[Verdict] = ()
