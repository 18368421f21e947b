"""The result of one speed benchmark."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report.document import Section
from benchmarks.speed.speed_targets import Verdict


@dataclass(frozen=True, slots=True)
class SectionResult:
    """The section of a benchmark in the document, and its verdicts on the speed targets."""

    section: Section
    verdicts: Sequence[Verdict] = ()
