"""A plain training script with pandas and scikit-learn, as in a tutorial.

`python -m benchmarks.speed.tutorial_training CSV MODEL` fits on the older 70 % of the rows. The
scores of the newer rows give a threshold. Timestamps are parsed because features use them.
"""

import sys

import joblib
import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest


def main(data: str, model: str) -> None:
    """Fit a forest, compute its threshold on the newer rows, and write both."""
    table = pd.read_csv(data, parse_dates=["timestamp"])
    times = table["timestamp"].dt
    signals = table.drop(columns=["timestamp", "sensor_id"])
    features = signals.assign(hour=times.hour, dayofweek=times.day_of_week)
    matrix = features.to_numpy(np.float64)
    cut = int(len(matrix) * 0.7)
    forest = IsolationForest(n_estimators=100, max_samples=256, random_state=0).fit(matrix[:cut])
    threshold = np.quantile(-forest.score_samples(matrix[cut:]), 0.995)
    joblib.dump((forest, threshold), model)


if __name__ == "__main__":
    main(*sys.argv[1:])
