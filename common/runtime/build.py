"""Returns the version of the installed package."""

from importlib.metadata import PackageNotFoundError, version


def project_version() -> str:
    """Return the installed version; "0+unknown" if the package is not installed."""
    try:
        return version("sensorwatch")
    except PackageNotFoundError:
        return "0+unknown"
