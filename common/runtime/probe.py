"""Health check of a container: `python -m sensorwatch.common.runtime.probe URL`."""

import sys
from urllib.error import URLError
from urllib.request import urlopen

TIMEOUT_SECONDS = 4


def probe(url: str) -> int:
    """Return 0 if `url` answers with status 200 within four seconds, else 1."""
    if not url.startswith("http://"):
        return 1
    try:
        with urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - only http
            return 0 if answer.status == 200 else 1
    except (URLError, OSError):
        return 1


if __name__ == "__main__":
    sys.exit(probe(sys.argv[1] if len(sys.argv) == 2 else ""))
