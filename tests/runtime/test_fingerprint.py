"""The fingerprint names what decides a score's last bit."""

import platform

import pytest

from sensorwatch.common.runtime.fingerprint import fingerprint


@pytest.mark.parametrize(
    ("function", "answer"),
    [("python_version", "3.99.0"), ("machine", "sparc"), ("libc_ver", ("glibc", "2.99"))],
)
def test_another_machine_has_another_fingerprint(
    monkeypatch: pytest.MonkeyPatch, function: str, answer: object
) -> None:
    """Also where only the C library is another: the logarithm is its."""
    ours = fingerprint.__wrapped__()

    monkeypatch.setattr(platform, function, lambda: answer)

    assert fingerprint.__wrapped__() != ours
