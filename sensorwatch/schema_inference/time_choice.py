"""Apply the user's choices to the guessed time, and ask the user if the data leaves it open."""

from dataclasses import replace

from sensorwatch.schema_inference.options import InferenceOptions
from sensorwatch.schema_inference.time_format_guess import TimeGuess


def choose_time_format(guess: TimeGuess, options: InferenceOptions) -> tuple[TimeGuess, list[str]]:
    """Return the time format, and questions that the user should decide."""
    if options.time_format is not None:
        guess = TimeGuess(options.time_format, naive=guess.naive)
    elif guess.alternative and options.is_day_first is not None:
        formats = (guess.format, guess.alternative)
        fitting = [text for text in formats if _is_day_first(text) == options.is_day_first]
        if len(fitting) == 1:
            guess = TimeGuess(fitting[0], naive=guess.naive)
    elif guess.alternative and "%p" in guess.format and _is_day_first(guess.format):
        # The 12-hour clock is used where the month is written first.
        guess = replace(guess, format=guess.alternative, alternative=guess.format)
    questions = []
    if guess.alternative:
        questions.append(
            f"the times fit {guess.format!r}, which is used, and also {guess.alternative!r}; "
            "--day-first, --month-first or --time-format decides"
        )
    if guess.naive and options.zone is None:
        questions.append("the times have no zone and are read as UTC; --zone Europe/Berlin or such")
    return guess, questions


def _is_day_first(time_format: str) -> bool:
    month = max(time_format.find("%m"), time_format.find("%b"), time_format.find("%B"))
    return 0 <= time_format.find("%d") < month
