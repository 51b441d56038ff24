"""Everything within a radius, and whether an answer is exact."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import clustered

import nearwood as nw

METRICS = ["euclidean", "angular", "dot"]


def distances(vectors: np.ndarray, query: np.ndarray, metric: str) -> np.ndarray:
    if metric == "euclidean":
        return np.linalg.norm(vectors - query, axis=1)
    products = vectors @ query
    if metric == "dot":
        return products
    return 1 - products / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)


@pytest.mark.parametrize("metric", METRICS)
def test_a_radius_agrees_with_numpy(metric: str) -> None:
    vectors, queries = clustered(2000, 12), clustered(20, 12, seed=1)
    index = nw.Index.build(vectors, metric=metric, ids=np.arange(2000) * 7)
    nearest = index.search_exact(queries[0], k=60)[1].astype(np.float64)
    # Between two distances, so that rounding decides nothing.
    r = float(nearest[40] + nearest[41]) / 2
    lists = index.radius(queries, r, recall=1)
    assert isinstance(lists, list) and len(lists) == 20
    for (ids, found), query in zip(lists, queries, strict=True):
        true = distances(vectors, query, metric)
        near = true >= r if metric == "dot" else true <= r
        clear = np.abs(true - r) > 1e-4
        assert set(np.flatnonzero(near & clear) * 7) <= set(ids.tolist())
        assert set(ids.tolist()) <= set(np.flatnonzero(near | ~clear) * 7)
        assert ids.dtype == np.int64 and found.dtype == np.float32
        ordered = np.sort(found)[::-1] if metric == "dot" else np.sort(found)
        assert found.tolist() == ordered.tolist()
        one = index.radius(query, r, recall=1)
        assert one[0].tolist() == ids.tolist() and one[1].tolist() == found.tolist()
    share = np.mean([len(a[0]) for a in index.radius(queries, r, recall=0.9)])
    assert share >= 0.85 * np.mean([len(a[0]) for a in lists])


def test_a_radius_with_a_filter_and_string_ids() -> None:
    names = [f"v{i}" for i in range(500)]
    vectors = clustered(500, 6)
    index = nw.Index.build(vectors, ids=names)
    mask = np.arange(500) % 2 == 0
    ids, found, exact = index.radius(vectors[3], np.inf, filter=mask, return_exact=True)
    assert ids.dtype == object and set(ids) == set(names[::2]) and exact is True
    assert (np.diff(found) >= 0).all()
    shared = nw.Filter(["v3", "v4"])
    assert set(index.radius(vectors[3], np.inf, filter=shared)[0]) == {"v3", "v4"}
    assert index.radius(np.zeros((0, 6)), 1.0) == []


def test_radii_at_the_edge(vectors: np.ndarray, index: nw.Index) -> None:
    query = vectors[5]
    assert len(index.radius(query, np.inf)[0]) == len(index)
    assert len(index.radius(query, -1)[0]) == 0
    assert index.radius(query, 0.0)[0].tolist() == [5]
    third = index.search_exact(query, k=3)[1][2]
    assert len(index.radius(query, third, recall=1)[0]) == 3
    with pytest.raises(ValueError, match="radius is NaN, expected a number"):
        index.radius(query, np.nan)
    with pytest.raises(ValueError, match="at most one"):
        index.radius(query, 1.0, recall=0.5, budget=3)
    for wrong in (query[:3], np.zeros((2, 3)), np.full(24, np.nan)):
        with pytest.raises(ValueError):
            index.radius(wrong, 1.0)
    with pytest.raises(TypeError):
        index.radius(query, "far")


def test_whether_an_answer_is_exact(vectors: np.ndarray, index: nw.Index) -> None:
    ids, found, exact = index.search(vectors[0], 5, recall=0.9, return_exact=True)
    assert ids.shape == found.shape == (5,) and exact is False
    assert index.search(vectors[0], 5, recall=1, return_exact=True)[2] is True
    few = np.zeros(len(index), bool)
    few[::300] = True
    ids, found, exact = index.search(vectors[:30], 5, filter=few, return_exact=True)
    assert exact.shape == (30,) and exact.dtype == bool and exact.all()
    assert (ids == index.search_exact(vectors[:30], 5, filter=few)[0]).all()
    assert not index.search(vectors[:30], 5, return_exact=True)[2].any()
