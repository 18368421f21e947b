"""The command `produce`: send simulated or replayed rows to Kafka, a file or standard output."""

from sensorwatch.common.runtime.command_line import ConfigOption
from sensorwatch.producer import produce_options as options


def produce(
    *,
    sensors: options.SensorsOption = 10,
    rows: options.RowsOption = None,
    seconds: options.SecondsOption = None,
    rate: options.RateOption = None,
    seed: options.SeedOption = 0,
    start: options.StartOption = "2025-01-01T00:00:00Z",
    interval: options.IntervalOption = None,
    faults: options.FaultsOption = None,
    csv: options.CsvOption = None,
    schema: options.SchemaOption = None,
    out: options.OutOption = None,
    labels: options.LabelsOption = False,
    stdout: options.StdoutOption = False,
    topic: options.TopicOption = None,
    config: ConfigOption = None,
) -> None:
    """Send simulated sensor rows with labelled faults, or the rows of a file, to a Kafka topic."""
    # Imported here, because the import takes a second and `--help` does not need it.
    from sensorwatch.common.runtime.settings import load_settings
    from sensorwatch.producer import run_plan
    from sensorwatch.producer.produce_run import send_records, write_file

    run_plan.check_combination(
        out=out, csv=csv, to_stdout=stdout, rate=rate, seconds=seconds, labels=labels
    )
    simulation = run_plan.simulation(
        to_file=out is not None,
        sensors=sensors,
        rows=rows,
        seed=seed,
        start=start,
        interval=interval,
        faults=faults,
    )
    if out is not None:
        write_file(simulation, out, labels=labels)
        return
    rate_limit = run_plan.rows_per_second(rate, bounded=csv is not None or rows is not None)
    overrides = {"schema.path": schema, "topics.readings": topic}
    settings = load_settings(config, overrides=overrides).settings
    send_records(
        simulation if csv is None else csv,
        settings,
        rows=rows,
        rate=rate_limit,
        seconds=seconds,
        stdout=stdout,
    )
