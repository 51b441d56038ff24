"""`nearwood.sklearn`: scikit-learn's own checks, and its consumers of a neighbours graph."""

from __future__ import annotations

import doctest
import pickle
import subprocess
import sys

import numpy as np
import pytest
from conftest import clustered
from sklearn.base import clone
from sklearn.cluster import DBSCAN, SpectralClustering
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.manifold import TSNE, Isomap
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsTransformer
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

import nearwood.sklearn
from nearwood.sklearn import NearwoodTransformer

#: Checks of scikit-learn that do not run: it leaves out input of other array libraries unless an
#: environment variable is set before scipy is imported.
NOT_RUN = {"check_array_api_input"}


@pytest.fixture(scope="module")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    samples, labels = make_blobs(150, n_features=6, centers=3, random_state=0)
    return samples.astype(np.float32), labels


@pytest.mark.parametrize(
    "params", [{}, {"mode": "connectivity", "metric": "cosine", "recall": 1.0}], ids=str
)
def test_the_checks_of_scikit_learn(params: dict[str, object]) -> None:
    done = check_estimator(NearwoodTransformer(**params), on_skip=None, on_fail="raise")
    assert len(done) > 40
    assert {d["check_name"] for d in done if d["status"] != "passed"} <= NOT_RUN


@pytest.mark.parametrize("mode", ["distance", "connectivity"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan"])
@pytest.mark.parametrize("new", [False, True], ids=["training", "new"])
def test_the_graph_is_the_exact_one(mode: str, metric: str, new: bool) -> None:
    train, queries = clustered(400, 12), clustered(30, 12, seed=1)
    ours = NearwoodTransformer(n_neighbors=7, mode=mode, metric=metric, recall=1.0)
    exact = KNeighborsTransformer(n_neighbors=7, mode=mode, metric=metric)
    if new:
        got, wanted = (t.fit(train).transform(queries) for t in (ours, exact))
    else:
        got, wanted = (t.fit_transform(train) for t in (ours, exact))
    assert got.format == "csr" and got.shape == wanted.shape and got.dtype == np.float64
    assert got.indptr.tolist() == wanted.indptr.tolist()
    assert np.abs(got - wanted).max() < 1e-4
    if mode == "distance":
        width = ours.n_neighbors + 1
        assert (np.diff(got.data.reshape(-1, width)) >= 0).all()


@pytest.mark.parametrize("mode", ["distance", "connectivity"])
@pytest.mark.parametrize("recall", [0.5, 1.0])
def test_every_sample_comes_first_even_among_its_duplicates(mode: str, recall: float) -> None:
    samples = np.repeat(clustered(100, 5), 4, axis=0)
    graph = NearwoodTransformer(n_neighbors=3, mode=mode, recall=recall).fit_transform(samples)
    width = 4 if mode == "distance" else 3
    assert graph.indices.reshape(-1, width)[:, 0].tolist() == list(range(400))
    assert graph.diagonal().tolist() == [float(mode == "connectivity")] * 400
    assert all(len(set(row)) == width for row in graph.indices.reshape(-1, width).tolist())


def test_one_neighbour_by_connectivity_is_the_sample_itself() -> None:
    samples = clustered(20, 3)
    graph = NearwoodTransformer(n_neighbors=1, mode="connectivity").fit_transform(samples)
    assert (graph.toarray() == np.eye(20)).all()


def test_in_a_pipeline_with_dbscan(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    samples, _ = blobs
    ours = NearwoodTransformer(n_neighbors=20, recall=1.0)
    pipeline = make_pipeline(ours, DBSCAN(eps=1.8, min_samples=5, metric="precomputed"))
    wanted = DBSCAN(eps=1.8, min_samples=5).fit_predict(samples)
    assert 1 < len(set(wanted)) < 20
    assert pipeline.fit_predict(samples).tolist() == wanted.tolist()


def test_in_a_pipeline_with_a_classifier(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    samples, _ = blobs
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=len(samples))
    train, test = samples[:120], samples[120:]
    ours = NearwoodTransformer(n_neighbors=15, recall=1.0)
    classifier = KNeighborsClassifier(n_neighbors=9, metric="precomputed")
    pipeline = make_pipeline(ours, classifier).fit(train, labels[:120])
    exact = KNeighborsClassifier(n_neighbors=9).fit(train, labels[:120])
    assert pipeline.predict(test).tolist() == exact.predict(test).tolist()
    assert np.allclose(pipeline.predict_proba(test), exact.predict_proba(test))


def test_in_a_pipeline_with_isomap() -> None:
    samples = np.random.default_rng(0).uniform(size=(150, 3)).astype(np.float32)
    ours = make_pipeline(
        NearwoodTransformer(n_neighbors=15, recall=1.0),
        Isomap(n_neighbors=15, metric="precomputed", eigen_solver="dense"),
    )
    wanted = Isomap(n_neighbors=15, eigen_solver="dense").fit_transform(samples)
    assert np.allclose(np.abs(ours.fit_transform(samples)), np.abs(wanted), atol=1e-3)


def test_in_a_pipeline_with_spectral_clustering(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    samples, labels = blobs
    clustering = SpectralClustering(
        n_clusters=3, affinity="precomputed_nearest_neighbors", n_neighbors=60, random_state=0
    )
    pipeline = make_pipeline(NearwoodTransformer(n_neighbors=60), clustering)
    assert adjusted_rand_score(pipeline.fit_predict(samples), labels) == 1.0


def test_in_a_pipeline_with_tsne(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    samples, labels = blobs
    tsne = TSNE(metric="precomputed", init="random", perplexity=10, max_iter=300, random_state=0)
    maps, losses = [], []
    for transformer in (NearwoodTransformer, KNeighborsTransformer):
        pipeline = make_pipeline(transformer(n_neighbors=31), clone(tsne))
        maps.append(pipeline.fit_transform(samples))
        losses.append(pipeline[-1].kl_divergence_)
    nearest = KNeighborsClassifier(n_neighbors=5).fit(maps[0], labels)
    assert nearest.score(maps[0], labels) == 1.0
    assert losses[0] == pytest.approx(losses[1], rel=0.2)


def test_threads_copies_and_pickles_give_the_same_graph() -> None:
    samples = clustered(3000, 8)
    one = NearwoodTransformer(n_neighbors=4, recall=0.8, random_state=3, n_jobs=1)
    graph = one.fit_transform(samples)
    others = [clone(one).set_params(n_jobs=2).fit(samples), pickle.loads(pickle.dumps(one))]
    for other in others:
        assert other.index_.to_bytes() == one.index_.to_bytes()
        assert (other.transform(samples[:50]) != one.transform(samples[:50])).nnz == 0
    again = clone(one).fit_transform(samples)
    assert (graph != again).nnz == 0


def test_parameters_reach_the_index() -> None:
    samples = clustered(300, 8)
    params = {"storage": "float16", "graph": True, "metric": "cosine"}
    index = NearwoodTransformer(**params).fit(samples).index_
    assert index.info()["storage"] == "float16" and index.has_graph and index.metric == "angular"
    drawn = [NearwoodTransformer(random_state=np.random.RandomState(s)) for s in (1, 1, 2)]
    seeds = [one.fit(samples).index_.info()["seed"] for one in drawn]
    assert seeds[0] == seeds[1] != seeds[2]


def test_names_of_features() -> None:
    import pandas as pd

    frame = pd.DataFrame(clustered(40, 3), columns=["a", "b", "c"])
    fitted = NearwoodTransformer().fit(frame)
    assert fitted.feature_names_in_.tolist() == ["a", "b", "c"] and fitted.n_features_in_ == 3
    names = fitted.get_feature_names_out()
    assert len(names) == fitted.n_samples_fit_ == 40 and names[39] == "nearwoodtransformer39"
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.transform(frame[["c", "b", "a"]])


def test_what_is_refused() -> None:
    samples = clustered(6, 3)
    cases: list[tuple[dict[str, object], str]] = [
        ({"mode": "both"}, "mode is 'both', expected 'distance' or 'connectivity'"),
        ({"n_neighbors": 0}, "n_neighbors is 0, expected an int of 1 or more"),
        ({"n_neighbors": 2.5}, r"n_neighbors is 2\.5, expected an int"),
        ({"metric": "dot"}, "metric is 'dot', expected a distance: one of euclidean"),
        ({"storage": "bfloat16"}, "bfloat16"),
        ({"n_neighbors": True}, "n_neighbors is True, expected an int"),
        ({"recall": 1.5}, r"recall is 1\.5, expected above 0 and at most 1"),
        ({"recall": "all"}, "recall is 'all', expected above 0 and at most 1"),
        ({"random_state": -1}, "random_state is -1, expected an int of 0 or more"),
        ({"n_neighbors": 6}, "n_neighbors is 6, which takes 7 training samples, and there are"),
    ]
    for params, text in cases:
        with pytest.raises(ValueError, match=text):
            NearwoodTransformer(**{"n_neighbors": 2, **params}).fit_transform(samples)
    with pytest.raises(NotFittedError):
        NearwoodTransformer().transform(samples)


def test_without_scikit_learn_it_says_what_to_install() -> None:
    script = "import sys; sys.modules['sklearn'] = None; import nearwood.sklearn"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'nearwood[sklearn]'" in done.stderr.splitlines()[-1]


def test_the_examples_in_the_docstrings_run() -> None:
    done = doctest.testmod(nearwood.sklearn)
    assert done.attempted > 0 and done.failed == 0
