"""Say in one line per problem what pydantic found wrong, with the nearest known name."""

import difflib
from collections.abc import Iterable

from pydantic import ValidationError


def describe_validation_error(error: ValidationError, *, known: Iterable[str] = ()) -> str:
    """Return "path: what was found, what was wanted" per problem, joined by "; ".

    `known` are the dotted names that may stand there: the source of suggestions.
    """
    names = list(known)
    return "; ".join(
        _describe_problem(problem, names) for problem in error.errors(include_url=False)
    )


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean "x"?)`, or nothing where no known name is near."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f' (did you mean "{matches[0]}"?)' if matches else ""


def _describe_problem(problem: object, known: list[str]) -> str:
    assert isinstance(problem, dict)
    path = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f'unknown key "{path}"{suggestion(path, known)}'
    if problem["type"] == "missing":
        return f'"{path}" is missing'
    message = str(problem["msg"]).removeprefix("Value error, ")
    shown = repr(problem.get("input"))
    return f"{path or 'the whole'}: {message}, found {shown if len(shown) <= 80 else shown[:80]}"
