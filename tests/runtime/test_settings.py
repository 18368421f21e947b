"""Tests of the configuration: precedence of sources, conversion, error messages and secrets."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.errors import SettingsError
from sensorwatch.common.rows.schema import load_schema
from sensorwatch.common.runtime.settings import (
    HIDDEN_VALUE,
    PACKAGED_SCHEMA,
    Delivery,
    LoadedSettings,
    Settings,
    flat_values,
    known_keys,
    load_settings,
    redacted_values,
    schema_file,
)

# All settings with their defaults, as documented; users may rely on these names and values.
DOCUMENTED_DEFAULTS = """
[kafka]
"bootstrap.servers" = "localhost:9092"
[topics]
readings = "sensors"
anomalies = "anomalies"
dead_letters = "sensors.dlq"
[schema]
path = "schemas/default.toml"
[registry]
path = "registry"
model = "default"
[consumer]
group = "sensorwatch"
instance = "0"
delivery = "exactly_once"
start = "earliest"
max_rows = 50000
max_wait_ms = 50
workers = 1
http_host = "127.0.0.1"
http_port = 9101
[consumer.breaker]
max_rejected_ratio = 0.5
min_rows = 1000
[api]
host = "127.0.0.1"
port = 8000
api_key_file = ""
[log]
format = "human"
level = "info"
"""


def load_text(config_text: str = "", *, folder: Path, **options: Any) -> LoadedSettings:
    """Load settings from a file with the content `config_text`, without environment variables."""
    path = folder / "settings.toml"
    path.write_text(config_text, encoding="utf-8")
    return load_settings(path, **{"environ": {}, **options})


def test_the_documented_defaults_apply_without_a_file(tmp_path: Path) -> None:
    assert (
        load_text(DOCUMENTED_DEFAULTS, folder=tmp_path).settings
        == load_text(folder=tmp_path).settings
    )
    defaults = flat_values(load_text(folder=tmp_path).settings)
    assert all(
        defaults[key] == value for key, value in dotted_values(tomllib.loads(DOCUMENTED_DEFAULTS))
    )


def dotted_values(table: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return the dotted key and the value of every setting in nested tables."""
    values = []
    for key, value in table.items():
        inner_values = dotted_values(value, f"{prefix}{key}.") if isinstance(value, dict) else None
        values += inner_values if inner_values is not None else [(prefix + key, value)]
    return values


def test_each_source_overrides_the_previous_source_and_is_recorded_as_origin(
    tmp_path: Path,
) -> None:
    config_text = "[consumer]\nmax_rows = 2\nmax_wait_ms = 2\nworkers = 2"
    environ = {"SENSORWATCH__CONSUMER__MAX_WAIT_MS": "3", "SENSORWATCH__CONSUMER__WORKERS": "3"}

    loaded_settings = load_text(
        config_text, folder=tmp_path, environ=environ, overrides={"consumer.workers": 4}
    )

    consumer = loaded_settings.settings.consumer
    assert (consumer.max_rows, consumer.max_wait_ms, consumer.workers) == (2, 3, 4)
    assert loaded_settings.origins["consumer.group"] == "default"
    assert loaded_settings.origins["consumer.max_rows"] == f"file {tmp_path / 'settings.toml'}"
    assert loaded_settings.origins["consumer.max_wait_ms"] == (
        "environment SENSORWATCH__CONSUMER__MAX_WAIT_MS"
    )
    assert loaded_settings.origins["consumer.workers"] == "command line"
    assert set(loaded_settings.origins) == set(flat_values(loaded_settings.settings))


def test_the_file_in_the_working_folder_is_read_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(environ={}).settings == Settings()

    Path("sensorwatch.toml").write_text("[api]\nport = 1234", encoding="utf-8")

    loaded_settings = load_settings(environ={})
    assert (loaded_settings.settings.api.port, loaded_settings.origins["api.port"]) == (
        1234,
        "file sensorwatch.toml",
    )


def test_an_override_of_none_has_no_effect(tmp_path: Path) -> None:
    loaded_settings = load_text("[api]\nport = 1234", folder=tmp_path, overrides={"api.port": None})

    assert loaded_settings.settings.api.port == 1234


@pytest.mark.parametrize(
    "config_text",
    ['[kafka]\n"client.id" = "me"', '[kafka]\nclient.id = "me"', '[kafka.client]\nid = "me"'],
)
def test_kafka_keys_may_be_quoted_or_dotted_and_leave_the_default_address(
    config_text: str, tmp_path: Path
) -> None:
    kafka = load_text(config_text, folder=tmp_path).settings.kafka

    assert kafka == {"bootstrap.servers": "localhost:9092", "client.id": "me"}


