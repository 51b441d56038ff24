"""What people give as columns, matrices, names and histories, in makes that numpy and the extension
module do not read by themselves: made plain, or refused with the argument, the row and a remedy."""

from __future__ import annotations

import contextlib
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, Set, ValuesView
from decimal import Decimal
from numbers import Number
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

#: Kinds of numpy's dtypes that are numbers.
_NUMBERS = "biuf"


def shown(value: Any) -> str:
    """A value for an error message, not longer than a line."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _kind(value: Any) -> str:
    return type(value).__name__


def _is_missing(value: Any) -> bool:
    is_nan = isinstance(value, (float, Decimal)) and value != value
    return value is None or is_nan or _kind(value) in ("NAType", "NaTType")


def _is_bool(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))


def _is_sparse(given: Any) -> bool:
    return hasattr(given, "tocoo") and hasattr(given, "toarray")


def _is_lazy(given: Any) -> bool:
    return hasattr(given, "collect") and not hasattr(given, "__array__")


def _is_series(given: Any) -> bool:
    return hasattr(given, "iloc") and hasattr(given, "index") and not hasattr(given, "columns")


def _is_unordered(given: Any) -> bool:
    return isinstance(given, Set) and not isinstance(given, KeysView)


def unmasked(given: Any, what: str) -> NDArray[Any]:
    """The values of a masked array of which nothing is masked."""
    if np.ma.is_masked(given):
        row = int(np.argwhere(np.ma.getmaskarray(given))[0][0])
        raise ValueError(f"{what}: row {row} is masked: fill it in (.filled(...)) or drop it")
    return np.asarray(np.ma.getdata(given))


# Columns of ids, and masks.


def column(given: Any, what: str, by_row: bool) -> Any:
    """A column as an array, or as a list of Python objects; `by_row` if its order matters."""
    if isinstance(given, np.ma.MaskedArray):
        return unmasked(given, what)
    if isinstance(given, np.ndarray):
        return np.asarray(given)
    if isinstance(given, (str, bytes, UUID, Number, np.generic)) or hasattr(given, "as_py"):
        return [given]
    if isinstance(given, Mapping):
        raise TypeError(f"{what} is a {_kind(given)}, expected ids: give list(...) of its keys")
    if _is_sparse(given):
        return _sparse_column(given, what)
    if _is_lazy(given):
        raise TypeError(f"{what} is a {_kind(given)}, which holds no values yet: .collect() it")
    if _is_unordered(given):
        return _of_set(given, what, by_row)
    if hasattr(given, "__array__"):
        return _exported(given, what)
    for to_list in ("to_pylist", "to_list", "tolist"):
        if hasattr(given, to_list):
            return list(getattr(given, to_list)())
    if isinstance(given, Iterable):
        return list(given)
    raise TypeError(f"{what} is {shown(given)}, expected an id (an int or a str) or several")


def _exported(given: Any, what: str) -> Any:
    """What numpy makes of another library's column, or a list if something is missing in it."""
    # pandas: of integers of which some are missing numpy would make floats.
    if hasattr(given, "isna") and bool(np.any(given.isna())):
        return list(given)
    return unmasked(np.asarray(given), what)


def _sparse_column(given: Any, what: str) -> NDArray[Any]:
    shape = given.shape
    if len(shape) > 1 and 1 not in shape:
        raise ValueError(f"{what} is a sparse matrix of shape {shape}, expected one dimension")
    return np.asarray(given.toarray()).reshape(-1)


def _of_set(given: Any, what: str, by_row: bool) -> list[Any]:
    if by_row and len(given) > 0:
        raise TypeError(f"{what} is a {_kind(given)}, which has no order: give a list, one a row")
    values = list(given)
    if any(_is_bool(value) for value in values):
        raise TypeError(f"{what} is a {_kind(given)} with bools in it: a mask needs an order")
    return values


# Numbers: vectors, queries, weights.


def numbers(given: Any, what: str) -> NDArray[Any]:
    """An array of numbers, of any number of dimensions."""
    if isinstance(given, np.ma.MaskedArray):
        given = unmasked(given, what)
    array = given if isinstance(given, np.ndarray) else _array(given, what)
    kind = array.dtype.kind
    if kind in _NUMBERS:
        return np.asarray(array)
    if kind == "O" and array.size:
        return _rows(array, what) if array.ndim == 1 else _scalars(array, what)
    # bfloat16, float8 and their like are types of their own that numpy knows as raw bytes.
    if kind == "V" and array.dtype.type is not np.void:
        return array.astype(np.float32)
    if array.dtype.names:
        raise TypeError(
            f"{what} is a structured array of the fields {', '.join(array.dtype.names)}, expected "
            "numbers: numpy.lib.recfunctions.structured_to_unstructured makes a matrix of it"
        )
    raise TypeError(f"{what} has dtype {array.dtype}, expected numbers")


