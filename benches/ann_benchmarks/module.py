"""nearwood as ann-benchmarks runs it: see README.md beside this file."""

import numpy

import nearwood

from ..base.module import BaseANN


class Nearwood(BaseANN):
    """An index in memory.

    `build` holds arguments of `nearwood.Index.build`, an effort those of `Index.search`: a `recall`
    to reach or a `budget` to spend.
    """

    def __init__(self, metric, build):
        self._metric = metric
        self._build = build
        self._effort = {}
        self._index = None
        self._answers = []

    def fit(self, X):
        self._index = nearwood.Index.build(X, metric=self._metric, **self._build)

    def set_query_arguments(self, effort):
        self._effort = effort

    def query(self, q, n):
        return self._index.search(q, k=self._most(n), **self._effort)[0]

    def batch_query(self, X, n):
        self._answers = self._index.search(X, k=self._most(n), **self._effort)[0]

    def get_batch_results(self):
        return self._answers

    def _most(self, n):
        """No more than there are: the runner would take the -1 that fills up for a vector."""
        return min(n, len(self._index))

    def get_memory_usage(self):
        """Kilobytes of the index, vectors included. The runner subtracts what was held before the
        build; by the process's memory that would count what the build has already given back."""
        return 0.0 if self._index is None else self._index.info()["bytes"] / 1024

    def done(self):
        self._index = None
        self._answers = numpy.empty((0, 0), dtype=numpy.int64)

    def __str__(self):
        given = {**self._build, **self._effort}
        return f"nearwood({', '.join(f'{name}={value}' for name, value in given.items())})"
