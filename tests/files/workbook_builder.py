"""Builds small Excel workbooks; a workbook is a zip archive of XML files."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_SHEET = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_NUMBER_FORMATS = {"number": 0, "date and clock": 22, "date": 14, "clock": 21, "duration": 46}


class Styled(NamedTuple):
    """A number that the workbook shows in a format, a key of _NUMBER_FORMATS."""

    number: float
    style: str


Cell = Styled | float | bool | str | None
"""A text that begins with # is an error of Excel."""


def a_workbook(
    rows: Mapping[int, Sequence[Cell]],
    *,
    sheets: Sequence[str] = ("Data",),
    first_column: str = "A",
) -> bytes:
    """Return a workbook whose first sheet has the rows, by number; the other sheets are empty."""
    row_texts = (
        f'<row r="{number}">{_cells(number, cells, first_column)}</row>'
        for number, cells in rows.items()
    )
    return a_workbook_of_xml("".join(row_texts), sheets=sheets)


def a_workbook_of_xml(sheet_data: str, *, sheets: Sequence[str] = ("Data",)) -> bytes:
    """Return a workbook whose first sheet has the given XML of rows."""
    numbers = range(1, len(sheets) + 1)
    sheet_list = "".join(
        f'<sheet name="{escape(name)}" sheetId="{number}" r:id="rId{number}"/>'
        for number, name in zip(numbers, sheets, strict=True)
    )
    targets = [(f"rId{number}", "worksheet", f"worksheets/sheet{number}.xml") for number in numbers]
    formats = "".join(f'<xf numFmtId="{number}"/>' for number in _NUMBER_FORMATS.values())
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"/>',
        "_rels/.rels": _relationships([("rId1", "officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": (
            f'<workbook {_SHEET} xmlns:r="{_OFFICE}"><sheets>{sheet_list}</sheets></workbook>'
        ),
        "xl/_rels/workbook.xml.rels": _relationships([*targets, ("rIdS", "styles", "styles.xml")]),
        "xl/styles.xml": f"<styleSheet {_SHEET}><cellXfs>{formats}</cellXfs></styleSheet>",
    }
    for number in numbers:
        content = sheet_data if number == 1 else ""
        parts[f"xl/worksheets/sheet{number}.xml"] = (
            f"<worksheet {_SHEET}><sheetData>{content}</sheetData></worksheet>"
        )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return file.getvalue()


def _relationships(targets: Sequence[tuple[str, str, str]]) -> str:
    entries = (
        f'<Relationship Id="{key}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for key, kind, target in targets
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{"".join(entries)}</Relationships>'


def _cells(row: int, cells: Sequence[Cell], first_column: str) -> str:
    first = ord(first_column)
    return "".join(
        _cell(f"{chr(first + position)}{row}", cell)
        for position, cell in enumerate(cells)
        if cell is not None
    )


def _cell(place: str, cell: Cell) -> str:
    match cell:
        case Styled(number, style):
            number_format = [*_NUMBER_FORMATS].index(style)
            return f'<c r="{place}" s="{number_format}"><v>{number!r}</v></c>'
        case bool():
            return f'<c r="{place}" t="b"><v>{int(cell)}</v></c>'
        case str() if cell.startswith("#"):
            return f'<c r="{place}" t="e"><v>{cell}</v></c>'
        case str():
            return f'<c r="{place}" t="inlineStr"><is><t>{escape(cell)}</t></is></c>'
    return f'<c r="{place}"><v>{cell!r}</v></c>'
