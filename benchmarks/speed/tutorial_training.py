"""A simple training script with pandas and scikit-learn, as in a tutorial.

`python -m benchmarks.speed.tutorial_training CSV MODEL` fits a forest on the older 70 % of the
rows. The threshold is a quantile of the scores of the newer rows. Timestamps are parsed because
two features, hour and day of week, need the time.
"""

import sys

import joblib
import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest


def main(data: str, model: str) -> None:
    """Fit a forest, compute a threshold from the newer rows, and write both to `model`."""
    table = pd.read_csv(data, parse_dates=["timestamp"])
    times = table["timestamp"].dt
    signals = table.drop(columns=["timestamp", "sensor_id"])
    features = signals.assign(hour=times.hour, dayofweek=times.day_of_week)
    matrix = features.to_numpy(np.float64)
    first_newer_row = int(len(matrix) * 0.7)
    forest = IsolationForest(n_estimators=100, max_samples=256, random_state=0).fit(
        matrix[:first_newer_row]
    )
    threshold = np.quantile(-forest.score_samples(matrix[first_newer_row:]), 0.995)
    joblib.dump((forest, threshold), model)


if __name__ == "__main__":
    main(*sys.argv[1:])
