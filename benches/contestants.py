"""The peers that `peers.py` measures nearwood against, each behind the same few calls.

A contestant is a built index, its CPU seconds of building, and a list of settings from little work
to much; a setting gives a search for one query and one for a batch. Every library runs on one
thread, and with every instruction set its package has.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

import nearwood as nw

K = 10
One = Callable[[np.ndarray], np.ndarray]


@dataclass
class Setting:
    """How hard to try: its name for the table, and the searches."""

    name: str
    one: One
    many: One | None = None


@dataclass
class Contestant:
    """A built index."""

    family: str
    name: str
    build_seconds: float
    settings: list[Setting]


def geometric(low: float, high: float, ratio: float = 1.25) -> list[int]:
    """Whole numbers from low to high, each about `ratio` times the last."""
    steps = [low]
    while steps[-1] * ratio < high:
        steps.append(steps[-1] * ratio)
    return sorted({round(s) for s in [*steps, high]})


def timed(job: Callable[[], object]) -> tuple[object, float]:
    start = time.process_time()
    result = job()
    return result, time.process_time() - start


def nearwood_setting(index: nw.Index, name: str, **given) -> Setting:
    return Setting(
        name,
        lambda q: index.search(q, k=K, **given)[0],
        lambda qs: index.search(qs, k=K, n_threads=1, **given)[0],
    )


def nearwood(base: np.ndarray, metric: str) -> Iterator[Contestant]:
    index, cpu = timed(lambda: nw.Index.build(base, metric=metric, n_threads=1))

    def setting(name: str, **given) -> Setting:
        return nearwood_setting(index, name, **given)

    budgets = geometric(50, len(base), 1.1)
    yield Contestant(
        "nearwood", "nearwood", cpu, [setting(f"budget={b}", budget=b) for b in budgets]
    )
    for recall in (0.9, 0.95, 0.99):
        yield Contestant(
            f"nearwood recall={recall}", "as it comes", cpu, [setting("", recall=recall)]
        )


def annoy(base: np.ndarray, metric: str) -> Iterator[Contestant]:
    from annoy import AnnoyIndex

    for trees in (50, 100, 200):
        index = AnnoyIndex(base.shape[1], metric)
        index.set_seed(1)

        def build(index=index, trees=trees):
            for i, row in enumerate(base):
                index.add_item(i, row)
            index.build(trees, n_jobs=1)

        _, cpu = timed(build)
        yield Contestant(
            "annoy",
            f"annoy, {trees} trees",
            cpu,
            [
                Setting(
                    f"search_k={s}",
                    lambda q, s=s, index=index: np.array(index.get_nns_by_vector(q, K, s)),
                )
                for s in geometric(500, 2 * len(base), 1.3)
            ],
        )


def hnswlib(base: np.ndarray, metric: str) -> Iterator[Contestant]:
    import hnswlib as library

    space = {"euclidean": "l2", "angular": "cosine", "dot": "ip"}[metric]
    for m in (16, 32):
        index = library.Index(space, base.shape[1])
        index.init_index(len(base), ef_construction=200, M=m, random_seed=1)
        _, cpu = timed(lambda index=index: index.add_items(base, num_threads=1))
        index.set_num_threads(1)

        def search(qs: np.ndarray, ef: int, index=index) -> np.ndarray:
            index.set_ef(ef)
            return index.knn_query(qs, K, num_threads=1)[0].astype(np.int64)

        yield Contestant(
            "hnswlib",
            f"hnswlib, M={m}",
            cpu,
            [
                Setting(
                    f"ef={ef}",
                    lambda q, ef=ef, search=search: search(q, ef)[0],
                    lambda qs, ef=ef, search=search: search(qs, ef),
                )
                for ef in geometric(10, 1000, 1.12)
            ],
        )


def faiss(base: np.ndarray, metric: str) -> Iterator[Contestant]:
    import faiss as library

    library.omp_set_num_threads(1)
    if metric == "angular":
        base = base / np.linalg.norm(base, axis=1, keepdims=True)
    kind = library.METRIC_L2 if metric == "euclidean" else library.METRIC_INNER_PRODUCT
    dim = base.shape[1]
    lists = 4 * int(len(base) ** 0.5) // 4
    for spec in (f"IVF{lists},Flat", f"IVF{lists},PQ{dim // 2}x4fsr,RFlat", "HNSW32"):
        index = library.index_factory(dim, spec, kind)

        def build(index=index):
            index.train(base)
            index.add(base)

        _, cpu = timed(build)
        yield Contestant("faiss", f"faiss, {spec}", cpu, list(_faiss_settings(index, spec)))


def _faiss_settings(index, spec: str) -> Iterator[Setting]:
    import faiss as library

    def setting(name: str, parameters) -> Setting:
        search = lambda qs: index.search(qs, K, params=parameters)[1]  # noqa: E731
        return Setting(name, lambda q: search(q[None])[0], search)

    if spec == "HNSW32":
        for ef in geometric(10, 1500, 1.25):
            yield setting(f"efSearch={ef}", library.SearchParametersHNSW(efSearch=ef))
        return
    for probe in geometric(1, index.nlist if hasattr(index, "nlist") else 400, 1.25):
        parameters = library.SearchParametersIVF(nprobe=probe)
        if "RFlat" not in spec:
            yield setting(f"nprobe={probe}", parameters)
            continue
        for factor in (3, 10):
            refined = library.IndexRefineSearchParameters(
                k_factor=factor, base_index_params=parameters
            )
            yield setting(f"nprobe={probe}, k_factor={factor}", refined)


def scann(base: np.ndarray, metric: str) -> Iterator[Contestant]:
    import scann as library

    if metric == "angular":
        base = base / np.linalg.norm(base, axis=1, keepdims=True)
    distance = "squared_l2" if metric == "euclidean" else "dot_product"
    leaves = int(len(base) ** 0.5)

    def build(threshold: float):
        builder = library.scann_ops_pybind.builder(base, K, distance)
        builder = builder.tree(leaves, 10, training_sample_size=min(len(base), 250_000))
        builder = builder.score_ah(2, anisotropic_quantization_threshold=threshold)
        return builder.reorder(100).set_n_training_threads(1).build()

    for threshold in (0.2, float("nan")):
        index, cpu = timed(lambda threshold=threshold: build(threshold))
        name = "scann" if threshold == 0.2 else "scann, isotropic"

        def setting(probe: int, reorder: int, index=index) -> Setting:
            given = {"leaves_to_search": probe, "pre_reorder_num_neighbors": reorder}
            return Setting(
                f"leaves={probe}, reorder={reorder}",
                lambda q: index.search(q, K, **given)[0],
                lambda qs: index.search_batched(qs, K, **given)[0],
            )

        settings = [setting(p, r) for p in geometric(1, leaves, 1.3) for r in (20, 50, 150)]
        yield Contestant("scann", name, cpu, settings)


PEERS = {"annoy": annoy, "hnswlib": hnswlib, "faiss": faiss, "scann": scann}


def quiet() -> None:
    """What libraries read from the environment before they are imported."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
