"""`sensorwatch warmup`: compile every kernel ahead, so that no first row waits for it."""

import time

from sensorwatch.common.runtime.printing import print_line


def warmup() -> None:
    """Compile what scoring, explaining and training need, and keep it in numba's cache.

    The cache holds for this version on this kind of CPU (NUMBA_CACHE_DIR says where it is). Without
    it the first start compiles, and its first rows wait.
    """
    # Imported late: it takes seconds, and `--help` does not need it.
    from sensorwatch.commands.warmup_run import compile_kernels

    began = time.perf_counter()
    compile_kernels()
    elapsed_seconds = time.perf_counter() - began
    print_line(f"every kernel is compiled, in {elapsed_seconds:.1f} s; the next start finds them")
