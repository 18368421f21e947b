"""The base of all tables of a schema, and the conversion of their lists."""

from pydantic import BaseModel, BeforeValidator, ConfigDict


class SchemaModel(BaseModel):
    """A table of a schema: immutable, with no unknown key and no conversion of types."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, serialize_by_alias=True
    )

    @classmethod
    def toml_keys(cls) -> list[str]:
        """Return the keys of the table in TOML."""
        return [field.alias or name for name, field in cls.model_fields.items()]


def list_as_tuple() -> BeforeValidator:
    """Return a validator that accepts a TOML list for a tuple."""
    return BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
