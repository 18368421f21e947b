"""What the document on quality says around its figures."""

from benchmarks.report.document import Document

COMMAND = "make bench-quality DATA=<folder with skab/ and nab/>"
DOCUMENT = Document(
    name="quality.md",
    title="How well faults are found",
    introduction="""\
One configuration, the default one, for everything; scores are causal, and no label is used but
where it says so. How: `benchmarks/quality/`. The data, SKAB v0.9 (waico/SKAB) and NAB v1.1
(numenta/NAB), is public and does not ship with the project.
""",
    command=COMMAND,
)
