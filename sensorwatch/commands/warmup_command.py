"""The command `sensorwatch warmup`: compile every kernel before the first start."""

import time

from sensorwatch.common.runtime.printing import print_line


def warmup() -> None:
    """Compile the kernels of scoring, explanation and training into numba's cache.

    The cache is valid for this version on this CPU type. NUMBA_CACHE_DIR sets its folder. Without
    the cache, the first start compiles the kernels, and the first rows have to wait.
    """
    # Imported here, because the import takes seconds and `--help` does not need it.
    from sensorwatch.commands.warmup_run import compile_kernels

    start_time = time.perf_counter()
    compile_kernels()
    elapsed_seconds = time.perf_counter() - start_time
    print_line(f"every kernel is compiled, in {elapsed_seconds:.1f} s, and cached")
