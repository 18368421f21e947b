"""The aliases of one model name: which version serves, and which one did before."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.registry.durable_files import replace

CHAMPION = "champion"
PREVIOUS = "previous"

ALIASES_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Aliases:
    """Where the aliases point; None: nowhere."""

    champion: str | None = None
    previous: str | None = None
    changed: datetime | None = None
    """When they were last written: so that writing them again can be noticed."""

    def to_plain(self) -> dict[str, str]:
        """Return the version of each alias that points somewhere."""
        by_alias = {CHAMPION: self.champion, PREVIOUS: self.previous}
        return {alias: version for alias, version in by_alias.items() if version is not None}


class _AliasesFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Annotated[int, Field(ge=1, le=ALIASES_FORMAT)]
    champion: str | None
    previous: str | None
    changed: AwareDatetime | None


def read_aliases(path: Path) -> Aliases:
    """Read the file; where there is none, no alias points anywhere.

    Raises ModelRefused where it cannot be read.
    """
    try:
        file = _AliasesFile.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Aliases()
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its content is none of ours"
        raise ModelRefused(
            f"the aliases {path} cannot be read: {reason}; `sensorwatch models promote` writes "
            "them anew"
        ) from error
    return Aliases(file.champion, file.previous, file.changed)


def write_aliases(path: Path, aliases: Aliases) -> None:
    """Move all aliases at once: a reader sees the old ones or the new ones."""
    plain = {
        "format": ALIASES_FORMAT,
        CHAMPION: aliases.champion,
        PREVIOUS: aliases.previous,
        "changed": aliases.changed.isoformat() if aliases.changed else None,
    }
    replace(path, json.dumps(plain, indent=2).encode() + b"\n")
