"""The version of the running build."""

from importlib.metadata import PackageNotFoundError, version


def project_version() -> str:
    """Return the installed version; "0+unknown" in a bare checkout."""
    try:
        return version("sensorwatch")
    except PackageNotFoundError:
        return "0+unknown"
