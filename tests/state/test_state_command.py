import pytest

from sensorwatch.commands.state_command import app
from sensorwatch.common.runtime.command_line import run
from sensorwatch.demo.embedded_broker import EmbeddedBroker


@pytest.mark.embedded
@pytest.mark.parametrize("command", ["show", "reset"])
def test_a_group_without_an_account_is_an_error(
    embedded_broker: EmbeddedBroker,
    command: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for topic in ("sensors", "nosuch.state"):
        embedded_broker.create_topic(topic)
    monkeypatch.setenv("SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS", embedded_broker.address)
    monkeypatch.setenv("SENSORWATCH__CONSUMER__DELIVERY", "at_least_once")

    code = run(app, [command, "--group", "nosuch"])

    assert code == 2
    assert 'the group "nosuch" has no account of the topic "sensors"' in capsys.readouterr().err
