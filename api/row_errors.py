"""The errors of the bad rows of a request to `/predict`."""

from collections.abc import Iterator
from http import HTTPStatus
from itertools import groupby

import msgspec

from sensorwatch.api.json_pointers import fault_pointers
from sensorwatch.api.prediction import Prediction
from sensorwatch.api.problem_details import Problem
from sensorwatch.common.rows.rejection import Rejection


def bad_rows_problem(prediction: Prediction) -> Problem:
    """Return the problem (422) that lists every fault of every bad row."""
    bad_rows, items, unread_items = prediction.rejections, prediction.items, prediction.unread_items
    is_flat = not (prediction.schema.rows or prediction.schema.long_form)
    counts = f"{len(bad_rows)} of {len(items)} rows" if is_flat else _count_text(prediction)
    detail = f"{counts} cannot be scored, so no row was scored: "
    if unread_items:
        unread_text = f"the last {unread_items} {'rows' if is_flat else 'items'} were not read"
        detail += f"there are too many faults, so {unread_text}"
    elif prediction.has_bad_history:
        detail += "correct them; history rows are never skipped"
    else:
        detail += "correct them, or use ?on_error=skip to get the scores of the other rows"
    # Encode row by row, because other threads cannot run during one call of `encode`.
    errors = b",".join(
        msgspec.json.encode(
            [
                {**error, "index": _list_and_index(rejection, prediction)[1]}
                | ({"row": rejection.rows[0]} if rejection.rows else {})
                for error in row_errors
            ]
        )[1:-1]
        for rejection, row_errors in errors_of_rows(prediction)
    )
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=msgspec.Raw(b"[" + errors + b"]")
    )


def _count_text(prediction: Prediction) -> str:
    bad_items = len({rejection.index for rejection in prediction.rejections})
    return (
        f"{len(prediction.rejections)} rows or values, in {bad_items} of {len(prediction.items)} "
        "items,"
    )


def _list_and_index(rejection: Rejection, prediction: Prediction) -> tuple[str, int]:
    """Return the name of the list that contains a bad row, and its item's index in that list."""
    index = rejection.index - prediction.history_items
    return ("rows", index) if index >= 0 else ("history", rejection.index)


def errors_of_rows(
    prediction: Prediction,
) -> Iterator[tuple[Rejection, list[dict[str, object]]]]:
    """Yield each bad row with its errors, in the order of the request."""
    for item, rejections in groupby(prediction.rejections, key=lambda rejection: rejection.index):
        bad_rows = [*rejections]
        pointers_of_rows = fault_pointers(
            bad_rows,
            prediction.items[item],
            prediction.schema,
            *_list_and_index(bad_rows[0], prediction),
        )
        for rejection, pointers in zip(bad_rows, pointers_of_rows, strict=True):
            yield (
                rejection,
                [
                    {"pointer": fault_pointer, "detail": fault.detail, "reason": fault.reason}
                    for fault_pointer, fault in zip(pointers, rejection.faults, strict=True)
                ],
            )
