"""Functions that other packages attach to the compilation of kernels; numba is not imported."""

from collections.abc import Callable

_listeners: list[Callable[[str], object]] = []
_actions: list[Callable[[], object]] = []


def on_compiled(listener: Callable[[str], object]) -> None:
    """Call `listener` with the module and name of each kernel that this process compiles."""
    _listeners.append(listener)


def report_compiled(kernel: str) -> None:
    """Call the listeners with the module and name of a compiled kernel."""
    for listener in _listeners:
        listener(kernel)


def before_first_compilation(action: Callable[[], object]) -> None:
    """Call `action` once, before this process compiles its first kernel."""
    _actions[:] = [action]


def run_action() -> bool:
    """Call the action that is attached, and detach it; return False if there was none."""
    action = take_action()
    if action is not None:
        action()
    return action is not None


def take_action() -> Callable[[], object] | None:
    """Detach the action and return it; None if there is none."""
    return _actions.pop() if _actions else None
