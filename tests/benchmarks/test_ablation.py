"""Tests of the table that compares the default detector with its variants."""

from pathlib import Path

from benchmarks.quality import nab_benchmark as nab
from benchmarks.quality import skab_benchmark as skab
from benchmarks.quality.ablated_detectors import FULL_DETECTOR, Variant
from benchmarks.quality.ablation import AblationData, ablation_table, detectors_of_variants
from benchmarks.quality.compared_detectors import trivial_rules
from benchmarks.quality.dataset_files import FileSelection
from benchmarks.quality.simulated_fleet import load
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from tests.benchmarks import test_nab
from tests.benchmarks import test_skab_benchmark as test_skab
from tests.benchmarks.test_streams import flagging_nothing


def test_the_table_has_a_row_per_variant_and_a_figure_in_each_column(tmp_path: Path) -> None:
    selection = FileSelection(test_nab.write_files(test_skab.write_files(tmp_path)))
    data = AblationData(
        skab.load(selection), nab.load(selection), load(sensors=2, slots=3), seeds=1
    )

    table = ablation_table([flagging_nothing(), trivial_rules()[-1]], data)

    assert [row[0] for row in table.rows] == ["quiet", "flag everything"]
    quiet_row, alarming_row = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert quiet_row["SKAB F1 / FAR / MAR"] == "0.000 / 0.0 / 100.0"
    assert alarming_row["with starts cut"].endswith("100.0 / 0.0")
    assert (quiet_row["NAB own"], quiet_row["simulator events"]) == ("0.0", "0.0 %")
    assert (
        alarming_row["simulator events"],
        alarming_row["delay"],
        alarming_row["alert rate"],
    ) == (*("100.0 %", "0", "1.0000"),)


def test_every_stream_is_judged_by_every_variant(tmp_path: Path) -> None:
    selection = FileSelection(test_nab.write_files(test_skab.write_files(tmp_path)))
    data = AblationData(
        skab.load(selection), nab.load(selection), load(sensors=2, slots=1), seeds=1
    )
    trainer_settings = TrainerSettings.model_validate({"trees": 5})
    variants = [FULL_DETECTOR, Variant("forest alone", weights=(1.0, 0.0, 0.0, 0.0, 0.0))]

    full_detector, forest_detector = detectors_of_variants(variants, data, trainer_settings)

    assert [full_detector.name, forest_detector.name] == ["whole", "forest alone"]
    for stream in data.streams():
        assert [
            len(results.anomaly_score) for results in full_detector.fit_and_score_all([stream])
        ] == [stream.judged_rows]
    (full_results,), (forest_results,) = (
        full_detector.fit_and_score_all([data.fleet.stream]),
        forest_detector.fit_and_score_all([data.fleet.stream]),
    )
    assert full_results.anomaly_score.tobytes() != forest_results.anomaly_score.tobytes()
