"""The command that converts a table in long form to one column per quantity."""

import shlex
from collections.abc import Sequence

from sensorwatch.common.files.opening import FileForm
from sensorwatch.common.rows.csv_format import SPACES
from sensorwatch.schema_inference.table import WORKSHEET_FORM, Table

_SHELL_CHARACTERS = frozenset('"$`\\!')


def pivot_command(table: Table, *, index: Sequence[str], name: str, value: str) -> str:
    """Return a shell command with pandas that writes the file wide.csv."""
    pivot = (
        f"pivot_table(index={list(index)!r}, columns={name!r}, values={value!r}, aggfunc='last')"
    )
    statements = [
        "import pandas",
        f"rows = {_reading(table)}",
        # A header line that the file repeats is a row for pandas.
        f"rows = rows[rows[{name!r}].astype(str).ne({name!r})].copy()",
        f"rows[{value!r}] = pandas.to_numeric(rows[{value!r}], errors='coerce')",
        f"rows.{pivot}.reset_index().to_csv('wide.csv', index=False)",
    ]
    if table.is_json:
        statements.insert(0, "import json")
    script = "; ".join(statements)
    quoted_script = shlex.quote(script) if _SHELL_CHARACTERS & set(script) else f'"{script}"'
    return f"python -c {quoted_script}"


def _reading(table: Table) -> str:
    """Return the expression that reads the file."""
    source = repr(table.source)
    if table.form in (FileForm.PARQUET, FileForm.ARROW):
        return f"pandas.read_{'parquet' if table.form == FileForm.PARQUET else 'feather'}({source})"
    if table.is_json:
        text = f"open({source}, encoding='utf-8')"
        is_array = "array" in table.form
        records = f"json.load({text})" if is_array else f"map(json.loads, {text})"
        return f"pandas.json_normalize({records})"
    if table.form == WORKSHEET_FORM:
        return f"pandas.read_excel({source}, skiprows={table.csv.skip_lines}, engine='calamine')"
    return f"pandas.read_csv({', '.join([source, *_csv_options(table)])})"


def _csv_options(table: Table) -> list[str]:
    csv_format, options = table.csv, []
    if csv_format.delimiter == SPACES:
        options.append("sep=' +'")
    elif csv_format.delimiter != ",":
        options.append(f"sep={csv_format.delimiter!r}")
    for key, default in (("decimal", "."), ("thousands", ""), ("comment", "")):
        if getattr(csv_format, key) != default:
            options.append(f"{key}={getattr(csv_format, key)!r}")
    if csv_format.encoding.startswith("utf-16"):
        options.append("encoding='utf-16'")
    elif csv_format.encoding != "utf-8":
        options.append(f"encoding={csv_format.encoding!r}")
    if csv_format.names:
        options.append(f"names={list(csv_format.names)!r}")
    header = csv_format.skip_lines
    skipped_lines = [*range(header), *range(header + 1, header + 1 + csv_format.unit_rows)]
    if skipped_lines:
        options.append(f"skiprows={skipped_lines!r}")
    return options
