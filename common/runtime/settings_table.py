"""The base class of all tables of the configuration."""

from pydantic import BaseModel, ConfigDict


class SettingsTable(BaseModel):
    """A table of the configuration; it is immutable, and refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
