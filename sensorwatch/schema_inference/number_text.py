"""Numbers as texts for people and for TOML."""


def number_text(value: float) -> str:
    """Return a number with all of its digits, without digits that binary fractions add.

    >>> number_text(1013255.37), number_text(20.0)
    ('1013255.37', '20')
    """
    return f"{value:.15g}"
