"""``implicit.nearest_neighbours``: the weights."""

from __future__ import annotations

from typing import Any

from nearwood._core import implicit_weights

__all__ = ["bm25_weight", "tfidf_weight"]


def tfidf_weight(X: Any) -> Any:
    """A sparse matrix weighted by TF-IDF, its rows being documents: a float64 ``coo_matrix``."""
    return _weighted(X)


def bm25_weight(X: Any, K1: float = 100, B: float = 0.8) -> Any:
    """A sparse matrix weighted by BM25, its rows being documents: a float64 ``coo_matrix``.

    Args:
        X: Any scipy sparse matrix without negative values.
        K1: How far a value may grow before it counts as much as it can.
        B: How much a row's total counts against its values.
    """
    return _weighted(X, K1, B)


def _weighted(X: Any, *options: float) -> Any:
    from scipy.sparse import coo_matrix, csr_matrix

    X = csr_matrix(X, copy=True)
    X.sum_duplicates()
    values = implicit_weights(X, *options)
    weighted = coo_matrix(X)
    weighted.data = values
    return weighted
