"""One query at a time from Python, one thread, k = 10: nearwood beside Annoy and beside full scans.

    make bench-peers          (or: python benches/peers.py, with nearwood and annoy installed)

Data: the folders photosift, gowalla, factors-a1 and factors-a20 of NEARWOOD_DATA (../shared/data
unless told); a folder that is absent is said loudly and left out. Truth is brute force in numpy.
Each side's work is set, by bisection, to the least that reaches the recall; then all are timed in
turn, five rounds, and the medians are quoted.
"""

from __future__ import annotations

import gzip
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from annoy import AnnoyIndex

import nearwood as nw

DATA = Path(os.environ.get("NEARWOOD_DATA", Path(__file__).parents[2] / "shared" / "data"))
K = 10
RECALL = 0.95
ROUNDS = 5
ANNOY_TREES = (10, 20, 50, 100, 200)
Search = Callable[[np.ndarray], "np.ndarray | list[int]"]


def true_thresholds(base: np.ndarray, queries: np.ndarray, metric: str) -> np.ndarray:
    """The key of each query's K-th true neighbour; smaller keys are nearer. In float64."""
    base, queries = base.astype(np.float64), queries.astype(np.float64)
    squares = np.zeros(len(base)) if metric == "dot" else (base**2).sum(axis=1)
    factor = -1.0 if metric == "dot" else -2.0
    thresholds = []
    for block in np.array_split(queries, -(-len(queries) // 50)):
        all_keys = factor * (block @ base.T) + squares
        kth = np.partition(all_keys, K - 1, axis=1)[:, K - 1]
        thresholds.append(kth + (0.0 if metric == "dot" else (block**2).sum(axis=1)))
    return np.concatenate(thresholds)


def keys(rows: np.ndarray, query: np.ndarray, metric: str) -> np.ndarray:
    rows, query = rows.astype(np.float64), query.astype(np.float64)
    return -(rows @ query) if metric == "dot" else ((rows - query) ** 2).sum(axis=1)


def recall(search: Search, base, queries, thresholds, metric: str) -> float:
    hits = 0
    for query, threshold in zip(queries, thresholds, strict=True):
        found = np.asarray(search(query))
        limit = threshold + 1e-6 * abs(threshold)
        hits += int((keys(base[found[found >= 0]], query, metric) <= limit).sum())
    return hits / (K * len(queries))


def least_work(make: Callable[[int], Search], most: int, *truth) -> tuple[int, float] | None:
    """The least work that reaches RECALL, to within 3%."""
    low, high = K, most
    best = recall(make(high), *truth)
    if best < RECALL:
        return None
    while high > low * 1.03 + 1:
        middle = int((low * high) ** 0.5)
        got = recall(make(middle), *truth)
        low, high, best = (low, middle, got) if got >= RECALL else (middle, high, best)
    return high, best


def seconds(search: Search, queries: np.ndarray) -> float:
    start = time.perf_counter()
    for query in queries:
        search(query)
    return time.perf_counter() - start


def race(contestants: dict[str, Search], queries: np.ndarray) -> dict[str, float]:
    """Queries per second of each, the median of rounds in turn after a warm-up."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for search in contestants.values():
        seconds(search, queries[:50])
    for _ in range(ROUNDS):
        for name, search in contestants.items():
            times[name].append(seconds(search, queries))
    return {name: len(queries) / statistics.median(t) for name, t in times.items()}


def cpu_seconds(job: Callable[[], object]) -> tuple[object, float]:
    start = time.process_time()
    result = job()
    return result, time.process_time() - start


def annoy_index(base: np.ndarray, trees: int) -> AnnoyIndex:
    index = AnnoyIndex(base.shape[1], "euclidean")
    index.set_seed(1)
    for i, row in enumerate(base):
        index.add_item(i, row)
    index.build(trees, n_jobs=1)
    return index


def against_annoy(name: str) -> None:
    base, queries = load(name)
    truth = (base, queries, true_thresholds(base, queries, "euclidean"), "euclidean")
    rows, contestants = [], {}
    ours, cpu = cpu_seconds(lambda: nw.Index.build(base, metric="euclidean", n_threads=1))

    def ours_with(budget: int) -> Search:
        return lambda q: ours.search(q, k=K, budget=budget)[0]

    def annoy_with(index: AnnoyIndex) -> Callable[[int], Search]:
        return lambda work: lambda q: index.get_nns_by_vector(q, K, work)

    for label, make, most, build in [("nearwood", ours_with, len(base), cpu)] + [
        (f"annoy, {t} trees", annoy_with(index), 40 * len(base) // 10, cpu)
        for t in ANNOY_TREES
        for index, cpu in [cpu_seconds(lambda t=t: annoy_index(base, t))]
    ]:
        work = least_work(make, most, *truth)
        if work is None:
            print(f"  {label}: recall {RECALL} not reached", file=sys.stderr)
            continue
        contestants[label] = make(work[0])
        rows.append((label, work[0], work[1], build))
    promise = lambda q: ours.search(q, k=K)[0]  # noqa: E731
    contestants["nearwood, as it comes"] = promise
    rows.append(("nearwood, as it comes", "recall=0.95", recall(promise, *truth), cpu))
    table(name, rows, race(contestants, queries), "build CPU s")


def against_scans(name: str, base: np.ndarray, queries: np.ndarray) -> None:
    truth = (base, queries, true_thresholds(base, queries, "dot"), "dot")
    calibration = queries[len(queries) // 2 :]
    queries = queries[: len(queries) // 2]
    truth = (base, queries, truth[2][: len(queries)], "dot")
    index, cpu = cpu_seconds(
        lambda: nw.Index.build(base, metric="dot", n_threads=1, calibration_queries=calibration)
    )

    def ours_with(budget: int) -> Search:
        return lambda q: index.search(q, k=K, budget=budget)[0]

    def numpy_scan(query: np.ndarray) -> np.ndarray:
        products = base @ query
        return np.argpartition(products, -K)[-K:]

    work = least_work(ours_with, len(base), *truth)
    contestants: dict[str, Search] = {
        "nearwood": ours_with(work[0]),
        "nearwood, as it comes": lambda q: index.search(q, k=K)[0],
        "nearwood, float32 scan": lambda q: index.search_exact(q, k=K)[0],
        "numpy, float32 scan": numpy_scan,
    }
    given = {"nearwood": work[0], "nearwood, as it comes": "recall=0.95"}
    rows = [
        (label, given.get(label, len(base)), recall(search, *truth), cpu)
        for label, search in contestants.items()
    ]
    table(name, rows, race(contestants, queries), "build CPU s")


def batches(name: str, metric: str) -> None:
    """One thread: the queries in a loop beside the same queries as one batch."""
    base, queries = load(name)
    truth = (base, queries, "dot" if metric == "dot" else "euclidean")
    thresholds = true_thresholds(base, queries, truth[2])
    users = queries if metric == "dot" else None
    index = nw.Index.build(base, metric=metric, n_threads=1, calibration_queries=users)
    options = [{"recall": r} for r in (0.9, 0.95, 0.99)] + [{"budget": len(base)}]
    for given in options:
        loop = lambda: [index.search(q, k=K, **given) for q in queries]  # noqa: B023, E731
        batch = lambda: index.search(queries, k=K, n_threads=1, **given)  # noqa: B023, E731
        found = dict(zip(map(bytes, queries), batch()[0], strict=True))
        got = recall(lambda q: found[bytes(q)], base, queries, thresholds, truth[2])  # noqa: B023
        times: dict[str, list[float]] = {"loop": [], "batch": []}
        for _ in range(ROUNDS):
            for side, job in (("loop", loop), ("batch", batch)):
                start = time.perf_counter()
                job()
                times[side].append(time.perf_counter() - start)
        one, many = (len(queries) / statistics.median(times[side]) for side in ("loop", "batch"))
        asked = " ".join(f"{key}={value}" for key, value in given.items())
        print(f"| {name} | {asked} | {got:.4f} | {one:,.0f} | {many:,.0f} | {many / one:.2f} x |")
        sys.stdout.flush()


def all_batches() -> None:
    print(f"\n### batches of 1,000\n\n| data | asked | recall@{K} | loop | batch | |")
    print("|---|---|---|---|---|---|")
    for name, metric in (
        ("photosift", "euclidean"),
        ("gloss", "angular"),
        ("factors-a1", "dot"),
        ("factors-a20", "dot"),
    ):
        if (DATA / name).is_dir():
            batches(name, metric)
        else:
            print(f"NOT RUN: {name} is not in {DATA} (set NEARWOOD_DATA)", file=sys.stderr)


def table(name: str, rows, speeds: dict[str, float], last: str) -> None:
    ours = speeds["nearwood"]
    print(f"\n### {name}\n\n| | work | recall@{K} | queries/s | nearwood is | {last} |")
    print("|---|---|---|---|---|---|")
    for label, work, got, build in rows:
        ratio = f"{ours / speeds[label]:.2f} x"
        print(f"| {label} | {work} | {got:.4f} | {speeds[label]:,.0f} | {ratio} | {build:.2f} |")
    sys.stdout.flush()


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    folder = DATA / name
    read = lambda part: np.load(folder / f"{part}.npy").astype(np.float32)  # noqa: E731
    return read("base"), read("queries")


def trained_factors() -> tuple[np.ndarray, np.ndarray]:
    """Item and 1,000 user factors of a model trained here on gowalla."""
    with gzip.open(DATA / "gowalla" / "train.txt.gz", "rt") as lines:
        lists = [np.array(line.split(), dtype=np.int64) for line in lines]
    users = np.concatenate([np.full(len(row) - 1, row[0]) for row in lists])
    items = np.concatenate([row[1:] for row in lists])
    data = nw.Interactions.from_columns(users, items)
    model = nw.AlternatingLeastSquares(factors=64, iterations=15, random_state=1, n_threads=1)
    model.fit(data, progress=False)
    picked = np.random.default_rng(0).choice(len(model.user_factors), 1000, replace=False)
    return model.item_factors, model.user_factors[picked]


def main() -> None:
    print(f"k = {K}, one thread, one query at a time from Python, recall {RECALL}")
    jobs: list[tuple[str, str, Callable[[], None]]] = [
        ("photosift", "photosift (euclidean)", lambda: against_annoy("photosift")),
        (
            "gowalla",
            "",
            lambda: against_scans("item factors trained here on gowalla (dot)", *trained_factors()),
        ),
        ("factors-a1", "", lambda: against_scans("factors-a1 (dot)", *load("factors-a1"))),
        ("factors-a20", "", lambda: against_scans("factors-a20 (dot)", *load("factors-a20"))),
    ]
    only = set(sys.argv[1:])
    if not only or "batches" in only:
        all_batches()
    for folder, _, job in jobs:
        if only and folder not in only:
            continue
        if (DATA / folder).is_dir():
            job()
        else:
            print(f"NOT RUN: {folder} is not in {DATA} (set NEARWOOD_DATA)", file=sys.stderr)


if __name__ == "__main__":
    main()