def _array(given: Any, what: str) -> NDArray[Any]:
    if _is_sparse(given):
        raise TypeError(f"{what} is a sparse {_kind(given)}, expected dense numbers: .toarray()")
    if _is_lazy(given):
        raise TypeError(f"{what} is a {_kind(given)}, which holds no values yet: .collect() it")
    if _is_unordered(given):
        raise TypeError(f"{what} is a {_kind(given)}, which has no order: give a list, one a row")
    if isinstance(given, Mapping):
        raise TypeError(
            f"{what} is a {_kind(given)}, expected rows of numbers: give list(...) of its "
            "values, and its keys as ids"
        )
    if hasattr(given, "columns") and hasattr(given, "iloc"):
        return _frame(given, what)
    if isinstance(given, (Iterator, ItemsView, KeysView, ValuesView)):
        given = list(given)
    try:
        array = np.asarray(given)
    except ValueError:
        # Rows of different lengths: the first that differs is named.
        return _rows(list(given), what)
    if array.ndim == 0 and array.dtype.kind not in _NUMBERS:
        raise TypeError(f"{what} is {shown(given)}, expected numbers")
    return array


def _frame(frame: Any, what: str) -> NDArray[Any]:
    """A pandas DataFrame: of columns that numpy has types for, as numpy reads it; of nullable and
    Arrow's, column by column."""
    kinds = [getattr(dtype, "kind", "O") for dtype in frame.dtypes]
    if kinds == ["O"]:
        return _rows(np.asarray(frame.iloc[:, 0], dtype=object), what)
    if all(isinstance(dtype, np.dtype) and dtype.kind in _NUMBERS for dtype in frame.dtypes):
        return np.asarray(frame)
    columns = []
    for at, name in enumerate(frame.columns):
        values = frame.iloc[:, at]
        if kinds[at] in _NUMBERS:
            columns.append(values.to_numpy(dtype=np.float64, na_value=np.nan))
        else:
            where = f"{what}, column {shown(name)}"
            columns.append(_scalars(np.asarray(values, dtype=object), where))
    return np.column_stack(columns) if columns else np.empty((len(frame), 0))


def _rows(rows: Any, what: str) -> NDArray[Any]:
    """Rows of numbers as a matrix; single numbers as one row."""
    first = next((value for value in rows if not _is_missing(value)), None)
    if isinstance(first, (Number, np.generic)):
        return _scalars(np.asarray(rows, dtype=object), what)
    if not any(isinstance(value, np.ma.MaskedArray) for value in rows):
        # All at once where all are well; else one after the other, to name the one that is not.
        with contextlib.suppress(Exception):
            stacked = np.stack(rows)
            if stacked.dtype.kind in _NUMBERS and stacked.ndim == 2:
                return stacked
    width = None
    made = []
    for row, values in enumerate(rows):
        is_list = hasattr(values, "__len__") and not isinstance(values, (str, bytes))
        if _is_missing(values) or not is_list:
            raise ValueError(f"{what}: row {row} is {shown(values)}, expected a list of numbers")
        width = len(values) if width is None else width
        if len(values) != width:
            raise ValueError(
                f"{what}: row {row} has {len(values)} values, expected {width} as in the rows "
                "before"
            )
        array = numbers(values, f"{what}, row {row}")
        if array.ndim != 1:
            raise ValueError(f"{what}: row {row} has {array.ndim} dimensions, expected 1")
        made.append(array)
    return np.stack(made)


def _scalars(values: NDArray[Any], what: str, place: str = "row") -> NDArray[np.float64]:
    """Python's numbers as float64."""
    for at, value in np.ndenumerate(values):
        if _is_missing(value) and not isinstance(value, float):
            raise ValueError(f"{what}: {place} {at[0]} is {shown(value)}: fill it in or drop it")
        if isinstance(value, complex) or not isinstance(value, (Number, np.generic)):
            raise TypeError(f"{what}: {place} {at[0]} is {shown(value)}, expected numbers")
    return values.astype(np.float64)


# Mappings: names and histories.


def _table(given: Any) -> list[list[Any]] | None:
    """The columns of a table as lists; None for what is no table."""
    if isinstance(given, Mapping):
        lists = list(given.values())
        is_table = len(lists) == 2 and all(
            isinstance(one, (list, tuple, np.ndarray)) or hasattr(one, "to_list") for one in lists
        )
        if not is_table or len(lists[0]) != len(lists[1]):
            return None
        return [_list(one) for one in lists]
    if _is_lazy(given):
        raise TypeError(f"got a {_kind(given)}, which holds no values yet: .collect() it")
    names = getattr(given, "column_names", None)
    names = getattr(given, "columns", None) if names is None else names
    if names is None or callable(names):
        return None
    if hasattr(given, "iloc"):
        return [_list(given.iloc[:, at]) for at in range(len(names))]
    return None


