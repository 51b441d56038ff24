"""Threads, forks and Ctrl-C."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import clustered

import nearwood as nw


def ticks_during(work: Callable[[], object]) -> tuple[int, float]:
    """How often another Python thread came to run while `work` did, and for how long."""
    ticks: list[float] = []
    over = threading.Event()

    def tick() -> None:
        while not over.wait(0.001):
            ticks.append(time.monotonic())

    thread = threading.Thread(target=tick)
    thread.start()
    start = time.monotonic()
    work()
    end = time.monotonic()
    over.set()
    thread.join()
    return sum(start < at < end for at in ticks), end - start


def test_long_calls_release_the_interpreter() -> None:
    vectors = clustered(30000, 48)
    index = nw.Index.build(vectors)
    rows = sp.random_array((3000, 3000), density=0.03, format="csr", rng=0)
    model = nw.AlternatingLeastSquares(32, iterations=4)
    calls = [
        lambda: nw.Index.build(vectors),
        lambda: index.search_exact(vectors[:4000], n_threads=1),
        lambda: index.search(vectors, budget=3000, n_threads=1),
        lambda: model.fit(rows),
        lambda: index.recall(vectors[:500]),
    ]
    for call in calls:
        ticks, seconds = ticks_during(call)
        # A thread that waits for the interpreter would tick once or twice.
        assert seconds > 0.03, "too short to tell"
        assert ticks >= 5, f"{ticks} in {seconds:.2f} s"


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


SCRIPTS = {
    "training": """
        import scipy.sparse as sp
        rows = sp.random_array((20000, 20000), density=0.002, format="csr", rng=0)
        model = nw.AlternatingLeastSquares(128, iterations=10000)
        work = lambda: model.fit(rows)
    """,
    "recommender": """
        import scipy.sparse as sp
        rows = sp.random_array((20000, 20000), density=0.002, format="csr", rng=0)
        work = lambda: nw.Recommender.fit(rows, factors=128, iterations=10000)
    """,
    "build": """
        rows = np.random.default_rng(0).normal(size=(20000, 32)).astype(np.float32)
        work = lambda: nw.Index.build(rows, n_trees=1000)
    """,
    "one tree": """
        rows = np.random.default_rng(0).normal(size=(400000, 64)).astype(np.float32)
        work = lambda: nw.Index.build(rows)
    """,
    "batch": """
        rows = np.random.default_rng(0).normal(size=(20000, 64)).astype(np.float32)
        index = nw.Index.build(rows, graph=False)
        queries = np.tile(rows, (200, 1))
        work = lambda: index.search(queries, budget=20000)
    """,
    "walks": """
        rows = np.random.default_rng(0).normal(size=(10000, 32)).astype(np.float32)
        index = nw.Index.build(rows)
        queries = np.tile(rows, (200, 1))
        work = lambda: index.search(queries, recall=0.99)
    """,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_ctrl_c(name: str) -> None:
    # A shell that runs the tests in the background has them ignore SIGINT: not so their children.
    script = f"""
import signal, numpy as np, nearwood as nw
signal.signal(signal.SIGINT, signal.default_int_handler)
{textwrap.dedent(SCRIPTS[name])}
print("ready", flush=True)
try:
    work()
except KeyboardInterrupt:
    print("stopped", flush=True)
else:
    print("done", flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        assert process.communicate(timeout=60)[0] == "stopped\n"
        assert time.monotonic() - start < 10
        assert process.returncode == 0
    finally:
        process.kill()
