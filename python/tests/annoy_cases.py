"""Indexes of both packages, filled alike, and what they ought to answer."""

from __future__ import annotations

from typing import Any

import annoy
import numpy as np
import pytest

import nearwood as nw
import nearwood.annoy

METRICS = ["angular", "euclidean", "manhattan", "hamming", "dot"]
#: What nearwood searches by; the others join in as soon as it does.
SERVED = [m for m in METRICS if m in {str(known) for known in nw.Metric}]

PACKAGES = {"annoy": annoy.AnnoyIndex, "nearwood": nearwood.annoy.AnnoyIndex}
EVERYTHING = 10_000_000


def rows(n: int, f: int, metric: str = "angular", seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(n, f)).astype(np.float32)
    return (values > 0).astype(np.float32) if metric == "hamming" else values


def filled(
    Index: Any, vectors: np.ndarray, metric: str, step: int = 1, trees: int | None = 10
) -> Any:
    """Every `step`-th number is an item, the others are holes."""
    index = Index(vectors.shape[1], metric)
    index.set_seed(7)
    for i in range(0, len(vectors), step):
        index.add_item(i, vectors[i].tolist())
    if trees is not None:
        assert index.build(trees) is True
    return index


def truth(vectors: np.ndarray, query: np.ndarray, metric: str) -> np.ndarray:
    """The distances that Annoy's formulas give, in float64."""
    v, q = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "angular":
        norms = np.linalg.norm(v, axis=1) * np.linalg.norm(q)
        cos = np.divide(v @ q, norms, out=np.zeros(len(v)), where=norms > 0)
        return np.sqrt(np.maximum(2 - 2 * cos, 0))
    if metric == "euclidean":
        return np.linalg.norm(v - q, axis=1)
    if metric in ("manhattan", "hamming"):
        return np.abs(v - q).sum(axis=1)
    return v @ q


def same_neighbours(
    theirs: Any, ours: Any, vectors: np.ndarray, query: np.ndarray, metric: str
) -> None:
    their_ids, their_distances = theirs.get_nns_by_vector(query, 10, EVERYTHING, True)
    ids, distances = ours.get_nns_by_vector(query, 10, EVERYTHING, True)
    np.testing.assert_allclose(distances, their_distances, rtol=1e-4, atol=1e-4)
    exact = truth(vectors, query, metric)
    for our, their in zip(ids, their_ids, strict=True):
        # Neighbours as near as float32 can tell may change places.
        assert our == their or exact[our] == pytest.approx(exact[their], rel=1e-5, abs=1e-6)