def _list(values: Any) -> list[Any]:
    for to_list in ("to_pylist", "to_list", "tolist"):
        if hasattr(values, to_list):
            return list(getattr(values, to_list)())
    return list(values)


def _has_default_index(series: Any) -> bool:
    index = series.index
    is_range = _kind(index) == "RangeIndex" and index.start == 0 and index.step == 1
    return is_range and index.name is None


def names(given: Any, ids: Any, what: str, of: str, by_row: bool) -> list[str]:
    """A name for each of `ids`: from a mapping, in which what has no name is named by its id, or
    from a sequence in their order.

    `by_row` where the argument stands beside others with a value a row, so that a Series has the
    order of the rows.
    """
    ids = ids.tolist()
    if hasattr(given, "iloc") and hasattr(given, "columns") and len(given.columns) == 1:
        given = given.iloc[:, 0]
    pairs = _pairs(given, ids, what, of, by_row)
    if pairs is None:
        return _in_order(given, len(ids), what, of)
    named: dict[Any, str] = {}
    for key, name in pairs:
        one = _key(key, what)
        if _is_missing(name):
            continue
        if not isinstance(name, str):
            raise TypeError(f"{what}: the name of {shown(key)} is {shown(name)}, expected str")
        if named.setdefault(one, name) != name:
            raise ValueError(
                f"{what}: {shown(one)} has two names, {shown(named[one])} and {shown(name)}"
            )
    _check_keys(list(named), ids, what, of)
    return [named.get(one, str(one)) for one in ids]


def _pairs(given: Any, ids: list[Any], what: str, of: str, by_row: bool) -> Any:
    columns = None if _is_series(given) else _table(given)
    if columns is not None and len(columns) == 2:
        return zip(*columns, strict=True)
    if isinstance(given, Mapping):
        return given.items()
    if columns is not None:
        raise TypeError(f"{what} is a table of {len(columns)} columns, expected two: ids and names")
    return _series(given, ids, what, of, by_row) if _is_series(given) else None


def _series(given: Any, ids: list[Any], what: str, of: str, by_row: bool) -> Any:
    if _has_default_index(given):
        if by_row or ids == list(range(len(given))):
            return None
        raise ValueError(
            f"{what} is a Series with the default index 0, 1, 2, ..., which names no {of}s: make "
            f'their ids its index (.set_index("id")), or give .tolist() with a name for each {of} '
            "in the order of the ids"
        )
    index = given.index.tolist()
    if not by_row or len(index) != len(ids):
        return given.items()
    if index != ids and len(index) == len(ids) and set(index) == set(ids):
        raise ValueError(
            f"{what} is a Series whose index has the ids in another order: give {what}.loc[ids] if "
            "it names them by its index, .tolist() if it is in the order of the rows"
        )
    return None


def _key(key: Any, what: str) -> Any:
    if isinstance(key, UUID):
        return str(key)
    if isinstance(key, bytes):
        return key.decode()
    if isinstance(key, (float, Decimal)) and not _is_missing(key) and key == int(key):
        return int(key)
    if isinstance(key, (str, int, np.integer)) and not _is_bool(key):
        return key if isinstance(key, str) else int(key)
    raise TypeError(f"{what} has the key {shown(key)}, expected ids: ints or strs")


def _check_keys(keys: list[Any], ids: list[Any], what: str, of: str) -> None:
    is_text = bool(ids) and isinstance(ids[0], str)
    other = next((key for key in keys if isinstance(key, str) != is_text), None)
    if other is not None and ids:
        kinds = ("int", "strings") if is_text else ("str", "integers")
        cast = "str" if is_text else "int"
        raise TypeError(
            f"{what} has the key {shown(other)}, a {kinds[0]}, and the {of}s' ids are {kinds[1]}: "
            f"{{{cast}(key): name for key, name in {what}.items()}}"
        )
    known = set(ids)
    if ids and not any(key in known for key in keys):
        first = f", such as {shown(keys[0])}," if keys else ""
        raise ValueError(
            f"{what} names none of the {len(ids)} {of}s: its keys{first} are to be their ids, such "
            f"as {shown(ids[0])}"
        )


