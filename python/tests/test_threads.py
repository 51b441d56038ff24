"""Threads and forks. Ctrl-C is in test_interrupts.py, missing threads are in test_limits.py."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import clustered

import nearwood as nw


def is_released_by(work: Callable[[], object]) -> bool:
    """Whether another Python thread comes to run while `work` does.

    With so long an interval no thread is made to give the interpreter up: the other thread runs
    only where it is released. It may miss a short moment, so there are many.
    """
    begun, over = threading.Event(), threading.Event()
    rounds = 0

    def count() -> None:
        nonlocal rounds
        begun.set()
        while not over.is_set():
            rounds += 1
            time.sleep(0)

    interval = sys.getswitchinterval()
    thread = threading.Thread(target=count)
    thread.start()
    begun.wait()
    sys.setswitchinterval(1000)
    # What was asked for with the interval before is over then.
    time.sleep(0.01)
    try:
        for _ in range(300):
            before = rounds
            work()
            if rounds > before:
                return True
        return False
    finally:
        sys.setswitchinterval(interval)
        over.set()
        thread.join()


def test_what_holds_the_interpreter_is_seen() -> None:
    assert not is_released_by(lambda: sum(range(10000)))
    assert is_released_by(lambda: time.sleep(0.01))


def test_long_calls_release_the_interpreter(tmp_path: Path) -> None:
    vectors = clustered(20000, 48)
    index = nw.Index.build(vectors)
    names = [f"item {row}" for row in range(len(vectors))]
    named = nw.Index.build(vectors, ids=names)
    rows = sp.random_array((1000, 1000), density=0.03, format="csr", rng=0)
    model = nw.AlternatingLeastSquares(32, iterations=1).fit(rows, progress=False)
    rec = nw.Recommender.fit(rows, factors=32, iterations=1, progress=False)
    data, pickled = index.to_bytes(), pickle.dumps(model)
    factors = np.ones((100000, 32), np.float32)
    plays = nw.Interactions.from_matrix(rows)
    large = nw.AlternatingLeastSquares(32).set_factors(factors, factors)
    calls = {
        "build": lambda: nw.Index.build(vectors[:3000]),
        "search_exact": lambda: index.search_exact(vectors[:300], n_threads=1),
        "search": lambda: index.search(vectors, budget=300, n_threads=1),
        "search_ids": lambda: index.search_ids(np.arange(300)),
        "radius": lambda: index.radius(vectors[:300], 0.5),
        "recall": lambda: index.recall(vectors[:300]),
        "vectors": lambda: index.vectors(np.arange(20000)),
        "to_bytes": index.to_bytes,
        "from_bytes": lambda: nw.Index.from_bytes(data),
        "pickle": lambda: pickle.dumps(index),
        "save": lambda: index.save(tmp_path / "i.nw"),
        "verify": lambda: nw.Index.verify(tmp_path / "i.nw"),
        "text filter": lambda: named.search(vectors[0], filter=names),
        "fit": lambda: model.fit(rows, progress=False),
        "als pickle": lambda: pickle.dumps(model),
        "als unpickle": lambda: pickle.loads(pickled),
        "user_factors": lambda: large.user_factors,
        "set_factors": lambda: nw.AlternatingLeastSquares(32).set_factors(factors, factors),
        "fold_in": lambda: model.fold_in(rows),
        "recommend_all": lambda: rec.recommend_all(5),
        "split": lambda: plays.split(),
        "weighted": lambda: plays.weighted("bm25"),
    }
    held = [name for name, call in calls.items() if not is_released_by(call)]
    assert held == []


def test_eight_threads_search_one_index(vectors: np.ndarray, index: nw.Index) -> None:
    shared = nw.Filter(np.arange(0, 3000, 2))

    def singles(**options: object) -> list[object]:
        return [[a.tolist() for a in index.search(v, 5, **options)] for v in vectors[:200]]

    def near() -> list[object]:
        lists = index.radius(vectors[:50], 4.0, n_threads=2)
        return [[a.tolist() for a in pair] for pair in lists]

    # What one thread alone was told.
    wanted, even, within = singles(), singles(filter=shared), near()
    batch = [
        [row.tolist() for row in pair] for pair in zip(*index.search(vectors[:100], 5), strict=True)
    ]
    assert batch == wanted[:100]

    def ask(_: int) -> bool:
        batch = index.search(vectors[:100], 5)
        together = [[row.tolist() for row in pair] for pair in zip(*batch, strict=True)]
        alone = singles() == wanted and singles(filter=shared) == even
        return alone and together == wanted[:100] and near() == within

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(16)))


def answers(index: nw.Index, queries: np.ndarray) -> bytes:
    ids, distances = index.search(queries, 5, n_threads=2)
    return ids.tobytes() + distances.tobytes()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_searches_after_the_parent_used_its_threads() -> None:
    vectors = clustered(3000, 16)
    index = nw.Index.build(vectors, n_threads=2)
    wanted = answers(index, vectors)
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        # Whatever happens, the child ends here and not in the test runner.
        try:
            rebuilt = nw.Index.build(vectors, n_threads=2).to_bytes() == index.to_bytes()
            good = answers(index, vectors) == wanted and rebuilt
            os.write(send, b"y" if good else b"n")
        finally:
            os._exit(0)
    os.close(send)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and os.waitpid(child, os.WNOHANG) == (0, 0):
        time.sleep(0.01)
    os.set_blocking(receive, False)
    assert os.read(receive, 1) == b"y"
    os.close(receive)
    assert answers(index, vectors) == wanted


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes(method: str) -> None:
    vectors = clustered(2000, 8)
    index = nw.Index.build(vectors)
    wanted = answers(index, vectors)
    with multiprocessing.get_context(method).Pool(2) as pool:
        results = pool.starmap_async(answers, [(index, vectors)] * 4)
        assert results.get(timeout=120) == [wanted] * 4
