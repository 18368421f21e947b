"""Schemas: reading them from a file, their fingerprints and their form in a manifest."""

import json
from pathlib import Path

import pytest

from sensorwatch.common.errors import SchemaError
from sensorwatch.common.rows.field_declarations import MissingPolicy
from sensorwatch.common.rows.record_declarations import OutOfOrderPolicy, RowOrder
from sensorwatch.common.rows.schema import Schema, load_schema, schema_from_plain
from tests.reading_builders import DEFAULT_SCHEMA

PUMP_SCHEMA = DEFAULT_SCHEMA.with_name("pump.toml")
MINIMAL_SCHEMA = 'signals = [{name = "x1"}]'


def load_text(tmp_path: Path, text: str) -> Schema:
    path = tmp_path / "schema.toml"
    path.write_text(text)
    return load_schema(path)


def test_the_default_schema_has_three_signals_and_an_optional_key() -> None:
    schema = load_schema(DEFAULT_SCHEMA)

    assert schema.signal_names == ("x1", "x2", "x3")
    assert schema.key is not None
    assert schema.key.optional


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", '"signals" is missing'),
        ('nam = "x"\n' + MINIMAL_SCHEMA, 'unknown key "nam" (did you mean "name"?)'),
        ('signals = [{name = "x1", maximum = 3}]', 'unknown key "signals.0.maximum"'),
        ('signals = [{name = "x1"}, {name = "x1"}]', "repeated: x1"),
        ('signals = [{name = "x1"}, {name = "y", field = "x1"}]', "read only once, repeated: x1"),
        (
            'signals = [{name = "a", field = "p"}, {name = "b", field = "p.q"}]',
            'field "p" cannot contain both a value and "p.q"',
        ),
        ('signals = [{name = "x1", min = 2.0, max = 1.0}]', "min 2.0 is above max 1.0"),
        ('signals = [{name = "x1", min = nan}]', "finite"),
        ('time = {naive_zone = "Mars"}\n' + MINIMAL_SCHEMA, "not an IANA time zone"),
        ('time = {format = "iso"}\n' + MINIMAL_SCHEMA, "or a strptime pattern"),
        ('time = {format = ["rfc3339", "iso"]}\n' + MINIMAL_SCHEMA, "or a strptime pattern"),
        ("time = {field = []}\n" + MINIMAL_SCHEMA, "at least 1 item"),
        ('time = {fold = "last"}\n' + MINIMAL_SCHEMA, "'first', 'second', 'infer' or 'reject'"),
        ('signals = [{name = "x1", words = {ON = 1, on = 0}}]', "differ only in upper and lower"),
        ('signals = [{name = "x1", numbers = "unit"}]', "needs the unit"),
        ('defaults = {missin = "hold_last"}\n' + MINIMAL_SCHEMA, 'did you mean "defaults.missing"'),
        ('csv = {decimal = "x"}\n' + MINIMAL_SCHEMA, "decimal 'x' is not"),
        ('csv = {thousands = "."}\n' + MINIMAL_SCHEMA, "would be part of the number"),
        ('csv = {encoding = "utf-99"}\n' + MINIMAL_SCHEMA, "not an encoding"),
        ('csv = {names = ["a", "a"]}\n' + MINIMAL_SCHEMA, "names must be distinct"),
        ('unknown_fields = "drop"\n' + MINIMAL_SCHEMA, "'ignore' or 'reject'"),
        ('csv = {delimiter = ";;"}\n' + MINIMAL_SCHEMA, "at most 1 character"),
        ("signals = []", "at least 1 item"),
        (MINIMAL_SCHEMA + '\ncontext = [{name = "x1"}]', "context must be distinct, repeated: x1"),
        (MINIMAL_SCHEMA + '\ncontext = [{name = "c", field = "x1"}]', "only once, repeated: x1"),
        (MINIMAL_SCHEMA + '\ncontext = [{nam = "c"}]', 'unknown key "context.0.nam"'),
        ('signals = [{name = "x1", missing = "fill"}]', "'reject' or 'hold_last'"),
        ('order = {late = "drop"}\n' + MINIMAL_SCHEMA, "'score' or 'reject'"),
        ('order = {duplicates = "score"}\n' + MINIMAL_SCHEMA, 'did you mean "order.duplicate"?'),
        ("order = {max_gap_seconds = 0}\n" + MINIMAL_SCHEMA, "greater than 0"),
        ("order = {max_gap_seconds = inf}\n" + MINIMAL_SCHEMA, "finite"),
        ("order = {max_gap_seconds = 1e13}\n" + MINIMAL_SCHEMA, "less than or equal to"),
        ("name = ", "cannot be read as a schema"),
    ],
)
def test_an_invalid_schema_is_refused_with_a_message_that_names_the_error(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(SchemaError) as error:
        load_text(tmp_path, text)

    assert message in str(error.value)
    assert "schema.toml" in str(error.value)


def test_the_defaults_apply_to_each_column_that_does_not_declare_its_own(tmp_path: Path) -> None:
    schema = load_text(
        tmp_path,
        """
        signals = [{name = "a"}, {name = "b", missing = "reject", missing_values = []}]
        context = [{name = "c"}]
        defaults = {missing = "hold_last", missing_values = [-200, "NA"], words = {ON = 1}}
        """,
    )

    a, b, c = schema.columns
    assert a.missing is c.missing is MissingPolicy.HOLD_LAST
    assert a.missing_values == c.missing_values == (-200.0, "NA")
    assert (b.missing, b.missing_values, b.words) == (MissingPolicy.REJECT, (), (("on", 1.0),))
    restored_schema = schema_from_plain(json.loads(json.dumps(schema.to_plain())))
    assert restored_schema.columns == schema_from_plain(schema.to_plain()).columns
    assert restored_schema.fingerprint == schema.fingerprint


def test_a_missing_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="sensorwatch schema infer"):
        load_schema(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "changed_text",
    [
        'name = "other"\n' + MINIMAL_SCHEMA,
        'signals = [{name = "x1", unit = "bar"}]',
        'signals = [{name = "x1", field = "x1", missing = "reject"}]',
        'csv = {delimiter = ";"}\n' + MINIMAL_SCHEMA,
        "context = []\n" + MINIMAL_SCHEMA,
        'order = {late = "score", duplicate = "score"}\n' + MINIMAL_SCHEMA,
    ],
)
def test_name_unit_and_csv_format_do_not_change_the_fingerprint(
    tmp_path: Path, changed_text: str
) -> None:
    assert (
        load_text(tmp_path, changed_text).fingerprint
        == load_text(tmp_path, MINIMAL_SCHEMA).fingerprint
    )


