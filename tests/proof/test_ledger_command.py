import pytest

from sensorwatch.commands.ledger_command import app
from sensorwatch.common.runtime.command_line import run
from sensorwatch.demo.embedded_broker import EmbeddedBroker


@pytest.mark.embedded
@pytest.mark.parametrize("command", ["show", "verify"])
def test_a_group_without_an_account_is_an_error(
    embedded_broker: EmbeddedBroker,
    command: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    embedded_broker.create_topic("sensors")
    monkeypatch.setenv("SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS", embedded_broker.address)

    code = run(app, [command, "--group", "nosuch"])

    assert code == 2
    assert 'the group "nosuch" has no account of the topic "sensors"' in capsys.readouterr().err
