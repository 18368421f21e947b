"""Fit the isolation forest with scikit-learn, and convert the forest to arrays."""

from typing import Any

import numpy as np
import sklearn.ensemble
from numpy.typing import NDArray

from sensorwatch.common.model.forest import Forest, forest_from_sklearn
from sensorwatch.common.runtime.setting_keys import TrainerSettings


def fit_forest(
    matrix: NDArray[np.float64], trainer_settings: TrainerSettings
) -> tuple[Any, Forest]:
    """Fit on `matrix` (n, features). Return the estimator, and arrays that give the same scores."""
    estimator = sklearn.ensemble.IsolationForest(
        n_estimators=trainer_settings.trees,
        max_samples=min(trainer_settings.max_samples, len(matrix)),
        random_state=trainer_settings.seed,
        n_jobs=1,
    )
    estimator.fit(matrix.astype(np.float32))
    return estimator, forest_from_sklearn(estimator)
