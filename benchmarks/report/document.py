"""A generated Markdown document of measurements, with tables and plots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from platform import machine, python_version

from benchmarks.report.figures_table import Table, markdown
from sensorwatch.common.runtime.build import project_version

PLOTS = "plots"
_LIBRARIES = ("numpy", "scikit-learn", "numba")


@dataclass(frozen=True, slots=True)
class Section:
    """Tables and plots of one benchmark."""

    title: str
    tables: Sequence[Table]
    plots: Mapping[str, str] = field(default_factory=dict)
    """For each plot, its name and SVG text."""


@dataclass(frozen=True, slots=True)
class Document:
    """Name, title and introduction of a generated document."""

    name: str
    """File name."""
    title: str
    introduction: str
    command: str
    environment_notes: Sequence[str] = ()
    """Texts about the environment. The document adds the versions of sensorwatch, Python and the
    libraries."""

    def text(self, sections: Sequence[Section], *, date: str) -> str:
        """Return the document as Markdown, with links to its plots in the folder `plots`."""
        libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
        generated_note = (
            f"Measured {date} by `{self.command}`: sensorwatch {project_version()}, Python "
            f"{python_version()}, {libraries}, {', '.join([*self.environment_notes, machine()])}. "
            "The command writes this page, so do not edit it.\n"
        )
        blocks = [f"# {self.title}\n", generated_note, self.introduction]
        for section in sections:
            blocks.append(f"## {section.title}\n")
            blocks += [f"![{name}]({PLOTS}/{name}.svg)\n" for name in section.plots]
            blocks += [markdown(table) for table in section.tables]
        return "\n".join(blocks)

    def write(self, folder: Path, sections: Sequence[Section], *, date: str) -> Path:
        """Write the document and its plots into a folder; return the document's path."""
        plots_folder = folder / PLOTS
        plots_folder.mkdir(parents=True, exist_ok=True)
        for section in sections:
            for name, drawing in section.plots.items():
                (plots_folder / f"{name}.svg").write_text(drawing, encoding="utf-8")
        path = folder / self.name
        path.write_text(self.text(sections, date=date), encoding="utf-8")
        return path
