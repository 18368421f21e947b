"""What a part of the measuring hands back."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report.document import Section
from benchmarks.speed.speed_targets import Verdict


@dataclass(frozen=True, slots=True)
class SectionResult:
    """A section of the document, and what it says about the goals."""

    section: Section
    verdicts: Sequence[Verdict] = ()
