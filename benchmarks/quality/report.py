"""The document of a whole run: when, with what, how, and what came out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from platform import machine, python_version

from benchmarks.quality.table import Table, markdown
from common.runtime.build import project_version

DOCUMENT = "quality.md"
PLOTS = "plots"
_INTRODUCTION = """\
One configuration, the default one, for everything; scores are causal, and no label is used but
where it says so. How: `benchmarks/quality/`. The data, SKAB v0.9 (waico/SKAB) and NAB v1.1
(numenta/NAB), is public and does not ship with the project.
"""
_LIBRARIES = ("numpy", "scikit-learn", "numba")


@dataclass(frozen=True, slots=True)
class Section:
    """What one part of the measuring has to show."""

    title: str
    tables: Sequence[Table]
    plots: Mapping[str, str] = field(default_factory=dict)
    """By name, as SVG."""


def document(sections: Sequence[Section], *, date: str, command: str) -> str:
    """Write the document as Markdown; the plots stand in a folder beside it."""
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    made = (
        f"Measured {date} by `{command}`: sensorwatch {project_version()}, Python "
        f"{python_version()}, {libraries}, {machine()}. Written by that command: do not edit.\n"
    )
    parts = ["# How well faults are found\n", made, _INTRODUCTION]
    for section in sections:
        parts.append(f"## {section.title}\n")
        parts += [f"![{name}]({PLOTS}/{name}.svg)\n" for name in section.plots]
        parts += [markdown(table) for table in section.tables]
    return "\n".join(parts)


def write(folder: Path, sections: Sequence[Section], *, date: str, command: str) -> Path:
    """Write document and plots into a folder, and return the document's path."""
    plots = folder / PLOTS
    plots.mkdir(parents=True, exist_ok=True)
    for section in sections:
        for name, drawing in section.plots.items():
            (plots / f"{name}.svg").write_text(drawing, encoding="utf-8")
    path = folder / DOCUMENT
    path.write_text(document(sections, date=date, command=command), encoding="utf-8")
    return path
