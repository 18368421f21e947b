"""Conversion of pydantic's validation errors to one line of text."""

import difflib
from collections.abc import Iterable

from pydantic import ValidationError


def describe_validation_error(error: ValidationError, *, known: Iterable[str] = ()) -> str:
    """Return one text: "path: problem, found value" for each problem, joined by "; ".

    `known`: all valid dotted names. For an unknown key, the most similar valid name is suggested.
    """
    names = list(known)
    return "; ".join(
        _describe_problem(problem, names) for problem in error.errors(include_url=False)
    )


def suggest_name(name: str, known_names: Iterable[str]) -> str:
    """Return ` (did you mean "x"?)`, or an empty text if no known name is similar."""
    matches = difflib.get_close_matches(name, list(known_names), n=1, cutoff=0.6)
    return f' (did you mean "{matches[0]}"?)' if matches else ""


def _describe_problem(problem: object, known_names: list[str]) -> str:
    assert isinstance(problem, dict)
    path = ".".join(str(key) for key in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f'unknown key "{path}"{suggest_name(path, known_names)}'
    if problem["type"] == "missing":
        return f'"{path}" is missing'
    message = str(problem["msg"]).removeprefix("Value error, ")
    input_text = repr(problem.get("input"))
    return f"{path or 'the whole input'}: {message}, found {input_text[:80]}"
