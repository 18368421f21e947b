"""`python -m sensorwatch.common.runtime.probe URL`: exit 0 if it answers 200 (a container's health check)."""

import sys
from urllib.error import URLError
from urllib.request import urlopen

TIMEOUT_SECONDS = 4


def probe(url: str) -> int:
    """Return 0 where `url` answers with 200 within four seconds, else 1."""
    if not url.startswith("http://"):
        return 1
    try:
        with urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - http only, see above
            return 0 if answer.status == 200 else 1
    except (URLError, OSError):
        return 1


if __name__ == "__main__":
    sys.exit(probe(sys.argv[1] if len(sys.argv) == 2 else ""))
