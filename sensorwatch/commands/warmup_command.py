"""`sensorwatch warmup`: compile every kernel before the first start."""

import time

from sensorwatch.common.runtime.printing import print_line


def warmup() -> None:
    """Compile the kernels of scoring, explanation and training into numba's cache.

    The cache is valid for this version on this CPU type; NUMBA_CACHE_DIR sets its folder. Without
    it the first start compiles the kernels, and the first rows wait.
    """
    # Imported late: it takes seconds, and `--help` does not need it.
    from sensorwatch.commands.warmup_run import compile_kernels

    began = time.perf_counter()
    compile_kernels()
    elapsed_seconds = time.perf_counter() - began
    print_line(f"every kernel is compiled, in {elapsed_seconds:.1f} s, and cached")
