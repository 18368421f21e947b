"""Published results of other detectors on the same benchmarks."""

SKAB_SOURCE = "waico/SKAB v0.9, leaderboard of outlier detection, all 34 files"
SKAB = {
    "Conv-AE (looks ahead)": (0.78, 13.55, 28.02),
    "T2+Q": (0.76, 26.6, 24.9),
    "Isolation Forest": (0.29, 2.56, 82.89),
}
"""F1, false alarm rate (FAR, %) and missed alarm rate (MAR, %) of each detector."""

NAB_SOURCE = "numenta/NAB v1.1, scoreboard, standard profile, all 58 files"
NAB = {
    "ARTime": 74.9,
    "Numenta HTM": 70.1,
    "CAD OSE": 69.9,
    "KNN-CAD": 58.0,
    "Random Cut Forest": 51.7,
    "Windowed Gaussian": 39.6,
}
