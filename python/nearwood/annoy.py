"""A drop-in for the package ``annoy``: replace ``from annoy import AnnoyIndex`` by
``from nearwood.annoy import AnnoyIndex``.

Calls, defaults, results and exceptions are Annoy's; beneath is a nearwood index, so that searches
find more in less time. :meth:`AnnoyIndex.load` reads Annoy's files and nearwood's,
:meth:`AnnoyIndex.save` writes nearwood's. What differs, and why, is in ``docs/from-annoy.md``.

>>> from nearwood.annoy import AnnoyIndex
>>> index = AnnoyIndex(2, "euclidean")
>>> for i, vector in enumerate([[0, 0], [3, 4], [0, 1]]):
...     index.add_item(i, vector)
>>> index.build(10)
True
>>> index.get_nns_by_item(0, 2, include_distances=True)
([0, 2], [0.0, 1.0])
"""

from __future__ import annotations

import operator
import os
import warnings
from collections.abc import Sequence
from typing import Any, Literal, SupportsIndex, TypeAlias, overload

from numpy.typing import NDArray

from nearwood._core import AnnoyForest, AnnoyItems

__all__ = ["AnnoyIndex"]

_Vector: TypeAlias = Sequence[float] | NDArray[Any]
_Path: TypeAlias = str | os.PathLike[str]
_METRICS = ("angular", "euclidean", "manhattan", "hamming", "dot")
_OMITTED: Any = object()
_EVERYTHING = 2**62


