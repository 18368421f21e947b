"""Each variant is measured on everything, one line each."""

from pathlib import Path

from benchmarks.quality import nab_benchmark as nab
from benchmarks.quality import skab_benchmark as skab
from benchmarks.quality.ablated_detectors import FULL_DETECTOR, Variant
from benchmarks.quality.ablation import AblationData, ablation, detectors_of_variants
from benchmarks.quality.compared_detectors import trivial_rules
from benchmarks.quality.dataset_files import FileSelection
from benchmarks.quality.simulated_fleet import load
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from tests.benchmarks import test_nab
from tests.benchmarks import test_skab_benchmark as test_skab
from tests.benchmarks.test_streams import flagging_nothing


def test_a_line_for_each_variant_with_a_figure_in_each_column(tmp_path: Path) -> None:
    choice = FileSelection(test_nab.write_files(test_skab.write_files(tmp_path)))
    bench = AblationData(skab.load(choice), nab.load(choice), load(sensors=2, slots=3), seeds=1)

    table = ablation([flagging_nothing(), trivial_rules()[-1]], bench)

    assert [row[0] for row in table.rows] == ["quiet", "flag everything"]
    quiet, every = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert quiet["SKAB F1 / FAR / MAR"] == "0.000 / 0.0 / 100.0"
    assert every["with starts cut"].endswith("100.0 / 0.0")
    assert (quiet["NAB own"], quiet["simulator events"]) == ("0.0", "0.0 %")
    assert (every["simulator events"], every["delay"], every["alert rate"]) == (
        *("100.0 %", "0", "1.0000"),
    )


def test_every_stream_is_judged_by_every_variant(tmp_path: Path) -> None:
    choice = FileSelection(test_nab.write_files(test_skab.write_files(tmp_path)))
    bench = AblationData(skab.load(choice), nab.load(choice), load(sensors=2, slots=1), seeds=1)
    trainer_settings = TrainerSettings.model_validate({"trees": 5})
    variants = [FULL_DETECTOR, Variant("forest alone", weights=(1.0, 0.0, 0.0, 0.0))]

    full, forest = detectors_of_variants(variants, bench, trainer_settings)

    assert [full.name, forest.name] == ["whole", "forest alone"]
    for stream in bench.streams():
        assert [len(one.anomaly_score) for one in full.judge_all([stream])] == [stream.judged_rows]
    (one,), (other,) = full.judge_all([bench.fleet.stream]), forest.judge_all([bench.fleet.stream])
    assert one.anomaly_score.tobytes() != other.anomaly_score.tobytes()