def test_underscores_in_environment_variables_become_dots_in_kafka_keys(tmp_path: Path) -> None:
    environ = {"SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS": "broker:1"}

    settings = load_text(folder=tmp_path, environ=environ).settings

    assert settings.kafka == {"bootstrap.servers": "broker:1"}


def test_a_secret_is_read_from_a_file_without_the_line_break(tmp_path: Path) -> None:
    secret_file = tmp_path / "password"
    secret_file.write_text("hunter2\n", encoding="utf-8")

    loaded_settings = load_text(
        folder=tmp_path, environ={"SENSORWATCH__KAFKA__SASL_PASSWORD_FILE": str(secret_file)}
    )

    assert loaded_settings.settings.kafka["sasl.password"] == "hunter2"
    assert loaded_settings.origins["kafka.sasl.password"].endswith("SASL_PASSWORD_FILE")


def test_a_key_whose_own_name_ends_in_file_gets_the_path(tmp_path: Path) -> None:
    environ = {
        "SENSORWATCH__API__API_KEY_FILE": "/run/key",
        "SENSORWATCH__KAFKA__SASL_OAUTHBEARER_ASSERTION_FILE": "/run/assertion",
    }

    settings = load_text(folder=tmp_path, environ=environ).settings

    assert settings.api.api_key_file == "/run/key"
    assert settings.kafka["sasl.oauthbearer.assertion.file"] == "/run/assertion"


def test_the_largest_allowed_values_are_accepted(tmp_path: Path) -> None:
    config_text = "[consumer]\nmax_wait_ms = 200\n[consumer.breaker]\nmin_rows = 9000"

    consumer = load_text(config_text, folder=tmp_path).settings.consumer

    assert (consumer.max_wait_ms, consumer.breaker.min_rows) == (200, 9_000)


