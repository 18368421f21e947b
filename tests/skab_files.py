"""The paths of the SKAB files: public data (Skoltech Anomaly Benchmark) outside the repository."""

import os
from pathlib import Path

import pytest

DATA_VARIABLE = "SENSORWATCH_TEST_DATA"
SKAB_FOLDER = (
    Path(os.environ.get(DATA_VARIABLE) or Path(__file__).parents[2] / "shared" / "data") / "skab"
)
ANOMALY_FREE_FILE = SKAB_FOLDER / "anomaly-free" / "anomaly-free.csv"
VALVE_FILE = SKAB_FOLDER / "valve1" / "0.csv"
SIGNALS = [
    "Accelerometer1RMS",
    "Accelerometer2RMS",
    "Current",
    "Pressure",
    "Temperature",
    "Thermocouple",
    "Voltage",
    "Volume Flow RateRMS",
]


def skab_missing() -> str | None:
    """Return the reason why the SKAB files cannot be used; None if they can be used."""
    return (
        None
        if SKAB_FOLDER.is_dir()
        else f"no SKAB files in {SKAB_FOLDER}: set {DATA_VARIABLE} to the parent folder"
    )


needs_skab = pytest.mark.skipif(skab_missing() is not None, reason=str(skab_missing()))
