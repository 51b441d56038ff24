"""What a search promises, on data unlike that of benchmarks: from Python."""

import numpy as np
import pytest

import nearwood as nw


def nearest(rows, queries, k):
    """The k nearest rows by exact search."""
    return nw.Index.build(rows).search_exact(queries, k)[0]


@pytest.mark.parametrize("graph", [False, True])
def test_one_neighbour_is_found_in_a_tight_group(graph):
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(100, 32))
    rows = np.repeat(centres, 40, axis=0) + 0.03 * rng.normal(size=(4000, 32))
    queries = centres + 0.03 * rng.normal(size=centres.shape)
    index = nw.Index.build(rows, graph=graph)
    for recall, least in [(0.95, 0.9), (0.99, 0.96)]:
        truth = nearest(rows, queries, 1)[:, 0]
        batch = index.search(queries, 1, recall=recall)[0][:, 0]
        single = np.array([index.search(query, 1, recall=recall)[0][0] for query in queries])
        assert (batch == truth).mean() >= least and (single == truth).mean() >= least


def test_near_duplicates_by_angle_keep_their_order():
    rng = np.random.default_rng(2)
    rows = (rng.normal(size=32) + 1e-3 * rng.normal(size=(2000, 32))).astype(np.float32)
    unit = rows.astype(float) / np.linalg.norm(rows.astype(float), axis=1, keepdims=True)
    index = nw.Index.build(rows, metric="angular")
    for row in range(0, 2000, 100):
        distances = ((unit - unit[row]) ** 2).sum(axis=1) / 2
        found, given = index.search_exact(rows[row], 10)
        assert found[0] == row and given[0] == 0
        assert np.allclose(given, np.sort(distances)[:10], rtol=1e-3, atol=1e-14)
        assert row in index.radius(rows[row], 0)[0]


def test_a_budget_of_a_graph_grows_until_all_rows_are_compared():
    index = nw.Index.build(np.ones((12_000, 4), np.float32), graph=True)
    for budget in (1, 1000, 12_000):
        assert (index.search(np.ones(4), 50, budget=budget)[0] >= 0).all()
    assert index.search(np.ones(4), 50, budget=12_000, return_exact=True)[2]


def test_queries_from_elsewhere_are_named():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(3000, 16))
    index = nw.Index.build(rows)
    queries = np.concatenate([rng.normal(size=(50, 16)), 20 + rng.normal(size=(5, 16))])
    far = index.is_far(queries, index.search(queries, 10)[1])
    assert far.dtype == bool and far[50:].all() and far[:50].mean() < 0.2
    assert index.is_far(queries[-1], index.search(queries[-1], 10)[1]) is True
    with pytest.raises(ValueError, match="at most 100"):
        index.is_far(queries[0], index.search(queries[0], 101)[1])
    with pytest.raises(ValueError, match="as many for each query"):
        index.is_far(queries, np.zeros(3))


def test_vectors_that_float32_cannot_tell_apart_are_refused():
    rows = np.random.default_rng(4).normal(size=(100, 8))
    for metric in ("euclidean", "dot"):
        with pytest.raises(ValueError, match="multiply"):
            nw.Index.build(rows * 1e-23, metric=metric)
    index = nw.Index.build(rows, metric="dot")
    small, usual = (index.search(rows[0] * scale, 5)[0] for scale in (1e-25, 1))
    assert small.tolist() == usual.tolist()
    index = nw.Index.build(rows * 1e-23, metric="angular")
    assert index.search_exact(rows[3], 1)[0][0] == 3
