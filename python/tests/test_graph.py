"""The neighbour graph: when it is grown, and what searches over it find."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import clustered, truth

import nearwood as nw

N = 10_000
QUERIES = clustered(200, 24, seed=1)


@pytest.fixture(scope="module")
def many() -> np.ndarray:
    return clustered(N, 24)


@pytest.fixture(scope="module")
def grown(many: np.ndarray) -> nw.Index:
    return nw.Index.build(many)


def found(index: nw.Index, distances: np.ndarray, vectors: np.ndarray) -> float:
    """The share of answers no farther than the last true neighbour."""
    last = truth(vectors, QUERIES, distances.shape[1], index.metric)[:, -1:]
    return float((distances <= last + 1e-4).mean())


def test_when_a_graph_is_grown(many: np.ndarray, grown: nw.Index) -> None:
    assert grown.has_graph and grown.info()["graph"] is True
    assert nw.Index.build(many[:2000], "angular", graph=True).has_graph
    few = nw.Index.build(many[:-1])
    assert not few.has_graph and few.info()["graph"] is False and few.info()["walk_curve"] == []
    plain = nw.Index.build(many, graph=False)
    assert not plain.has_graph and len(plain.to_bytes()) < len(grown.to_bytes())
    for metric in ("dot", "manhattan", "hamming"):
        assert not nw.Index.build(many, metric).has_graph


def test_a_graph_that_cannot_be(many: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="graph is true by dot, expected none"):
        nw.Index.build(many[:100], "dot", graph=True)
    limited = {"path": tmp_path / "i.nw", "memory_limit": 10**9}
    with pytest.raises(ValueError, match="graph is true with a memory limit"):
        nw.Index.build(many, graph=True, **limited)
    assert list(tmp_path.iterdir()) == []
    for graph in (None, False):
        built = nw.Index.build(many, graph=graph, **limited)
        assert not built.has_graph
        assert built.to_bytes() == nw.Index.build(many, graph=False).to_bytes()
    with pytest.raises(TypeError):
        nw.Index.build(many, graph="yes")


def test_what_is_known_of_a_graph(grown: nw.Index) -> None:
    info = grown.info()
    assert info["graph"] is True and info["calibration"], "filters ask the trees"
    compared, recalls = zip(*info["walk_curve"], strict=True)
    assert list(compared) == sorted(compared) and compared[0] >= 1
    assert 0 < recalls[0] <= 1 and recalls[-1] > 0.99


@pytest.mark.parametrize("metric", ["euclidean", "angular", "manhattan", "hamming"])
def test_a_recall_is_kept_alone_and_in_a_batch(many: np.ndarray, metric: str) -> None:
    index = nw.Index.build(many, metric, graph=True)
    for k, recall in ((10, 0.9), (10, 0.99), (50, 0.95)):
        ids, distances = index.search(QUERIES, k, recall=recall)
        assert found(index, distances, many) >= recall - 0.03
        for row, query in enumerate(QUERIES[:40]):
            one_ids, one_distances = index.search(query, k, recall=recall)
            assert one_ids.tolist() == ids[row].tolist()
            assert one_distances.tolist() == distances[row].tolist()
        one = index.search(QUERIES, k, recall=recall, n_threads=1)
        assert (one[0] == ids).all()
    exact = index.search_exact(QUERIES, 10)[1]
    assert found(index, exact, many) == 1.0


def test_a_budget_is_what_a_walk_compares(grown: nw.Index) -> None:
    recalls = [grown.recall(QUERIES, budget=b) for b in (1, 200, 800, N)]
    assert recalls == sorted(recalls)
    assert recalls[0] < recalls[2] and recalls[3] > 0.98
    for compared, recall in grown.info()["walk_curve"]:
        # A search ranks more candidates than the measurement where codes are too coarse.
        assert grown.recall(QUERIES, budget=round(compared)) > recall - 0.03
    ids, _ = grown.search(QUERIES[0], 300, budget=1)
    assert len(set(ids.tolist())) == 300 and -1 not in ids


@pytest.mark.parametrize("share", [0.5, 0.05, 0.002])
def test_a_filter_gives_exactly_k(many: np.ndarray, grown: nw.Index, share: float) -> None:
    mask = np.random.default_rng(3).random(N) < share
    wanted = truth(many[mask], QUERIES, 10, "euclidean")[:, -1:]
    ids, distances = grown.search(QUERIES, 10, filter=mask)
    assert (ids >= 0).all() and mask[ids].all()
    assert all(len(set(row)) == 10 for row in ids.tolist())
    assert (distances <= wanted + 1e-4).mean() >= 0.9
    for options in ({"budget": 50}, {"recall": 0.99}):
        ids = grown.search(QUERIES[0], 10, filter=mask, **options)[0]
        assert len(set(ids.tolist())) == 10 and mask[ids].all()
    assert grown.search(QUERIES[0], 5, filter=[3, 4])[0][2:].tolist() == [-1] * 3
    everything = np.ones(N, bool)
    assert (grown.search(QUERIES, 10, filter=everything)[0] == grown.search(QUERIES, 10)[0]).all()


def test_neighbours_of_ids_leave_themselves_out(many: np.ndarray, grown: nw.Index) -> None:
    asked = np.arange(0, N, 50)
    ids, _ = grown.search_ids(asked, 10)
    assert not (ids == asked[:, None]).any()
    true = grown.search_ids(asked, 10, recall=1.0)[0]
    shared = [len(set(a) & set(b)) for a, b in zip(ids.tolist(), true.tolist(), strict=True)]
    assert np.mean(shared) >= 9.2
    with_self = grown.search_ids(asked, 10, include_self=True)[0]
    assert (with_self[:, 0] == asked).mean() > 0.97
    assert grown.search_ids(int(asked[3]), 10)[0].tolist() == ids[3].tolist()


def test_a_radius_finds_what_lies_within(many: np.ndarray, grown: nw.Index) -> None:
    r = float(np.median(truth(many, QUERIES, 30, "euclidean")[:, -1]))
    near = grown.radius(QUERIES, r, recall=0.95)
    assert all((distances <= r).all() for _, distances in near)
    true = sum(len(ids) for ids, _ in grown.radius(QUERIES, r, recall=1.0))
    assert sum(len(ids) for ids, _ in near) >= 0.93 * true


def test_a_graph_is_kept_by_files_and_copies(
    tmp_path: Path, many: np.ndarray, grown: nw.Index
) -> None:
    path = tmp_path / "i.nw"
    grown.save(path)
    nw.Index.verify(path)
    nw.Index.build(many, path=tmp_path / "built.nw", n_threads=1)
    assert (tmp_path / "built.nw").read_bytes() == path.read_bytes() == grown.to_bytes()
    wanted = grown.search(QUERIES, 10)
    for other in (
        nw.Index.open(path),
        nw.Index.open(path, prefault=True, verify=True),
        nw.Index.from_bytes(grown.to_bytes()),
        pickle.loads(pickle.dumps(grown)),
        copy.deepcopy(grown),
    ):
        assert other.has_graph and other.info()["walk_curve"] == grown.info()["walk_curve"]
        for a, b in zip(other.search(QUERIES, 10), wanted, strict=True):
            assert (a == b).all()


def test_threads_search_one_graph_at_once(grown: nw.Index) -> None:
    def ask(_: int) -> list[list[int]]:
        return [grown.search(query, 10)[0].tolist() for query in QUERIES]

    wanted = ask(0)
    with ThreadPoolExecutor(8) as pool:
        assert all(answer == wanted for answer in pool.map(ask, range(16)))


def test_trees_beside_a_graph(many: np.ndarray, grown: nw.Index) -> None:
    whole = nw.Index.build(many, n_trees=2)
    assert grown.append_trees(1).to_bytes() == whole.to_bytes()
    assert whole.drop_trees([1]).to_bytes() == grown.to_bytes()
    second = whole.drop_trees([0])
    assert second.has_graph and second.recall(QUERIES, recall=0.95) > 0.92
    assert (second.search(QUERIES, recall=1.0)[0] == grown.search(QUERIES, recall=1.0)[0]).all()
    plain = nw.Index.build(many, first_tree=1, graph=False)
    with pytest.raises(ValueError, match="graph"):
        nw.Index.merge([grown, plain])


def test_files_with_graphs_are_merged(many: np.ndarray, grown: nw.Index) -> None:
    high = nw.Index.build(many, first_tree=1)
    whole = nw.Index.build(many, n_trees=2)
    assert nw.Index.merge([high, grown]).to_bytes() == whole.to_bytes()