class AnnoyIndex:
    """An index in Annoy's way: items are added one at a time under numbers, then searched.

    Args:
        f: The length of a vector.
        metric: "angular" (distances are sqrt(2 - 2 cos)), "euclidean", "manhattan", "hamming"
            (components above 0.5 are ones) or "dot" (products, largest first). Omitting it warns
            and means "angular".

    Any number of threads may search one index at once; the interpreter is released meanwhile.

    Raises:
        ValueError: For another metric, or f below 1 or above 65,536.
    """

    def __init__(self, f: SupportsIndex, metric: str = _OMITTED) -> None:
        self._f = _int32(f)
        if metric is _OMITTED:
            text = "The default argument for metric will be removed; pass metric='angular'."
            warnings.warn(text, FutureWarning, stacklevel=2)
            metric = "angular"
        if not isinstance(metric, str):
            raise TypeError(f"argument 2 must be str, not {type(metric).__name__}")
        if metric not in _METRICS:
            raise ValueError(f"No such metric: got {str(metric)!r}, expected one of {_METRICS}")
        if self._f < 1:
            raise ValueError(f"f is {self._f}, expected at least 1")
        self._metric = str(metric)
        self._verbose = False
        self._reset()

    def _reset(self) -> None:
        self._items: AnnoyItems | None = AnnoyItems(self._f, self._metric)
        self._forest: AnnoyForest | None = None
        self._n_items = 0
        self._n_trees = 0
        self._built = self._loaded = False
        self._seed = 0
        self._disk: str | None = None

    @property
    def f(self) -> int:
        """The length of a vector."""
        return self._f

    def add_item(self, i: SupportsIndex, vector: _Vector) -> None:
        """Adds an item under a number, or overwrites it. Numbers may leave holes, which take no
        memory.

        Args:
            i: 0 to 2,147,483,647.
            vector: f numbers, kept as float32.

        Raises:
            IndexError: If i is negative or the vector has another length.
            TypeError: If a component is no number.
            ValueError: If a component is NaN, infinite, or 1e16 or more in size.
            Exception: If the index is built or loaded.
        """
        i = _int32(i)
        if i < 0:
            raise IndexError("Item index can not be negative")
        if self._loaded:
            raise Exception("You can't add an item to a loaded index")
        if self._built or self._items is None:
            raise Exception("You can't add an item to a built index: unbuild() it first")
        self._items.set(i, vector)
        self._n_items = max(self._n_items, i + 1)

    def build(self, n_trees: SupportsIndex, n_jobs: SupportsIndex = -1) -> Literal[True]:
        """Builds the index. Ctrl-C stops it and leaves the items as they were.

        Args:
            n_trees: What :meth:`get_n_trees` and the default of `search_k` say. The index is one
                tree of coded leaves whatever it is. -1: the library's choice.
            n_jobs: Threads; -1: all cores. The result does not depend on it.

        Raises:
            Exception: If the index is built or loaded.
            ValueError: If n_trees is below -1.
        """
        n_trees, n_jobs = _int32(n_trees), _int32(n_jobs)
        if self._loaded:
            raise Exception("You can't build a loaded index")
        if self._built or self._items is None:
            raise Exception("You can't build a built index")
        if n_jobs < -1 or n_jobs == 0:
            raise ValueError(f"n_jobs is {n_jobs}, expected at least 1, or -1 for all cores")
        if n_trees < -1:
            raise ValueError(f"n_trees is {n_trees}, expected -1 or more")
        self._n_trees = max(n_trees, 0)
        if self._n_items:
            threads = n_jobs if n_jobs > 0 else None
            asked = n_trees if n_trees >= 0 else None
            forest = self._items.build(asked, threads, self._seed, self._verbose)
            if self._disk is not None:
                forest = self._mapped(forest, self._disk)
            self._forest, self._items, self._n_trees = forest, None, forest.n_trees
        self._built = True
        return True

    def unbuild(self) -> Literal[True]:
        """Takes the trees away, so that items can be added again.

        Raises:
            Exception: If the index is loaded.
        """
        if self._loaded:
            raise Exception("You can't unbuild a loaded index")
        if self._forest is not None:
            self._items, self._forest = self._forest.items(), None
        self._built, self._n_trees = False, 0
        return True

    def save(self, fn: _Path, prefault: SupportsIndex = False) -> Literal[True]:
        """Writes the index to a file and goes on from there, mapped. The file is nearwood's
        (:meth:`nearwood.Index.open` opens it too); a crash leaves the old one or the whole new one.

        Raises:
            OSError: If the index is not built or has no items, or the system refuses.
        """
        prefault = operator.index(prefault) != 0
        if not self._built:
            raise OSError("You can't save an index that hasn't been built")
        if self._forest is None:
            raise OSError("You can't save an index that has no items")
        self._forest = self._mapped(self._forest, fn, prefault)
        self._loaded = self._disk is None
        return True

    def load(self, fn: _Path, prefault: SupportsIndex = False) -> Literal[True]:
        """Loads a file in place of what the index holds. nearwood's is mapped in microseconds; from
        Annoy's own the vectors are read and an index is built in memory: convert such a file once,
        by load and save or with ``nearwood import-annoy``.

        Args:
            fn: The file; its first bytes tell which it is.
            prefault: Read the whole file now.

        Raises:
            OSError: If the file cannot be read, is neither, is damaged, or was written for another
                metric or f. The index is then as before.
        """
        forest = self._open(fn, operator.index(prefault) != 0)
        self._reset()
        self._forest, self._items = forest, None
        self._n_items, self._n_trees = forest.n_items, forest.n_trees
        self._built = self._loaded = True
        return True

    def unload(self) -> Literal[True]:
        """Lets go of everything: the index is as new."""
        self._reset()
        return True

    def on_disk_build(self, fn: _Path) -> Literal[True]:
        """Says where :meth:`build` is to put the index, which is then mapped from there. Items are
        kept in memory until then.

        Raises:
            OSError: If no file can be written there.
        """
        path = os.fspath(fn)
        folder = os.path.dirname(os.path.realpath(path))
        if not os.path.isdir(folder):
            raise FileNotFoundError(2, "Unable to open: no such folder", folder)
        if os.path.isdir(path) or not os.access(folder, os.W_OK):
            raise PermissionError(13, "Unable to open: cannot be written", path)
        self._disk = path
        return True

    @overload
    def get_nns_by_item(
        self,
        i: SupportsIndex,
        n: SupportsIndex,
        search_k: SupportsIndex = -1,
        include_distances: Literal[False, 0] = False,
    ) -> list[int]: ...
    @overload
    def get_nns_by_item(
        self,
        i: SupportsIndex,
        n: SupportsIndex,
        search_k: SupportsIndex,
        include_distances: Literal[True, 1],
    ) -> tuple[list[int], list[float]]: ...
    @overload
    def get_nns_by_item(
        self,
        i: SupportsIndex,
        n: SupportsIndex,
        search_k: SupportsIndex = -1,
        *,
        include_distances: Literal[True, 1],
    ) -> tuple[list[int], list[float]]: ...
    def get_nns_by_item(
        self,
        i: SupportsIndex,
        n: SupportsIndex,
        search_k: SupportsIndex = -1,
        include_distances: SupportsIndex = False,
    ) -> list[int] | tuple[list[int], list[float]]:
        """The n items nearest to an item, itself among them.

        Args:
            i: The item.
            n: How many; fewer come if there are fewer.
            search_k: How hard to try: -1 is n times the trees. At least twice as many vectors
                are evaluated, and never so few that recall falls below 0.95 on average; n_items
                times the trees is exact.
            include_distances: Return (items, distances).

        Raises:
            IndexError: If there is no such item.
        """
        count, effort, told = _asked(n, search_k, include_distances)
        item = self._item(i)
        if self._forest is None:
            return ([], []) if told else []
        found: list[int] = self._forest.search_item(item, count, effort, told)
        return found

    @overload
    def get_nns_by_vector(
        self,
        vector: _Vector,
        n: SupportsIndex,
        search_k: SupportsIndex = -1,
        include_distances: Literal[False, 0] = False,
    ) -> list[int]: ...
    @overload
    def get_nns_by_vector(
        self,
        vector: _Vector,
        n: SupportsIndex,
        search_k: SupportsIndex,
        include_distances: Literal[True, 1],
    ) -> tuple[list[int], list[float]]: ...
    @overload
    def get_nns_by_vector(
        self,
        vector: _Vector,
        n: SupportsIndex,
        search_k: SupportsIndex = -1,
        *,
        include_distances: Literal[True, 1],
    ) -> tuple[list[int], list[float]]: ...
    def get_nns_by_vector(
        self,
        vector: _Vector,
        n: SupportsIndex,
        search_k: SupportsIndex = -1,
        include_distances: SupportsIndex = False,
    ) -> list[int] | tuple[list[int], list[float]]:
        """The n items nearest to a vector; as :meth:`get_nns_by_item`.

        Raises:
            IndexError: If the vector has another length.
            TypeError: If a component is no number.
            ValueError: If a component is NaN, infinite, or 1e16 or more in size.
        """
        count, effort, told = _asked(n, search_k, include_distances)
        if self._forest is None:
            if self._items is not None:
                self._items.check(vector)
            return ([], []) if told else []
        found: list[int] = self._forest.search(vector, count, effort, told)
        return found

    def get_item_vector(self, i: SupportsIndex, /) -> list[float]:
        """The vector of an item as float32; zeros for a hole.

        Raises:
            IndexError: If there is no such item.
        """
        return self._holder().vector(self._item(i))

    def get_distance(self, i: SupportsIndex, j: SupportsIndex, /) -> float:
        """The distance of two items, or their product for "dot".

        Raises:
            IndexError: If there is no such item.
        """
        return self._holder().distance(self._item(i), self._item(j))

    def get_n_items(self) -> int:
        """The largest item number plus one, holes counted."""
        return self._n_items

    def get_n_trees(self) -> int:
        """The trees that were asked for; 0 before the build."""
        return self._n_trees

    def verbose(self, v: SupportsIndex, /) -> Literal[True]:
        """Whether builds show a progress bar, on a terminal."""
        self._verbose = operator.index(v) != 0
        return True

    def set_seed(self, s: SupportsIndex, /) -> None:
        """The seed of the next build: the same one gives the same file at any number of threads."""
        self._seed = _int32(s) & 0xFFFFFFFF

    def __repr__(self) -> str:
        state = "loaded" if self._loaded else "built" if self._built else "not built"
        return f"AnnoyIndex({self._f}, {self._metric!r}): {self._n_items} items, {state}"

    def _item(self, i: SupportsIndex) -> int:
        i = _int32(i)
        if i < 0:
            raise IndexError("Item index can not be negative")
        if i >= self._n_items:
            raise IndexError("Item index larger than the largest item index")
        return i

    def _holder(self) -> AnnoyItems | AnnoyForest:
        holder = self._items if self._forest is None else self._forest
        if holder is None:
            raise Exception("The index holds nothing")
        return holder

    def _open(self, fn: _Path, prefault: bool) -> AnnoyForest:
        try:
            return AnnoyForest.open(fn, self._f, self._metric, prefault, self._verbose)
        except ValueError as error:
            raise OSError(f"Unable to load: {error}") from error

    def _mapped(self, forest: AnnoyForest, fn: _Path, prefault: bool = False) -> AnnoyForest:
        forest.save(fn)
        return self._open(fn, prefault) if os.path.isfile(fn) else forest


def _int32(value: SupportsIndex) -> int:
    number = operator.index(value)
    if number > 2**31 - 1:
        raise OverflowError("signed integer is greater than maximum")
    if number < -(2**31):
        raise OverflowError("signed integer is less than minimum")
    return number


def _asked(
    n: SupportsIndex, search_k: SupportsIndex, include_distances: SupportsIndex
) -> tuple[int | None, int | None, bool]:
    """(n, search_k, include_distances); what is negative means everything, but search_k of -1 the
    default."""
    count, effort = _int32(n), _int32(search_k)
    nodes = None if effort == -1 else effort if effort >= 0 else _EVERYTHING
    return count if count >= 0 else None, nodes, operator.index(include_distances) != 0
