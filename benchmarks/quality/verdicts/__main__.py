"""`python -m benchmarks.quality.verdicts`: print what ten verdicts change."""

import argparse
import sys
from itertools import product

from benchmarks.quality.verdicts.effect import measure_effect


def main() -> None:
    """Print for each seed, shape of the flush and scope: the alarms without and with verdicts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sensors", type=int, default=24)
    parser.add_argument("--days", type=int, default=84)
    options = parser.parse_args()
    for seed, ramp_steps, covers_group in product(range(options.seeds), (1, 2), (True, False)):
        effect = measure_effect(
            seed,
            sensors=options.sensors,
            days=options.days,
            covers_group=covers_group,
            ramp_steps=ramp_steps,
        )
        scope = "group" if covers_group else "sensor"
        sys.stdout.write(f"seed {seed}, ramp {ramp_steps}, scope {scope}: {effect.text}\n")


if __name__ == "__main__":
    main()
