"""Only one process at a time can change a model; other processes wait a limited time."""

from pathlib import Path

import pytest

from sensorwatch.common.errors import UsageError
from sensorwatch.common.registry.model_folder import ModelFolder
from sensorwatch.common.registry.model_names import ordinal_of


def test_waiting_too_long_for_the_lock_is_an_error(tmp_path: Path) -> None:
    model_folder = ModelFolder(tmp_path, "default")

    with (
        model_folder.locked(),
        pytest.raises(UsageError, match=r"another process has locked .* for 0\.1 s"),
        model_folder.locked(0.1),
    ):
        pass


def test_the_lock_of_one_model_does_not_block_another_model(tmp_path: Path) -> None:
    with ModelFolder(tmp_path, "a").locked(), ModelFolder(tmp_path, "b").locked(0.1):
        assert (tmp_path / "b" / "versions").is_dir()


def test_a_registry_path_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "registry").write_text("")

    with (
        pytest.raises(UsageError, match="cannot be changed: Not a directory"),
        ModelFolder(tmp_path / "registry", "default").locked(),
    ):
        pass


@pytest.mark.parametrize(
    ("version", "ordinal"),
    [
        ("a-0001-12345678", 1),
        ("a-12345-abcdef01", 12345),
        ("a-001-12345678", None),
        ("a-0001-1234567", None),
        ("a-0001-1234567g", None),
        ("b-0001-12345678", None),
        ("a-b-0001-12345678", None),
        ("a-0001-12345678\n", None),
        ("../a-0001-12345678", None),
        ("", None),
    ],
)
def test_only_an_id_of_this_model_has_an_ordinal(version: str, ordinal: int | None) -> None:
    assert ordinal_of("a", version) == ordinal