def _in_order(given: Any, n: int, what: str, of: str) -> list[str]:
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(f"{what} is {shown(given)}, expected a name for each {of}, or a mapping")
    if _is_unordered(given):
        raise TypeError(f"{what} is a {_kind(given)}, which has no order: give a list or a mapping")
    values = _list(given)
    if len(values) != n:
        raise ValueError(
            f"{what} has {len(values)} names, expected {n}: one for each {of} in the order of the "
            "ids, or a mapping from id to name"
        )
    for row, name in enumerate(values):
        if not isinstance(name, str):
            raise TypeError(f"{what}: row {row} is {shown(name)}, expected str")
    return values


def history(given: Any) -> tuple[Any, list[Any] | None]:
    """What somebody had, as ids or (id, weight) pairs. Of a Series that may be read either way, its
    index and its values."""
    if hasattr(given, "iloc") and hasattr(given, "columns") and len(given.columns) == 1:
        given = given.iloc[:, 0]
    if _is_series(given):
        values = _list(given)
        if _has_default_index(given) or any(isinstance(value, str) for value in values):
            return values, None
        return _list(given.index), values
    columns = _table(given)
    if columns is not None and len(columns) == 2:
        return list(zip(*columns, strict=True)), None
    if isinstance(given, Mapping):
        return list(given.items()), None
    if columns is not None:
        raise TypeError(
            f"history is a table of {len(columns)} columns, expected two: items and weights"
        )
    if isinstance(given, np.ndarray) and given.ndim == 2 and given.shape[1] == 2:
        return [tuple(row) for row in given.tolist()], None
    return _list(column(given, "history", False)), None


# Tables of interactions.


def table(given: Any, names: list[Any]) -> Any:
    """A table that exports itself, or has its columns by name, of what holds rows or is yet to be
    read: lazy frames, datasets, scanners, Delta tables, lists of dicts."""
    if hasattr(given, "to_pyarrow_dataset"):
        given = given.to_pyarrow_dataset()
    if hasattr(given, "collect_schema") and hasattr(given, "collect"):
        _check_columns(list(given.collect_schema().names()), names)
        return given.select(list(dict.fromkeys(names))).collect()
    if hasattr(given, "scanner") and hasattr(given, "schema"):
        _check_columns(list(given.schema.names), names)
        return given.scanner(columns=list(dict.fromkeys(names))).to_reader()
    if hasattr(given, "to_reader") and not hasattr(given, "__arrow_c_stream__"):
        return given.to_reader()
    if hasattr(given, "__arrow_c_stream__") or hasattr(given, "__arrow_c_array__"):
        return _without_objects(given, names)
    is_records = isinstance(given, (list, tuple, Iterator))
    return _of_records(list(given), names) if is_records else given


def _without_objects(given: Any, names: list[Any]) -> Any:
    """polars exports Python objects as the bytes of their addresses: such columns as lists."""
    kinds = getattr(given, "dtypes", None)
    if hasattr(given, "iloc") or not isinstance(kinds, list) or "Object" not in map(str, kinds):
        return given
    return {name: given[name].to_list() for name in names if name in given.columns}


def _check_columns(there: list[Any], names: list[Any]) -> None:
    from nearwood._errors import UnknownIdError

    for name in names:
        if name not in there:
            listed = ", ".join(str(one) for one in there)
            raise UnknownIdError(f"the table has no column {name!r}; it has {listed}")


def _of_records(records: list[Any], names: list[Any]) -> dict[Any, list[Any]]:
    columns: dict[Any, list[Any]] = {name: [] for name in names}
    for row, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise TypeError(
                f"the table is a list whose row {row} is {shown(record)}, expected dicts; pairs of "
                "users and items are for Interactions.from_columns"
            )
        for name, values in columns.items():
            if name not in record:
                _check_columns(list(record), [name]) if row == 0 else None
                raise ValueError(f"the table: row {row} has no {name!r}; it has {list(record)}")
            values.append(record[name])
    return columns


def missing_column(given: Any, name: Any) -> Exception:
    """The error of a column that could not be had: what there is, or what the object is."""
    from nearwood._errors import UnknownIdError

    there = getattr(given, "column_names", None)
    there = getattr(given, "columns", None) if there is None else there
    if there is None and isinstance(given, Mapping):
        there = list(given)
    if there is None and getattr(getattr(given, "dtype", None), "names", None):
        there = given.dtype.names
    if there is None or callable(there):
        return TypeError(
            f"the table is a {_kind(given)}, which has no columns by name: give a DataFrame, an "
            "Arrow table, a dict of columns or a list of dicts"
        )
    there = list(there)
    if name in there:
        return TypeError(
            f"column {name!r} of a {_kind(given)} cannot be read as an array: make a table of it "
            "first (compute, collect, toPandas)"
        )
    listed = ", ".join(str(one) for one in there)
    return UnknownIdError(f"the table has no column {name!r}; it has {listed}")
