"""The aliases of one model name: the champion and the previous version."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.registry.durable_files import replace_file

CHAMPION = "champion"
PREVIOUS = "previous"

ALIASES_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Aliases:
    """The version id of each alias; None if the alias is unset."""

    champion: str | None = None
    previous: str | None = None
    changed: datetime | None = None
    """Time of the last write, even if that write did not change an alias."""

    def to_plain(self) -> dict[str, str]:
        """Return the version of each alias; aliases that are unset are omitted."""
        by_alias = {CHAMPION: self.champion, PREVIOUS: self.previous}
        return {alias: version for alias, version in by_alias.items() if version is not None}


class _AliasesFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Annotated[int, Field(ge=1, le=ALIASES_FORMAT)]
    champion: str | None
    previous: str | None
    changed: AwareDatetime | None


def read_aliases(path: Path) -> Aliases:
    """Return the aliases in a file; all are unset if the file does not exist.

    Raises ModelRefused if the file cannot be read.
    """
    try:
        file = _AliasesFile.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Aliases()
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its content is not valid"
        raise ModelRefused(
            f"the alias file {path} cannot be read: {reason}; `sensorwatch models promote` writes "
            "it again"
        ) from error
    return Aliases(file.champion, file.previous, file.changed)


def write_aliases(path: Path, aliases: Aliases) -> None:
    """Write all aliases atomically: a reader sees either the old or the new aliases."""
    plain_aliases = {
        "format": ALIASES_FORMAT,
        CHAMPION: aliases.champion,
        PREVIOUS: aliases.previous,
        "changed": aliases.changed.isoformat() if aliases.changed else None,
    }
    replace_file(path, json.dumps(plain_aliases, indent=2).encode() + b"\n")
