"""The command `sensorwatch warmup`: compile every kernel before the first start."""

import time

from sensorwatch.common.errors import CheckFailed
from sensorwatch.common.runtime.printing import print_line


def warmup() -> None:
    """Compile the kernels of scoring, explanation and training into numba's cache.

    The cache is valid for this version of sensorwatch on this type of CPU. NUMBA_CACHE_DIR sets the
    cache folder. Without the cache, the first start compiles the kernels, and the first rows have
    to wait.
    """
    # These modules are imported here, because their import takes a second and `--help` needs
    # neither.
    from sensorwatch.common.runtime.kernel_compilation import KernelCompilation
    from sensorwatch.common.runtime.kernel_progress import show_share

    start_time = time.perf_counter()
    with KernelCompilation(is_cached=lambda: False) as compilation, show_share() as on_share:
        errors = compilation.wait(on_share)
    if errors:
        raise CheckFailed(f"the kernels cannot be compiled: {'; '.join(errors)}")
    elapsed_seconds = time.perf_counter() - start_time
    print_line(f"every kernel is compiled, in {elapsed_seconds:.1f} s, and cached")