@pytest.mark.parametrize(
    "changed_text",
    [
        'signals = [{name = "x2"}]',
        'signals = [{name = "x1", field = "p.x1"}]',
        'signals = [{name = "x1", max = 5.0}]',
        'signals = [{name = "x1"}, {name = "x2"}]',
        'unknown_fields = "reject"\n' + MINIMAL_SCHEMA,
        'time = {field = "t"}\n' + MINIMAL_SCHEMA,
        'time = {naive_zone = "UTC"}\n' + MINIMAL_SCHEMA,
        "time = {max_future_seconds = 5.0}\n" + MINIMAL_SCHEMA,
        'key = {field = "id"}\n' + MINIMAL_SCHEMA,
        'key = {field = "id", optional = true}\n' + MINIMAL_SCHEMA,
        'signals = [{name = "x1", missing = "hold_last"}]',
        'context = [{name = "c"}]\n' + MINIMAL_SCHEMA,
        'order = {late = "reject"}\n' + MINIMAL_SCHEMA,
        'order = {duplicate = "reject"}\n' + MINIMAL_SCHEMA,
        "order = {max_gap_seconds = 60}\n" + MINIMAL_SCHEMA,
    ],
)
def test_every_change_of_the_meaning_of_rows_changes_the_fingerprint(
    tmp_path: Path, changed_text: str
) -> None:
    assert (
        load_text(tmp_path, changed_text).fingerprint
        != load_text(tmp_path, MINIMAL_SCHEMA).fingerprint
    )


def test_context_changes_the_fingerprint_but_its_units_do_not(tmp_path: Path) -> None:
    def fingerprint(column: str) -> str:
        return load_text(
            tmp_path, f'context = [{{name = "c"{column}}}]\n' + MINIMAL_SCHEMA
        ).fingerprint

    assert fingerprint(', unit = "bar"') == fingerprint("")
    assert fingerprint(", max = 1.0") != fingerprint("")


def test_a_schema_without_newer_settings_has_the_fingerprint_of_stored_models() -> None:
    assert load_schema(DEFAULT_SCHEMA).fingerprint == "121258f7602f93b6"
    assert schema_from_plain({"signals": [{"name": "x1"}]}).fingerprint == "eb9b2df4d02b36ae"


def test_the_schema_of_an_older_stored_model_can_be_read() -> None:
    schema = load_schema(DEFAULT_SCHEMA)
    plain_form = schema.to_plain()
    del plain_form["context"], plain_form["order"]

    assert schema_from_plain(plain_form).to_plain() == schema.to_plain()


@pytest.mark.parametrize("path", [DEFAULT_SCHEMA, PUMP_SCHEMA])
def test_a_schema_is_restored_from_its_plain_form(path: Path) -> None:
    schema = load_schema(path)

    restored_schema = schema_from_plain(json.loads(json.dumps(schema.to_plain())))

    assert restored_schema.fingerprint == schema.fingerprint
    assert restored_schema.to_plain() == schema.to_plain()


def test_the_paths_of_a_schema_are_time_key_signals_and_context() -> None:
    schema = load_schema(PUMP_SCHEMA)

    assert schema.signal_names == ("pressure", "flow", "oil_temperature")
    assert [column.name for column in schema.context] == ["speed_set_point", "valve_command"]
    assert schema.paths == [
        *("at", "pump.id", "pump.pressure", "pump.flow", "pump.oil.temperature"),
        *("control.speed", "control.valve"),
    ]
    assert schema.order == RowOrder(duplicate=OutOfOrderPolicy.REJECT, max_gap_seconds=120.0)
