"""A GET of one of our own services."""

from http.client import HTTPException
from urllib.error import URLError
from urllib.request import urlopen

_SECONDS = 1.0


def get(url: str) -> str | None:
    """Return the body of a 200, or None where there is another answer or none in a second."""
    try:
        with urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310 - an address of our own
            return str(answer.read().decode())
    except (URLError, OSError, HTTPException):
        return None
