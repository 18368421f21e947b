"""A drawing that is written as SVG text."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape

TEXT_COLOUR, MUTED_COLOUR, GRID_COLOUR, BACKGROUND_COLOUR, PAPER_COLOUR = (
    "#1f2933",
    "#7b8794",
    "#e4e7eb",
    "#f4f6f8",
    "#ffffff",
)
OUR_COLOUR, PLAIN_COLOUR, PUBLISHED_COLOUR, TRIVIAL_COLOUR = (
    "#0b7285",
    "#4c6ef5",
    "#9775fa",
    "#adb5bd",
)
FAULT_COLOUR, TARGET_COLOUR = "#ffd8a8", "#d3f9d8"
FONT_ATTRIBUTE = "font-family='system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif'"


@dataclass(slots=True)
class Drawing:
    """Shapes and texts on white paper; coordinates are pixels from the upper left corner."""

    width: float
    height: float
    title: str
    elements: list[str] = field(default_factory=list)

    def rect(
        self, x: float, y: float, width: float, height: float, fill: str, *, radius: float = 0
    ) -> None:
        """Fill a rectangle."""
        attributes = f"x='{x:.1f}' y='{y:.1f}' width='{max(width, 0):.1f}' height='{height:.1f}'"
        self.elements.append(f"<rect {attributes} rx='{radius:g}' fill='{fill}'/>")

    def line(
        self,
        x1: float,
        y1: float,
        x2: float,
        y2: float,
        stroke: str = GRID_COLOUR,
        *,
        dashes: str = "",
    ) -> None:
        """Draw a thin line."""
        coordinates = f"x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}'"
        style = f" stroke-dasharray='{dashes}'" if dashes else ""
        self.elements.append(f"<line {coordinates} stroke='{stroke}'{style}/>")

    def path(self, points: Iterable[tuple[float, float]], stroke: str, *, width: float = 1) -> None:
        """Draw a line through points."""
        style = f"fill='none' stroke='{stroke}' stroke-width='{width:g}' stroke-linejoin='round'"
        self.elements.append(f"<polyline points='{_points_text(points)}' {style}/>")

    def area(self, points: Iterable[tuple[float, float]], fill: str) -> None:
        """Fill the polygon with corners at `points`."""
        self.elements.append(f"<polygon points='{_points_text(points)}' fill='{fill}'/>")

    def dot(
        self, x: float, y: float, colour: str, *, hollow: bool = False, radius: float = 5
    ) -> None:
        """Draw a circle."""
        fill = PAPER_COLOUR if hollow else colour
        attributes = f"cx='{x:.1f}' cy='{y:.1f}' r='{radius:g}'"
        self.elements.append(
            f"<circle {attributes} fill='{fill}' stroke='{colour}' stroke-width='2'/>"
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 12,
        colour: str = TEXT_COLOUR,
        anchor: str = "start",
        bold: bool = False,
    ) -> None:
        """Write a line of text with its baseline at height `y`."""
        weight = " font-weight='600'" if bold else ""
        style = f"font-size='{size:g}' fill='{colour}' text-anchor='{anchor}'{weight}"
        self.elements.append(f"<text x='{x:.1f}' y='{y:.1f}' {style}>{escape(text)}</text>")

    def to_text(self) -> str:
        """Return the drawing as SVG text."""
        box = f"viewBox='0 0 {self.width:g} {self.height:g}'"
        size = f"{box} width='{self.width:g}' height='{self.height:g}'"
        start_tag = f"<svg xmlns='http://www.w3.org/2000/svg' {size} role='img' {FONT_ATTRIBUTE}>"
        paper = f"<rect width='100%' height='100%' fill='{PAPER_COLOUR}'/>"
        title = f"<title>{escape(self.title)}</title>"
        return "\n".join([start_tag, title, paper, *self.elements, "</svg>"]) + "\n"


def _points_text(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
