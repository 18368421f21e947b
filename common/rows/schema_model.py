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


def one_as_tuple(one_type: type | tuple[type, ...]) -> BeforeValidator:
    """Return a validator that accepts a single value of a type for a tuple of one value."""
    return BeforeValidator(lambda value: (value,) if isinstance(value, one_type) else value)


def table_as_pairs() -> BeforeValidator:
    """Return a validator that accepts a TOML table for a tuple of pairs."""
    return BeforeValidator(lambda value: tuple(value.items()) if isinstance(value, dict) else value)
