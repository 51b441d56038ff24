"""For scikit-learn: :class:`NearwoodTransformer`, whose graph of neighbours TSNE, DBSCAN, Isomap,
nearest-neighbour classifiers and others take as ``metric="precomputed"``."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearwood._core import Index

try:
    from joblib import effective_n_jobs  # type: ignore[import-untyped]
    from scipy.sparse import csr_matrix
    from sklearn.base import (  # type: ignore[import-untyped]
        BaseEstimator,
        ClassNamePrefixFeaturesOutMixin,
        TransformerMixin,
    )
    from sklearn.utils import check_random_state  # type: ignore[import-untyped]
    from sklearn.utils.validation import (  # type: ignore[import-untyped]
        check_is_fitted,
        validate_data,
    )
except ImportError as _error:
    raise ImportError(
        "nearwood.sklearn needs scikit-learn 1.6 or newer: pip install 'nearwood[sklearn]'"
    ) from _error

__all__ = ["NearwoodTransformer"]

#: Metrics by the names that scikit-learn has for them too.
_METRICS = {
    "euclidean": "euclidean",
    "l2": "euclidean",
    "cosine": "angular",
    "angular": "angular",
    "manhattan": "manhattan",
    "l1": "manhattan",
    "cityblock": "manhattan",
    "hamming": "hamming",
}


class NearwoodTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Turns samples into the sparse graph of their nearest training samples, as scikit-learn's
    ``KNeighborsTransformer`` does, by way of an :class:`nearwood.Index`.

    Args:
        n_neighbors: Neighbours a sample. With ``mode="distance"`` a sample is not counted among its
            own, so the graph has ``n_neighbors + 1`` entries a row; with "connectivity" it is.
        mode: "distance", or "connectivity": ones in place of distances.
        metric: "euclidean" ("l2"), "cosine" ("angular"), "manhattan" ("l1", "cityblock") or
            "hamming", which is how many components differ where scikit-learn's is their share.
        recall: The share of the true neighbours to find on average; 1.0 finds all of them.
        storage: What is kept of the samples: "float32", "float16", "int8".
        graph: Whether to grow a neighbour graph; None: from 10,000 samples on.
        random_state: The seed, or what scikit-learn makes one of.
        n_jobs: Threads, in scikit-learn's sense: None is one, -1 all cores. The graph does not
            depend on it.

    Attributes:
        index_: The :class:`nearwood.Index` of the training samples; ids are their row numbers.
        n_samples_fit_: How many there are.
        n_features_in_, feature_names_in_: As everywhere in scikit-learn.

    Samples are searched as float32. The graph holds float64: where scikit-learn converts a sparse
    matrix of another type, the order of its rows, nearest first, is lost.

    >>> import numpy as np
    >>> from nearwood.sklearn import NearwoodTransformer
    >>> graph = NearwoodTransformer(n_neighbors=1).fit_transform([[0.0], [1.0], [3.0]])
    >>> graph.toarray()
    array([[0., 1., 0.],
           [1., 0., 0.],
           [0., 2., 0.]])
    >>> graph.nnz
    6
    """

    def __init__(
        self,
        *,
        n_neighbors: int = 5,
        mode: str = "distance",
        metric: str = "euclidean",
        recall: float = 0.95,
        storage: str = "float32",
        graph: bool | None = None,
        random_state: Any = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.mode = mode
        self.metric = metric
        self.recall = recall
        self.storage = storage
        self.graph = graph
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: ArrayLike, y: object = None) -> NearwoodTransformer:
        """Builds the index.

        Args:
            X: (n_samples, n_features) numbers, dense.
            y: Not used.

        Raises:
            ValueError: For a parameter out of its range, NaN, infinities, and the like.
        """
        self._check_parameters()
        X = validate_data(self, X, dtype=np.float32, order="C")
        self.index_ = Index.build(
            X,
            metric=_METRICS[self.metric],
            storage=self.storage,
            graph=self.graph,
            seed=self._seed(),
            n_threads=effective_n_jobs(self.n_jobs),
        )
        self.n_samples_fit_ = self._n_features_out = len(self.index_)
        return self

    def transform(self, X: ArrayLike) -> csr_matrix:
        """The neighbours of samples among the training samples.

        Training samples find themselves as any other; :meth:`fit_transform` sees to it that they
        come first.

        Args:
            X: (m, n_features) numbers.

        Returns:
            (m, n_samples_fit_) CSR, a row's neighbours nearest first.

        Raises:
            NotFittedError: Before :meth:`fit`.
            ValueError: If there are fewer training samples than neighbours asked for.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, order="C", reset=False)
        ids, distances = self.index_.search(X, self._width(), **self._effort())
        return self._csr(ids, distances)

    def fit_transform(self, X: ArrayLike, y: object = None) -> csr_matrix:
        """:meth:`fit`, and the neighbours of the training samples: of each first itself, at
        distance 0, whatever duplicates it has."""
        n = self.fit(X, y).n_samples_fit_
        own = np.arange(n)
        others = self._width() - 1
        if others == 0:
            return self._csr(own[:, None], np.zeros((n, 1), np.float32))
        ids, distances = self.index_.search_ids(own, others, **self._effort())
        return self._csr(np.column_stack([own, ids]), np.pad(distances, ((0, 0), (1, 0))))

    def _check_parameters(self) -> None:
        if self.mode not in ("distance", "connectivity"):
            raise ValueError(f"mode is {self.mode!r}, expected 'distance' or 'connectivity'")
        n = self.n_neighbors
        if not isinstance(n, Integral) or isinstance(n, bool) or n < 1:
            raise ValueError(f"n_neighbors is {self.n_neighbors!r}, expected an int of 1 or more")
        if not isinstance(self.recall, Real) or not 0 < self.recall <= 1:
            raise ValueError(f"recall is {self.recall!r}, expected above 0 and at most 1")
        if isinstance(self.random_state, Integral) and not 0 <= self.random_state < 2**64:
            raise ValueError(f"random_state is {self.random_state!r}, expected an int of 0 or more")
        if self.metric not in _METRICS:
            known = ", ".join(_METRICS)
            raise ValueError(f"metric is {self.metric!r}, expected a distance: one of {known}")

    def _seed(self) -> int:
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _width(self) -> int:
        """Entries a row."""
        width = self.n_neighbors + (self.mode == "distance")
        if width > self.n_samples_fit_:
            raise ValueError(
                f"n_neighbors is {self.n_neighbors}, which takes {width} training samples, and "
                f"there are n_samples = {self.n_samples_fit_}: fit more of them, or lower it"
            )
        return int(width)

    def _effort(self) -> dict[str, Any]:
        return {"recall": self.recall, "n_threads": effective_n_jobs(self.n_jobs)}

    def _csr(self, ids: NDArray[np.int64], distances: NDArray[np.float32]) -> csr_matrix:
        m, width = ids.shape
        values = distances if self.mode == "distance" else np.ones_like(distances)
        rows = (values.ravel().astype(np.float64), ids.ravel(), np.arange(0, m * width + 1, width))
        return csr_matrix(rows, shape=(m, self.n_samples_fit_))
