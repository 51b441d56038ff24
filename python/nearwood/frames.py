"""Answers as data frames: a row for every neighbour or recommendation."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["to_frame"]


class _Labels(Protocol):
    """An ``Index`` or a ``Recommender``."""

    def label(self, _id: Any, /) -> str | None: ...


def to_frame(
    ids: Any,
    distances: Any,
    queries: Any = None,
    *,
    columns: Sequence[str] = ("query", "id", "rank", "distance"),
    labels: _Labels | None = None,
    library: str = "pandas",
) -> Any:
    """What a search or a recommendation returned, as a table with a row for each id found.

    The columns and their order are those of the Parquet files that ``nearwood search`` writes.
    Places that no id fills (-1, None) are left out.

    Args:
        ids: (k,) or (m, k), as ``search``, ``recommend`` and their like return them; or a list of m
            arrays of any lengths, as ``radius`` finds them.
        distances: Distances or scores, in the same shape.
        queries: What was asked: a name for one query, m of them for many. None: 0 to m - 1.
        columns: Names of the four columns; ``("user", "item", "rank", "score")`` are those of the
            files that ``recommend_all`` writes. Ranks begin with 1.
        labels: An ``Index`` or a ``Recommender`` whose labels are added as a column ``label``.
        library: "pandas", "polars" or "pyarrow": whose table is returned.

    Raises:
        ValueError: If the shapes differ, or a name is not known.
        ImportError: If the library is not installed.

    >>> import nearwood as nw
    >>> index = nw.Index.build([[0, 1], [1, 0], [0.9, 0.1]], ids=["n", "e", "ene"])
    >>> ids, distances = index.search([[1, 0], [0, 1]], k=2)
    >>> print(nw.to_frame(ids, distances, ["east", "north"]).round(2))
       query   id  rank  distance
    0   east    e     1      0.00
    1   east  ene     2      0.14
    2  north    n     1      0.00
    3  north  ene     2      1.27
    """
    if labels is not None and not hasattr(labels, "label"):
        got = type(labels).__name__
        raise TypeError(
            f"labels is a {got}, expected an Index or a Recommender, whose labels it is"
        )
    make = _maker(library)
    query, item, rank, distance = _four(columns, labels is not None)
    found, lengths = _flat(ids, np.int64)
    values, others = _flat(distances, np.float32)
    if lengths.tolist() != others.tolist():
        raise ValueError("ids and distances differ in shape, expected both as a search gives them")
    names = _names(queries, len(lengths))
    there = _there(found)
    table = {
        query: np.repeat(names, lengths)[there],
        item: found[there],
        rank: _ranks(lengths)[there],
        distance: values[there],
    }
    if labels is not None:
        table["label"] = _labels(labels, found[there])
    return make(table)


def _four(columns: Sequence[str], labelled: bool) -> Sequence[str]:
    if len(columns) != 4 or len({*columns}) != 4:
        raise ValueError(f"columns are {columns!r}, expected four different names")
    if labelled and "label" in columns:
        raise ValueError(f"columns are {columns!r}, expected none called 'label' beside labels=")
    return columns


def _flat(values: Any, unless_told: type) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """All values, and how many of them are each query's; of no query at all, none of a type."""
    parts = values if isinstance(values, np.ndarray) else [np.asarray(one) for one in values]
    if isinstance(parts, list) and not parts:
        return np.empty(0, unless_told), np.empty(0, np.int64)
    if len(parts) == 0 or parts[0].ndim == 0:
        parts = np.asarray(parts)
    if isinstance(parts, np.ndarray):
        rows = np.atleast_2d(parts)
        return _objects(rows.ravel()), np.full(len(rows), rows.shape[1])
    return _objects(np.concatenate(parts)), np.array([len(part) for part in parts])


def _objects(values: NDArray[Any]) -> NDArray[Any]:
    """Strings as the objects that an index returns."""
    return values.astype(object) if values.dtype.kind == "U" else values


def _there(ids: NDArray[Any]) -> NDArray[np.bool_]:
    if ids.dtype == object:
        return np.array([one is not None for one in ids], dtype=bool)
    return np.asarray(ids != -1)


def _names(queries: Any, count: int) -> NDArray[Any]:
    if queries is None:
        return np.arange(count)
    names = _objects(np.atleast_1d(np.asarray(queries)))
    if names.shape != (count,):
        raise ValueError(f"queries has shape {names.shape}, expected ({count},), one name a query")
    return names


def _ranks(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """1, 2, ... within each answer."""
    before = np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.arange(1, len(before) + 1) - before


def _labels(source: _Labels, ids: NDArray[Any]) -> NDArray[Any]:
    """Each id is asked about once: popular items stand in many lists."""
    distinct, places = np.unique(ids, return_inverse=True)
    texts = np.empty(len(distinct), dtype=object)
    texts[:] = [source.label(one) for one in distinct.tolist()]
    return texts[places]


def _maker(library: str) -> Callable[[dict[str, Any]], Any]:
    """What makes a library's table of numpy columns."""
    if library not in _MAKERS:
        raise ValueError(f"library is {library!r}, expected one of {', '.join(_MAKERS)}")
    try:
        module = importlib.import_module(library)
    except ImportError as error:
        raise ImportError(
            f"a {library} table needs {library}: pip install {library}, or all three by "
            "pip install 'nearwood[frames]'"
        ) from error
    return lambda table: _MAKERS[library](module, table)


def _plain(table: dict[str, Any]) -> dict[str, Any]:
    """Columns of objects as lists, of which polars and Arrow make strings."""
    return {name: c.tolist() if c.dtype == object else c for name, c in table.items()}


_MAKERS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "pandas": lambda pandas, table: pandas.DataFrame(table),
    "polars": lambda polars, table: polars.DataFrame(_plain(table)),
    "pyarrow": lambda pyarrow, table: pyarrow.table(_plain(table)),
}
