"""Time zones from the locked package tzdata, so that local times are the same on every machine."""

import re
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

_NAME = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", re.ASCII)


@cache
def load_zone(name: str) -> ZoneInfo:
    """Return the zone with an IANA name. Raises ValueError if there is none of this name.

    The files of the operating system are not read, because machines have different versions.
    """
    if _NAME.fullmatch(name):
        resource = files("tzdata").joinpath("zoneinfo", *name.split("/"))
        if resource.is_file():
            with resource.open("rb") as file:
                return ZoneInfo.from_file(file, key=name)
    raise ValueError('not an IANA time zone such as "UTC" or "Europe/Oslo"')
