"""The configuration: precedence, conversion, messages, secrets."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.errors import SettingsError
from sensorwatch.common.rows.schema import load_schema
from sensorwatch.common.runtime.settings import (
    HIDDEN,
    PACKAGED_SCHEMA,
    Delivery,
    LoadedSettings,
    Settings,
    flat_values,
    known_keys,
    load_settings,
    redacted,
    schema_file,
)

# The issue's own example, word for word: its names and defaults are promised.
PROMISED = """
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


def load(toml: str = "", *, folder: Path, **options: Any) -> LoadedSettings:
    """Load a file of this content and nothing from the real environment."""
    path = folder / "given.toml"
    path.write_text(toml, encoding="utf-8")
    return load_settings(path, **{"environ": {}, **options})


def test_the_promised_file_is_what_holds_without_any_file(tmp_path: Path) -> None:
    assert load(PROMISED, folder=tmp_path).settings == load(folder=tmp_path).settings
    defaults = flat_values(load(folder=tmp_path).settings)
    assert all(defaults[key] == value for key, value in leaves(tomllib.loads(PROMISED)))


def leaves(table: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Flatten nested tables to dotted keys."""
    actual = []
    for key, value in table.items():
        inner = leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else None
        actual += inner if inner is not None else [(prefix + key, value)]
    return actual


def test_each_source_overrides_the_one_before_and_is_named(tmp_path: Path) -> None:
    toml = "[consumer]\nmax_rows = 2\nmax_wait_ms = 2\nworkers = 2"
    environ = {"SENSORWATCH__CONSUMER__MAX_WAIT_MS": "3", "SENSORWATCH__CONSUMER__WORKERS": "3"}

    loaded = load(toml, folder=tmp_path, environ=environ, overrides={"consumer.workers": 4})

    consumer = loaded.settings.consumer
    assert (consumer.max_rows, consumer.max_wait_ms, consumer.workers) == (2, 3, 4)
    assert loaded.origins["consumer.group"] == "default"
    assert loaded.origins["consumer.max_rows"] == f"file {tmp_path / 'given.toml'}"
    assert loaded.origins["consumer.max_wait_ms"] == (
        "environment SENSORWATCH__CONSUMER__MAX_WAIT_MS"
    )
    assert loaded.origins["consumer.workers"] == "command line"
    assert set(loaded.origins) == set(flat_values(loaded.settings))


def test_the_working_folders_file_is_read_when_none_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(environ={}).settings == Settings()

    Path("sensorwatch.toml").write_text("[api]\nport = 1234", encoding="utf-8")

    loaded = load_settings(environ={})
    assert (loaded.settings.api.port, loaded.origins["api.port"]) == (1234, "file sensorwatch.toml")


def test_an_override_of_none_is_not_given(tmp_path: Path) -> None:
    loaded = load("[api]\nport = 1234", folder=tmp_path, overrides={"api.port": None})

    assert loaded.settings.api.port == 1234


@pytest.mark.parametrize(
    "toml",
    ['[kafka]\n"client.id" = "me"', '[kafka]\nclient.id = "me"', '[kafka.client]\nid = "me"'],
)
def test_kafka_keys_may_be_quoted_or_dotted_and_leave_the_default_address(
    toml: str, tmp_path: Path
) -> None:
    kafka = load(toml, folder=tmp_path).settings.kafka

    assert kafka == {"bootstrap.servers": "localhost:9092", "client.id": "me"}


def test_underscores_are_dots_in_the_environments_kafka_keys(tmp_path: Path) -> None:
    environ = {"SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS": "broker:1"}

    settings = load(folder=tmp_path, environ=environ).settings

    assert settings.kafka == {"bootstrap.servers": "broker:1"}


def test_a_secret_comes_from_a_file_without_its_line_break(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2\n", encoding="utf-8")

    loaded = load(folder=tmp_path, environ={"SENSORWATCH__KAFKA__SASL_PASSWORD_FILE": str(secret)})

    assert loaded.settings.kafka["sasl.password"] == "hunter2"
    assert loaded.origins["kafka.sasl.password"].endswith("SASL_PASSWORD_FILE")


def test_a_key_that_itself_ends_in_file_takes_the_path(tmp_path: Path) -> None:
    environ = {
        "SENSORWATCH__API__API_KEY_FILE": "/run/key",
        "SENSORWATCH__KAFKA__SASL_OAUTHBEARER_ASSERTION_FILE": "/run/assertion",
    }

    settings = load(folder=tmp_path, environ=environ).settings

    assert settings.api.api_key_file == "/run/key"
    assert settings.kafka["sasl.oauthbearer.assertion.file"] == "/run/assertion"


def test_the_bounds_themselves_are_allowed(tmp_path: Path) -> None:
    toml = "[consumer]\nmax_wait_ms = 200\n[consumer.breaker]\nmin_rows = 9000"

    consumer = load(toml, folder=tmp_path).settings.consumer

    assert (consumer.max_wait_ms, consumer.breaker.min_rows) == (200, 9_000)


@pytest.mark.parametrize(
    ("toml", "environ", "said"),
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
        ("[topics]\nreadings = 'anomalies'", {}, "five different topics"),
        ("[topics]\nstate = 'sensors'", {}, "five different topics"),
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
def test_what_is_wrong_is_named(
    toml: str, environ: dict[str, str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(toml, folder=tmp_path, environ=environ)

    assert said in str(caught.value)


def test_a_value_set_directly_and_from_a_file_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("a", encoding="utf-8")
    environ = {
        "SENSORWATCH__KAFKA__SASL_PASSWORD": "b",
        "SENSORWATCH__KAFKA__SASL_PASSWORD_FILE": str(secret),
    }

    with pytest.raises(SettingsError, match=r"kafka\.sasl\.password is set twice"):
        load(folder=tmp_path, environ=environ)


def test_a_given_file_that_is_missing_is_refused(tmp_path: Path) -> None:
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
def test_secrets_are_hidden_and_their_endpoints_and_paths_are_not(key: str, tmp_path: Path) -> None:
    open_keys = {
        "kafka.ssl.key.location": "/run/key.pem",
        "kafka.sasl.oauthbearer.token.endpoint.url": "https://id.example",
        "api.api_key_file": "/run/key",
    }

    shown = redacted(load(folder=tmp_path, overrides={f"kafka.{key}": "geheim", **open_keys}))

    assert shown[f"kafka.{key}"] == HIDDEN
    assert {name: shown[name] for name in open_keys} == open_keys
    assert "geheim" not in str(shown)


def test_no_message_shows_a_secret(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load('[kafka]\n"sasl.password" = ["geheim"]', folder=tmp_path)

    assert "kafka.sasl.password" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_the_ledgers_topic_follows_the_group_unless_it_is_named(tmp_path: Path) -> None:
    assert load("[consumer]\ngroup = 'g'", folder=tmp_path).settings.ledger_topic == "g.ledger"
    assert load("[topics]\nledger = 'l'", folder=tmp_path).settings.ledger_topic == "l"
    assert load("[consumer]\ngroup = 'g'", folder=tmp_path).settings.state_topic == "g.state"
    assert load("[topics]\nstate = 's'", folder=tmp_path).settings.state_topic == "s"


VALUES: dict[str, st.SearchStrategy[object]] = {
    "consumer.max_rows": st.integers(1, 1_000_000),
    "consumer.delivery": st.sampled_from([str(delivery) for delivery in Delivery]),
    "consumer.emit": st.sampled_from(["rows", "episodes"]),
    "consumer.commit_deadline_seconds": st.floats(0.001, 86_400),
    "consumer.breaker.max_rejected_ratio": st.floats(0.001, 1),
    "trainer.seed": st.integers(0, 2**32 - 1),
    "registry.path": st.sampled_from(["registry", "/srv/models", "a b/c"]),
    "api.host": st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
}


@given(st.fixed_dictionaries({}, optional=VALUES))
def test_the_environment_and_the_command_line_mean_the_same(values: dict[str, object]) -> None:
    environ = {
        "SENSORWATCH__" + key.upper().replace(".", "__"): str(value)
        for key, value in values.items()
    }

    by_environment = load_settings(environ=environ).settings
    by_command_line = load_settings(environ={}, overrides=values).settings

    assert by_environment == by_command_line
    shown = flat_values(by_environment)
    assert {key: shown[key] for key in values} == values


def test_every_key_has_a_type_and_a_default() -> None:
    assert {*known_keys(), "kafka.bootstrap.servers"} == set(flat_values(Settings()))


def test_the_packaged_schema_replaces_a_missing_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert schema_file(load_settings(environ={}).settings) == PACKAGED_SCHEMA
    assert load_schema(PACKAGED_SCHEMA).name == "default"

    named = load_settings(environ={}, overrides={"schema.path": Path("mine.toml")}).settings
    assert schema_file(named) == Path("mine.toml")

    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "default.toml").write_text("")
    assert schema_file(load_settings(environ={}).settings) == Path("schemas/default.toml")
