from pathlib import Path

import pytest

from common.errors import SchemaError
from common.rows.schema import Schema, load_schema, schema_of
from tests.builders import DEFAULT_SCHEMA

MINIMAL = 'signals = [{name = "x1"}]'


def loaded(tmp_path: Path, text: str) -> Schema:
    path = tmp_path / "schema.toml"
    path.write_text(text)
    return load_schema(path)


def test_the_default_schema_has_the_signals_and_key_that_users_send() -> None:
    schema = load_schema(DEFAULT_SCHEMA)

    assert schema.signal_names == ("x1", "x2", "x3")
    assert schema.key is not None
    assert schema.key.optional


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", '"signals" is missing'),
        ('nam = "x"\n' + MINIMAL, 'unknown key "nam" (did you mean "name"?)'),
        ('signals = [{name = "x1", maximum = 3}]', 'unknown key "signals.0.maximum"'),
        ('signals = [{name = "x1"}, {name = "x1"}]', "repeated: x1"),
        ('signals = [{name = "x1"}, {name = "y", field = "x1"}]', "read only once, repeated: x1"),
        (
            'signals = [{name = "a", field = "p"}, {name = "b", field = "p.q"}]',
            'field "p" cannot hold a value and "p.q" too',
        ),
        ('signals = [{name = "x1", min = 2.0, max = 1.0}]', "min 2.0 is above max 1.0"),
        ('signals = [{name = "x1", min = nan}]', "finite"),
        ('time = {naive_zone = "Mars"}\n' + MINIMAL, "not an IANA time zone"),
        ('time = {format = "iso"}\n' + MINIMAL, "or a strptime pattern"),
        ('unknown_fields = "drop"\n' + MINIMAL, "'ignore' or 'reject'"),
        ('csv = {delimiter = ";;"}\n' + MINIMAL, "at most 1 character"),
        ("signals = []", "at least 1 item"),
        ("name = ", "cannot be read as a schema"),
    ],
)
def test_a_wrong_schema_is_refused_with_what_is_wrong(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(SchemaError) as error:
        loaded(tmp_path, text)

    assert message in str(error.value)
    assert "schema.toml" in str(error.value)


def test_a_missing_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="sensorwatch schema infer"):
        load_schema(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "same",
    [
        'name = "other"\n' + MINIMAL,
        'signals = [{name = "x1", unit = "bar"}]',
        'signals = [{name = "x1", field = "x1", missing = "reject"}]',
        'csv = {delimiter = ";"}\n' + MINIMAL,
    ],
)
def test_name_unit_and_csv_format_do_not_change_the_fingerprint(tmp_path: Path, same: str) -> None:
    assert loaded(tmp_path, same).fingerprint == loaded(tmp_path, MINIMAL).fingerprint


@pytest.mark.parametrize(
    "other",
    [
        'signals = [{name = "x2"}]',
        'signals = [{name = "x1", field = "p.x1"}]',
        'signals = [{name = "x1", max = 5.0}]',
        'signals = [{name = "x1"}, {name = "x2"}]',
        'unknown_fields = "reject"\n' + MINIMAL,
        'time = {field = "t"}\n' + MINIMAL,
        'time = {naive_zone = "UTC"}\n' + MINIMAL,
        "time = {max_future_seconds = 5.0}\n" + MINIMAL,
        'key = {field = "id"}\n' + MINIMAL,
        'key = {field = "id", optional = true}\n' + MINIMAL,
    ],
)
def test_whatever_changes_a_rows_meaning_changes_the_fingerprint(
    tmp_path: Path, other: str
) -> None:
    assert loaded(tmp_path, other).fingerprint != loaded(tmp_path, MINIMAL).fingerprint


def test_the_plain_form_gives_the_same_schema_back() -> None:
    schema = load_schema(DEFAULT_SCHEMA)

    again = schema_of(schema.to_plain())

    assert again.fingerprint == schema.fingerprint
    assert again.to_plain() == schema.to_plain()
