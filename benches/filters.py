"""Filtered searches at recall 0.95 beside an exact scan of what passes: Python, one thread, k = 10.

    python benches/filters.py photosift factors-a1 [--out run.jsonl]

For each share of the items that pass: at random ("random"), or the items nearest to one of them
("near": queries then lie anywhere, mostly far from what passes). CPU time of 200 queries, the
median of some rounds in turn. Data as in peers.py.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from tables import Rows, of_sets
from truth import Data

import nearwood as nw

SHARES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.001, 0.0001)
QUERIES = 200


def allowed(kind: str, share: float, base: np.ndarray) -> np.ndarray:
    random = np.random.default_rng(7)
    count = max(1, round(share * len(base)))
    if kind == "random":
        return random.choice(len(base), count, replace=False)
    middle = base[random.integers(len(base))]
    return np.argsort(((base - middle) ** 2).sum(axis=1))[:count]


def seconds(search: Callable[[np.ndarray], object], queries: np.ndarray) -> float:
    start = time.process_time()
    for query in queries:
        search(query)
    return max(time.process_time() - start, 1e-9)


def measure(data: Data, rounds: int, rows: Rows) -> None:
    base, queries, _ = data.load()
    # Of a folder of few queries the calibration is left to make up its own.
    users = queries[QUERIES:] if data.metric == "dot" and len(queries) > QUERIES else None
    index = nw.Index.build(base, metric=data.metric, calibration_queries=users)
    queries = queries[:QUERIES]
    for kind in ("random", "near"):
        for share in SHARES:
            passing = nw.Filter(allowed(kind, share, base))
            near = lambda q: index.search(q, 10, filter=passing)  # noqa: B023, E731
            exact = lambda q: index.search_exact(q, 10, filter=passing)  # noqa: B023, E731
            times: dict[str, list[float]] = {"near": [], "exact": []}
            for _ in range(rounds):
                times["near"].append(seconds(near, queries))
                times["exact"].append(seconds(exact, queries))
            recall = index.recall(queries, 10, filter=passing)
            a, b = (1e6 * statistics.median(times[side]) / len(queries) for side in times)
            about = {"data": data.name, "passes": kind, "share": share, "recall": recall}
            rows.add(**about, near=a, exact=b, ratio=b / a, rounds=list(times.values()))


if __name__ == "__main__":
    of_sets("filters", __doc__, ("photosift", "factors-a1"), 3, measure)
