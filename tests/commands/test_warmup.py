import os
import subprocess
import sys
from pathlib import Path

import pytest

from sensorwatch.common.kernels import is_cached
from sensorwatch.common.model.forest import path_lengths_to_scores
from sensorwatch.common.scoring.warmup import load_kernels
from tests.commands.command_runner import ROOT
from tests.reading_builders import a_detector

# A script that loads kernels which another process wrote to numba's cache. It prints the kernels
# that it still had to compile.
COMPILED_KERNELS_SCRIPT = """
import sys

import numpy as np
from numba.core.dispatcher import Dispatcher

from sensorwatch.common.scoring.explanation import explain_rows
from sensorwatch.common.scoring.processing import score_readings
from sensorwatch.common.scoring.warmup import write_texts
from tests.reading_builders import a_detector, some_readings
from tests.forecasts import a_forecast_candidate

for detector in (a_detector(), a_forecast_candidate().detector("v")):
    readings = some_readings(50, signals=len(detector.schema.signals))
    outcome = score_readings(readings, [], detector, detector.empty_memory())
    explain_rows(detector, outcome, np.arange(50))
    write_texts(readings)
prefixes = ("sensorwatch.common.", "sensorwatch.trainer.")
for module in [module for name, module in sys.modules.items() if name.startswith(prefixes)]:
    for name, kernel in vars(module).items():
        if isinstance(kernel, Dispatcher) and kernel.stats.cache_misses:
            print(module.__name__, name)
"""
COMPILE_SCRIPT = """
import sensorwatch.common.scoring.warmup
from sensorwatch.common.runtime.kernel_compilation import KernelCompilation
shares = []
with KernelCompilation() as compilation:
    print(compilation.is_needed, compilation.wait(shares.append), end=" ")
print(shares == sorted(shares), bool(shares) and shares[-1] > 0.5)
"""
# A command that runs this script on its first start, without compiled kernels.
FIRST_COMMAND_SCRIPT = f"""
from sensorwatch.common.runtime.command_line import run

def score_rows() -> None:
    exec({COMPILED_KERNELS_SCRIPT!r}, {{}})

raise SystemExit(run(score_rows, []))
"""


def run_python(cache_dir: Path, *arguments: str) -> str:
    """Return the output of a Python process that uses `cache_dir` as numba's cache."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache_dir)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def start_python(cache_dir: Path, code: str) -> subprocess.Popen[str]:
    """Start a Python process that uses `cache_dir` as numba's cache."""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache_dir)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_compiled_kernels_are_in_the_cache() -> None:
    load_kernels(a_detector())

    assert is_cached(path_lengths_to_scores)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_of_two_processes_one_compiles_and_then_no_kernel_needs_compilation(
    tmp_path: Path,
) -> None:
    """One of the processes is a first command, which compiles in child processes or waits."""
    print_is_compiled = (
        "import sensorwatch.common.scoring.warmup; "
        "from sensorwatch.common.kernels import all_cached; print(all_cached())"
    )
    assert run_python(tmp_path, "-c", print_is_compiled) == "False\n"

    compilation = start_python(tmp_path, COMPILE_SCRIPT)
    first_command = start_python(tmp_path, FIRST_COMMAND_SCRIPT)
    is_needed, errors, is_rising, _ = compilation.communicate()[0].split()

    assert (is_needed, errors, is_rising) == ("True", "[]", "True")
    assert (first_command.communicate()[0], first_command.returncode) == ("", 0)
    # The shares of finished kernels that a process without compilation shows: none.
    output, _ = start_python(tmp_path, COMPILE_SCRIPT).communicate()
    assert output.split() == ["False", "[]", "True", "False"]
    assert "every kernel is compiled" in run_python(tmp_path, "-m", "sensorwatch", "warmup")
    assert run_python(tmp_path, "-c", print_is_compiled) == "True\n"
    assert run_python(tmp_path, "-c", COMPILED_KERNELS_SCRIPT) == ""
