"""Tests of the generated document, its tables and its plots."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.report.document import Document, Section
from benchmarks.report.figures_table import Table, markdown, show
from benchmarks.report.plots import Bar, Point, Strip, bars, ratios, scatter, strips

TABLE = Table("Found", ("", "F1"), [("ours", "0.81"), ("a|b", "0.1")], "Pooled.")
FAULTY_ROWS = np.arange(40) % 10 < 3
PLOTS = {
    "bars": bars("Bars", [Bar("<ours>", 50.0), Bar("theirs", -3.0)], top=100.0),
    "scatter": scatter("Dots", [Point("a", 1, 2)], axis_names=("x", "y"), target=(16.0, 27.0)),
    "strips": strips("Rows", [Strip("one.csv", FAULTY_ROWS, ~FAULTY_ROWS)], alarm_name="alarm"),
    "ratios": ratios("Rates", [("plain", [Bar("ours", 0.0), Bar("b", 99.0)])], factor=3.0),
}


@pytest.mark.parametrize("name", list(PLOTS))
def test_the_marks_of_a_plot_are_inside_the_drawing(name: str) -> None:
    root = ElementTree.fromstring(PLOTS[name])

    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    marks = [mark for mark in root if mark.tag.endswith(("circle", "text"))]
    assert marks
    for mark in marks:
        assert 0 <= float(mark.get("x", mark.get("cx", ""))) <= width
        assert 0 <= float(mark.get("y", mark.get("cy", ""))) <= height


def test_the_length_of_a_bar_is_proportional_to_its_value() -> None:
    root = ElementTree.fromstring(bars("Bars", [Bar("a", 50.0), Bar("b", 25.0)], top=100.0))

    widths = [float(mark.attrib["width"]) for mark in root if mark.get("rx") == "3"]
    assert widths[1] == pytest.approx(widths[0] / 2, abs=0.1)
    assert widths[3] == pytest.approx(widths[0] / 4, abs=0.1)


def test_a_table_is_written_as_markdown() -> None:
    assert markdown(TABLE).splitlines() == [
        "### Found",
        "",
        "|  | F1 |",
        "| --- | ---: |",
        "| ours | 0.81 |",
        "| a/b | 0.1 |",
        "",
        "Pooled.",
    ]


def test_all_cells_of_a_table_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    show(TABLE)

    output = capsys.readouterr().out
    assert all(word in output for word in ("Found", "F1", "ours", "0.81", "Pooled."))


def test_the_document_and_its_plots_are_written_to_one_folder(tmp_path: Path) -> None:
    section = Section("SKAB", [TABLE], {"dots": PLOTS["scatter"]})

    document = Document("found.md", "Found", "How.", "make it", environment_notes=["2 cores"])

    path = document.write(tmp_path / "docs", [section], date="2026-11-30")

    text = path.read_text(encoding="utf-8")
    assert "2026-11-30" in text
    assert "`make it`" in text
    assert "numpy" in text
    assert "2 cores" in text
    assert markdown(TABLE) in text
    assert "![dots](plots/dots.svg)" in text
    assert (path.parent / "plots" / "dots.svg").read_text(encoding="utf-8").startswith("<svg")
