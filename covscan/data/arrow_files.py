"""Sample data from Parquet, Arrow and Feather; only the chosen rows are converted."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from covscan.config.settings import Settings
from covscan.data.columns import of_columns
from covscan.data.contents import Contents
from covscan.data.sampling import Index, choose_rows
from covscan.errors import UsageError
from covscan.memory import require

_ERRORS = (OSError, ValueError, KeyError, IndexError, TypeError, NotImplementedError)
"""What pyarrow raises: its own errors are some of these, and names that are not UTF-8 are found late."""


def read_parquet(path: Path, settings: Settings) -> Contents:
    """The columns of the table, as ``columns.of_columns`` says; read a row group at a time."""
    pa = _pyarrow(path)
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            available = file.metadata.num_rows
            _check_rows(path, file.metadata)
            index = choose_rows(available, settings.samples, settings.seed)
            groups, start = [], 0
            for group in range(file.num_row_groups):
                stop = start + file.metadata.row_group(group).num_rows
                inside = index[(index >= start) & (index < stop)]
                if len(inside):
                    groups.append(file.read_row_group(group).take(inside - start))
                start = stop
        table = pa.concat_tables(groups)
    except (pa.ArrowException, *_ERRORS) as error:
        raise _unreadable(path, "Parquet", error) from error
    return _contents(table, index, available, settings, path)


def read_arrow(path: Path, settings: Settings) -> Contents:
    """The columns of an Arrow file, an Arrow stream or a Feather file, mapped from disk."""
    pa = _pyarrow(path)
    import pyarrow.feather

    try:
        with pa.memory_map(str(path)) as source:
            try:
                table = pa.ipc.open_file(source).read_all()
            except pa.ArrowInvalid:
                source.seek(0)
                is_feather_1 = source.read(4) == b"FEA1"
                source.seek(0)
                table = pyarrow.feather.read_table(source) if is_feather_1 else pa.ipc.open_stream(source).read_all()
            table.validate(full=True)  # places inside of a damaged file would be read as they stand there
            index = choose_rows(table.num_rows, settings.samples, settings.seed)
            available, table = table.num_rows, table.take(index)
    except (pa.ArrowException, *_ERRORS) as error:
        raise _unreadable(path, "Arrow", error) from error
    return _contents(table, index, available, settings, path)


def _check_rows(path: Path, metadata: Any) -> None:
    """That the groups of rows fit into memory one at a time, which a few bytes can say of any number.

    Of columns nothing is asked: pyarrow ends the process where their metadata are damaged.
    """
    for place in range(metadata.num_row_groups):
        group = metadata.row_group(place)
        needed = max(group.total_byte_size, group.num_rows * group.num_columns)  # a byte for each value, at least
        require(needed, f"row group {place} of {str(path)!r}", hint="write the file again in smaller row groups")


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise UsageError(
            "missing-extra", f"reading {path.name!r} needs pyarrow", hint="pip install 'covscan[tables]'"
        ) from error
    return pa


def _unreadable(path: Path, kind: str, error: Exception) -> UsageError:
    return UsageError(
        "unreadable-data",
        f"{str(path)!r} cannot be read as {kind}",
        found=(str(error).splitlines() or [type(error).__name__])[0],
        hint="the file may be cut short: write it again",
    )


def _contents(table: Any, index: Index, available: int, settings: Settings, path: Path) -> Contents:
    pa = _pyarrow(path)
    names = list(table.column_names)
    doubled = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubled:
        raise UsageError("unreadable-data", f"{str(path)!r} has two columns of one name", found=", ".join(doubled))
    try:
        columns = {name: _column(table.column(place), name) for place, name in enumerate(names)}
    except (pa.ArrowException, *_ERRORS) as error:
        raise _unreadable(path, "a table", error) from error
    return of_columns(columns, index, available, settings, path.name)


def _column(column: Any, name: str) -> Any:
    """One column as an array, or as a list of rows or of texts."""
    import pyarrow as pa

    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        chunks = [chunk.storage for chunk in column.chunks]
        shape = getattr(kind, "shape", None)
        rows = _column(pa.chunked_array(chunks, kind.storage_type), name)
        return [row.reshape(shape) for row in rows] if shape else rows
    if pa.types.is_dictionary(kind):
        return _column(column.cast(kind.value_type), name)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column.to_pylist()
    if _is_list(kind):
        return [_row(scalar.values, name) for scalar in column]
    if pa.types.is_decimal(kind) or (pa.types.is_boolean(kind) and column.null_count):
        column = column.cast(pa.float64() if pa.types.is_decimal(kind) else pa.int8())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise UsageError("bad-array", f"column {name!r} does not hold numbers", found=str(kind), hint="leave it out")
    return column.to_numpy()


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _row(values: Any, name: str) -> Any:
    """The values of one row, nested lists stacked."""
    if values is None:
        raise UsageError("bad-array", f"column {name!r} has a missing list", hint="fill it or leave the row out")
    if not _is_list(values.type):
        return values.to_numpy(zero_copy_only=False)
    try:
        return np.stack([_row(each.values, name) for each in values])
    except ValueError as error:
        raise UsageError("bad-array", f"column {name!r} has nested lists of different lengths") from error
