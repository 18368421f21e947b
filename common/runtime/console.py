"""Styled output for a terminal: every text is escaped here, and markup has no effect."""

from typing import Any

from rich.console import Console
from rich.text import Text

from sensorwatch.common.escaping import escape, escape_lines


class SafeConsole(Console):
    """A rich console that prints texts literally: no markup, no emoji codes, no control codes."""

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Escape a string and render it as rich does; rich calls this method for every string."""
        return super().render_str(escape_lines(text), **options)


def styled(*parts: str | tuple[str, str]) -> Text:
    """Join parts to one escaped text; a part is a text, or a pair (text, rich style)."""
    texts_with_styles = ((part, "") if isinstance(part, str) else part for part in parts)
    return Text.assemble(*((escape(text), style) for text, style in texts_with_styles))
