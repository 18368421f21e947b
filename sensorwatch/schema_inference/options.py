"""The choices that a user makes instead of the inference."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.rejection import short_printable, short_repr
from sensorwatch.common.rows.values import number_of_text
from sensorwatch.schema_inference.table import Table

_MAX_SHOWN_COLUMNS = 10


@dataclass(frozen=True, slots=True)
class InferenceOptions:
    """What the user decides instead of the inference."""

    zone: str | None = None
    """IANA zone of times without a zone."""
    is_day_first: bool | None = None
    time_names: tuple[str, ...] = ()
    time_format: str | None = None
    key_names: tuple[str, ...] | None = None
    """The columns of the sensor's id; an empty tuple: there is no id."""
    signal_names: tuple[str, ...] = ()
    """Columns that are signals, although they look like a label, an id or a row number."""
    context_names: tuple[str, ...] = ()
    counter_names: tuple[str, ...] = ()
    """Signals or context columns that are totals."""
    angle_names: tuple[str, ...] = ()
    """Signals or context columns that are angles in degrees."""
    left_out_names: tuple[str, ...] = ()
    missing_values: tuple[str, ...] = ()
    delimiter: str | None = None
    """One character, or "spaces"."""
    encoding: str | None = None

    def check_names(self, table: Table) -> None:
        """Raise DataError if an option names a column that the table does not have."""
        wanted_names = (
            *self.time_names,
            *(self.key_names or ()),
            *self.signal_names,
            *self.context_names,
            *self.counter_names,
            *self.angle_names,
            *self.left_out_names,
        )
        known_names = set(table.names)
        for name in wanted_names:
            if name not in known_names:
                found_names = short_printable(", ".join(table.names[:_MAX_SHOWN_COLUMNS]))
                raise DataError(f"no column {short_repr(name)}; found {found_names}")

    def for_wide_table(self, names: Iterable[str], quantities: Iterable[str]) -> "InferenceOptions":
        """Return the options for the wide table of rows in long form.

        `names`: the columns of the table; options for other columns are left out. `quantities`: the
        columns that are measurements.
        """
        known_names = set(names)

        def known(chosen_names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(name for name in chosen_names if name in known_names)

        return replace(
            self,
            time_names=known(self.time_names),
            signal_names=(*known(self.signal_names), *quantities),
            context_names=known(self.context_names),
            counter_names=known(self.counter_names),
            angle_names=known(self.angle_names),
            left_out_names=known(self.left_out_names),
        )

    @property
    def measured_names(self) -> tuple[str, ...]:
        """The columns that the user calls measurements."""
        return (
            *self.signal_names,
            *self.context_names,
            *self.counter_names,
            *self.angle_names,
        )

    @property
    def missing_numbers(self) -> frozenset[float]:
        """The missing values that are numbers."""
        numbers = map(number_of_text, self.missing_values)
        return frozenset(number for number in numbers if number is not None)

    @property
    def missing_words(self) -> frozenset[str]:
        """The missing values that are words, in lower case."""
        return frozenset(
            value.casefold() for value in self.missing_values if number_of_text(value) is None
        )
