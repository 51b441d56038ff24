"""What changes beside what cannot: an index, and what came or went since it was built.

An :class:`nearwood.Index` never changes. What is put into a :class:`Growing` waits beside it and is
compared exactly; what is dropped stays in the index and is passed over; once enough waits, the next
search builds anew. A :class:`Snapshot` is all of this at one moment: searches take one under the
lock and go on without it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearwood._core import Index

T = TypeVar("T")
_Floats = NDArray[np.float32]
_Hit = tuple[int, float]

#: The metrics by which rows beside an index are compared; the others are of no use to embeddings.
METRICS = ("angular", "euclidean", "dot")
#: From here on a build is worth it: comparing fewer takes no longer than the call around it.
AT_LEAST = 2_000
#: One waiting for so many indexed: all builds together then cost eleven times the last one at most,
#: and a search spends at most a tenth of brute force on what waits.
ONE_IN = 10


def rows(vectors: ArrayLike, dim: int | None) -> _Floats:
    """``vectors`` as rows of float32, refused here rather than when they are built over."""
    array = np.asarray(vectors, dtype=np.float32)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"got vectors of shape {array.shape}, expected (n, dim)")
    if dim is not None and array.shape[1] != dim:
        raise ValueError(
            f"got vectors of {array.shape[1]} values, but {dim} are stored a vector: "
            "embed with the model that the others were embedded with"
        )
    if not (np.abs(array) < 1e16).all():
        raise ValueError("got a vector with NaN or 1e16 and above: values must be finite")
    return array


def distances(metric: str, query: _Floats, vectors: _Floats) -> _Floats:
    """From one query to each row, as :meth:`nearwood.Index.search` returns them."""
    if metric == "euclidean":
        lengths: _Floats = np.linalg.norm(vectors - query, axis=1)
        return lengths
    products: _Floats = vectors @ query
    if metric == "dot":
        return products
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    # A zero vector is at distance 1 from everything, as in the index.
    cosines: _Floats = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return 1 - cosines


@dataclass(frozen=True)
class Snapshot(Generic[T]):
    """Rows at one moment: those of the index are numbered first, then those that wait beside it."""

    metric: str
    index: Index | None
    #: What each row stands for: a list that only ever grows beyond what this snapshot reads.
    values: Sequence[T]
    #: The vectors of rows beside the index.
    beside: _Floats
    #: Which rows are still there, in the index and beside it.
    alive: NDArray[np.bool_]

    @property
    def n_indexed(self) -> int:
        return 0 if self.index is None else len(self.index)

    @property
    def dim(self) -> int | None:
        if self.index is not None:
            return self.index.dim
        return self.beside.shape[1] or None

    def search(
        self,
        query: ArrayLike,
        k: int,
        passes: Callable[[T], bool] | None = None,
        recall: float | None = None,
    ) -> list[_Hit]:
        """The k nearest rows that are there and pass, nearest first; fewer if fewer do."""
        if k < 1:
            raise ValueError(f"k is {k}, expected at least 1")
        vector = rows(np.asarray(query, dtype=np.float32)[None], self.dim)[0]
        found = self._indexed(vector, k, passes, recall) + self._beside(vector, k, passes)
        found.sort(key=lambda hit: -hit[1] if self.metric == "dot" else hit[1])
        return found[:k]

    def _indexed(
        self, vector: _Floats, k: int, passes: Callable[[T], bool] | None, recall: float | None
    ) -> list[_Hit]:
        if self.index is None:
            return []
        alive = self.alive[: self.n_indexed]
        if passes is None and alive.all():
            return _hits(self.index.search(vector, k, recall=recall))
        # Where most pass, looking at a few more than k saves asking about every row.
        more = _hits(self.index.search(vector, 2 * k + 20, recall=recall))
        found = [hit for hit in more if alive[hit[0]] and self._passes(hit[0], passes)]
        if len(found) >= k:
            return found[:k]
        allowed = alive.copy()
        if passes is not None:
            for row in np.flatnonzero(alive).tolist():
                allowed[row] = passes(self.values[row])
        return _hits(self.index.search(vector, k, recall=recall, filter=allowed))

    def _beside(self, vector: _Floats, k: int, passes: Callable[[T], bool] | None) -> list[_Hit]:
        if not len(self.beside):
            return []
        far = distances(self.metric, vector, self.beside)
        order = np.argsort(-far if self.metric == "dot" else far, kind="stable")
        found: list[_Hit] = []
        for place in order:
            row = self.n_indexed + int(place)
            if self.alive[row] and self._passes(row, passes):
                found.append((row, float(far[place])))
                if len(found) == k:
                    break
        return found

    def _passes(self, row: int, passes: Callable[[T], bool] | None) -> bool:
        return passes is None or bool(passes(self.values[row]))

    def vectors(self, numbers: Sequence[int]) -> _Floats:
        """The vectors of these rows, in their order."""
        wanted = np.asarray(numbers, dtype=np.int64)
        got = np.empty((len(wanted), self.dim or 0), dtype=np.float32)
        indexed = wanted < self.n_indexed
        if self.index is not None and indexed.any():
            got[indexed] = self.index.vectors(wanted[indexed])
        if not indexed.all():
            got[~indexed] = self.beside[wanted[~indexed] - self.n_indexed]
        return got

    def living(self) -> list[int]:
        return np.flatnonzero(self.alive).tolist()


def _hits(answer: tuple[NDArray[Any], _Floats]) -> list[_Hit]:
    """Rows and distances without the -1 that fill up an answer."""
    return [(row, far) for row, far in zip(*(a.tolist() for a in answer), strict=True) if row >= 0]


class Growing(Generic[T]):
    """Vectors under keys, each with a value, put and dropped at any time from any thread.

    Writers and builds take turns; a search waits for neither, unless it is the one that builds.
    """

    def __init__(
        self, metric: str, *, at_least: int = AT_LEAST, n_threads: int | None = None
    ) -> None:
        if metric not in METRICS:
            raise ValueError(f"metric is {metric!r}, expected one of {', '.join(METRICS)}")
        if at_least < 1:
            raise ValueError(f"rebuild_after is {at_least}, expected at least 1")
        self._metric, self._at_least, self._n_threads = metric, at_least, n_threads
        self._writing = threading.RLock()
        self._state = threading.Lock()
        self._take(None, [], [])

    def _take(self, index: Index | None, keys: Iterable[str], values: list[T]) -> None:
        """Goes on from an index whose row i is of the i-th key and value."""
        row_of = {key: row for row, key in enumerate(keys)}
        with self._state:
            self._index, self._values, self._row_of = index, values, row_of
            self._buffer = np.empty((0, 0), dtype=np.float32)
            self._n_beside = 0
            self._alive = np.ones(len(values), dtype=np.bool_)

    @property
    def metric(self) -> str:
        return self._metric

    def __len__(self) -> int:
        return len(self._row_of)

    def adopt(self, index: Index | None, keys: Sequence[str], values: Sequence[T]) -> None:
        """Takes over an index that was built elsewhere, with ids 0..n-1, in place of all."""
        with self._writing:
            self._take(index, keys, list(values))

    def snapshot(self) -> Snapshot[T]:
        with self._state:
            beside = self._buffer[: self._n_beside]
            return Snapshot(self._metric, self._index, self._values, beside, self._alive)

    def get(self, keys: Iterable[str]) -> list[T]:
        """The values of the keys that are there, in the order asked for."""
        with self._state:
            numbers = [self._row_of[key] for key in keys if key in self._row_of]
            return [self._values[row] for row in numbers]

    def put(self, keys: Sequence[str], vectors: ArrayLike, values: Sequence[T]) -> None:
        """Adds, or replaces where a key is there already; the last of equal keys counts."""
        if not keys:
            return
        last = sorted({key: place for place, key in enumerate(keys)}.values())
        with self._writing:
            new = rows(vectors, self.snapshot().dim)
            if not len(keys) == len(values) == len(new):
                raise ValueError(f"got {len(keys)} ids, {len(values)} values, {len(new)} vectors")
            with self._state:
                self._forget([keys[place] for place in last])
                self._append(new[last])
                for place in last:
                    self._row_of[keys[place]] = len(self._values)
                    self._values.append(values[place])

    def drop(self, keys: Iterable[str] | None) -> None:
        """Removes these keys, or all; those that are not there are passed over."""
        with self._writing:
            if keys is None:
                self._take(None, [], [])
                return
            with self._state:
                self._forget(keys)

    def _forget(self, keys: Iterable[str]) -> None:
        gone = [self._row_of.pop(key) for key in keys if key in self._row_of]
        if gone:
            # A copy, since snapshots read the old one.
            self._alive = self._alive.copy()
            self._alive[gone] = False

    def _append(self, new: _Floats) -> None:
        """Into a buffer that doubles: snapshots hold its beginning, which never changes."""
        end = self._n_beside + len(new)
        if end > len(self._buffer):
            grown = np.empty((max(end, 2 * len(self._buffer)), new.shape[1]), dtype=np.float32)
            if self._n_beside:
                grown[: self._n_beside] = self._buffer[: self._n_beside]
            self._buffer = grown
        self._buffer[self._n_beside : end] = new
        self._n_beside = end
        self._alive = np.append(self._alive, np.ones(len(new), dtype=np.bool_))

    def search(
        self,
        query: ArrayLike,
        k: int,
        passes: Callable[[T], bool] | None = None,
        recall: float | None = None,
    ) -> tuple[Snapshot[T], list[_Hit]]:
        """A snapshot, and what it finds; builds before if enough waits and nobody writes."""
        if self._due() and self._writing.acquire(blocking=False):
            try:
                if self._due():
                    self.rebuild()
            finally:
                self._writing.release()
        snapshot = self.snapshot()
        return snapshot, snapshot.search(query, k, passes, recall)

    def _due(self) -> bool:
        """Whether what waits, or what is gone and still indexed, is worth a build."""
        with self._state:
            indexed = 0 if self._index is None else len(self._index)
            gone = len(self._alive) - len(self._row_of)
            limit = max(self._at_least, indexed // ONE_IN)
            return self._n_beside >= limit or gone > max(self._at_least, indexed // 2)

    def rebuild(self) -> Snapshot[T]:
        """One index over all that is there, and nothing beside it. Searches go on meanwhile."""
        with self._writing:
            now = self.snapshot()
            if now.n_indexed == len(now.alive) == len(self):
                return now
            living = now.living()
            index = None
            if living:
                index = Index.build(
                    now.vectors(living), metric=self._metric, n_threads=self._n_threads
                )
            by_row = {row: key for key, row in self._row_of.items()}
            self._take(index, [by_row[row] for row in living], [now.values[row] for row in living])
            return self.snapshot()
