"""Title, introduction and command of docs/quality.md."""

from benchmarks.report.document import Document

COMMAND = "make bench-quality DATA=<folder with skab/, nab/ and streams/>"
DOCUMENT = Document(
    name="quality.md",
    title="How well faults are found",
    introduction="""\
One configuration is measured everywhere, the default one. Scores are causal. Labels are used only
if a table says so. The programs are in `benchmarks/quality/`. The data sets, SKAB v0.9
(waico/SKAB), NAB v1.1 (numenta/NAB) and streams of wenig/touchstone-rs, are public and do not ship
with the project.
""",
    command=COMMAND,
)