@pytest.mark.parametrize(
    ("config_text", "environ", "message"),
    [
        ("[consumer]\nmax_row = 5", {}, '"consumer.max_row" (did you mean "consumer.max_rows"?)'),
        ("[consumers]\nmax_rows = 5", {}, 'unknown key "consumers" (did you mean "consumer"?)'),
        ("max_rows = 5", {}, 'unknown key "max_rows" (did you mean'),
        ("[consumer]\nmax_rows = '5'", {}, "consumer.max_rows: Input should be a valid integer"),
        ("[consumer]\nmax_rows = true", {}, "consumer.max_rows: Input should be a valid integer"),
        ("[consumer]\nmax_rows = 0", {}, "consumer.max_rows: Input should be greater than"),
        ("[consumer]\ndelivery = 'twice'", {}, "'exactly_once' or 'at_least_once', found 'twice'"),
        ("[consumer]\ncommit_deadline_seconds = nan", {}, "consumer.commit_deadline_seconds"),
        ("[topics]\nreadings = 'a b'", {}, "topics.readings: not a topic name"),
        ("[topics]\nreadings = 'anomalies'", {}, "different topics"),
        ("[topics]\nstate = 'sensors'", {}, "different topics"),
        ("[consumer]\ngroup = 'a b'", {}, "set [topics] ledger"),
        ("[consumer.breaker]\nmin_rows = 9001", {}, "above 9000, the records that a window of"),
        ("[consumer.breaker]\nmin_rows = 1\nwindow_rows = 9", {}, "min_rows 1 is above 0"),
        ("[consumer]\nmax_wait_ms = 201", {}, "consumer.max_wait_ms: at most 200, found 201"),
        ("[consumer]\nhttp_port = 65535\nworkers = 2", {}, "end at 65536"),
        ("[kafka]\na = [1]", {}, "kafka.a: not a text, a number, true or false, found [1]"),
        ("consumer = 3", {"SENSORWATCH__CONSUMER__MAX_ROWS": "5"}, "consumer: Input should be"),
        ("", {"SENSORWATCH__CONSUMER__MAX_ROWS": "many"}, "set by environment SENSORWATCH__"),
        ("", {"SENSORWATCH__CONSUMER__MAX_ROW": "5"}, 'did you mean "consumer.max_rows"?'),
        ("", {"SENSORWATCH__CONSUMER__GROUP_FILE": "/nowhere"}, "which cannot be read"),
        ("", {"SENSORWATCH__KAFKA": "x"}, 'unknown key "kafka"'),
        ("[", {}, "cannot be read as a configuration"),
    ],
)  # fmt: skip
def test_the_error_names_the_wrong_setting(
    config_text: str, environ: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as error_info:
        load_text(config_text, folder=tmp_path, environ=environ)

    assert message in str(error_info.value)


def test_a_value_set_directly_and_from_a_file_is_refused(tmp_path: Path) -> None:
    secret_file = tmp_path / "password"
    secret_file.write_text("a", encoding="utf-8")
    environ = {
        "SENSORWATCH__KAFKA__SASL_PASSWORD": "b",
        "SENSORWATCH__KAFKA__SASL_PASSWORD_FILE": str(secret_file),
    }

    with pytest.raises(SettingsError, match=r"kafka\.sasl\.password is set twice"):
        load_text(folder=tmp_path, environ=environ)


def test_a_missing_configuration_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no configuration file .*nope\.toml"):
        load_settings(tmp_path / "nope.toml", environ={})


@pytest.mark.parametrize(
    "key",
    [
        "sasl.password",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.keystore.password",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.config",
    ],
)
def test_secrets_are_hidden_but_their_endpoints_and_paths_are_shown(
    key: str, tmp_path: Path
) -> None:
    public_settings = {
        "kafka.ssl.key.location": "/run/key.pem",
        "kafka.sasl.oauthbearer.token.endpoint.url": "https://id.example",
        "api.api_key_file": "/run/key",
    }

    shown_values = redacted_values(
        load_text(folder=tmp_path, overrides={f"kafka.{key}": "geheim", **public_settings})
    )

    assert shown_values[f"kafka.{key}"] == HIDDEN_VALUE
    assert {name: shown_values[name] for name in public_settings} == public_settings
    assert "geheim" not in str(shown_values)


def test_an_error_message_shows_no_secret(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error_info:
        load_text('[kafka]\n"sasl.password" = ["geheim"]', folder=tmp_path)

    assert "kafka.sasl.password" in str(error_info.value)
    assert "geheim" not in str(error_info.value)


def test_ledger_and_state_topic_are_named_after_the_group_by_default(tmp_path: Path) -> None:
    assert load_text("[consumer]\ngroup = 'g'", folder=tmp_path).settings.ledger_topic == "g.ledger"
    assert load_text("[topics]\nledger = 'l'", folder=tmp_path).settings.ledger_topic == "l"
    assert load_text("[consumer]\ngroup = 'g'", folder=tmp_path).settings.state_topic == "g.state"
    assert load_text("[topics]\nstate = 's'", folder=tmp_path).settings.state_topic == "s"


VALUE_STRATEGIES: dict[str, st.SearchStrategy[object]] = {
    "consumer.max_rows": st.integers(1, 1_000_000),
    "consumer.delivery": st.sampled_from([str(delivery) for delivery in Delivery]),
    "consumer.emit": st.sampled_from(["rows", "episodes"]),
    "consumer.commit_deadline_seconds": st.floats(0.001, 86_400),
    "consumer.breaker.max_rejected_ratio": st.floats(0.001, 1),
    "trainer.seed": st.integers(0, 2**32 - 1),
    "registry.path": st.sampled_from(["registry", "/srv/models", "a b/c"]),
    "api.host": st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
}


@given(st.fixed_dictionaries({}, optional=VALUE_STRATEGIES))
def test_environment_and_command_line_give_the_same_settings(values: dict[str, object]) -> None:
    environ = {
        "SENSORWATCH__" + key.upper().replace(".", "__"): str(value)
        for key, value in values.items()
    }

    environment_settings = load_settings(environ=environ).settings
    command_line_settings = load_settings(environ={}, overrides=values).settings

    assert environment_settings == command_line_settings
    shown_values = flat_values(environment_settings)
    assert {key: shown_values[key] for key in values} == values


def test_every_known_key_has_a_default() -> None:
    assert {*known_keys(), "kafka.bootstrap.servers"} == set(flat_values(Settings()))


def test_the_packaged_schema_is_used_if_the_default_file_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert schema_file(load_settings(environ={}).settings) == PACKAGED_SCHEMA
    assert load_schema(PACKAGED_SCHEMA).name == "default"

    settings_with_path = load_settings(
        environ={}, overrides={"schema.path": Path("mine.toml")}
    ).settings
    assert schema_file(settings_with_path) == Path("mine.toml")

    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "default.toml").write_text("")
    assert schema_file(load_settings(environ={}).settings) == Path("schemas/default.toml")
