"""Generated sets larger than the stored ones: Python, one thread a query, k = 10.

    python benches/large.py

1 million and 200,000 factors by inner product, with heavy-tailed lengths, calibrated without and
with queries; and 5 million vectors in clusters, whose leaves stand in groups.
"""

from __future__ import annotations

import time

import numpy as np
from generated import factors

import nearwood as nw


def clusters(n: int, dim: int, seed: int) -> np.ndarray:
    middles = 2 * np.random.default_rng(0).normal(size=(2000, dim)).astype(np.float32)
    random = np.random.default_rng(seed)
    spread = random.normal(size=(n, dim), scale=0.7).astype(np.float32)
    return middles[random.integers(len(middles), size=n)] + spread


def measure(what: str, base: np.ndarray, queries: np.ndarray, metric: str, users=None) -> None:
    start = time.process_time()
    index = nw.Index.build(base, metric=metric, calibration_queries=users)
    built = time.process_time() - start
    for asked in (0.9, 0.95, 0.99):
        for query in queries[:50]:
            index.search(query, recall=asked)
        start = time.process_time()
        for query in queries:
            index.search(query, recall=asked)
        micros = 1e6 * (time.process_time() - start) / len(queries)
        found = index.recall(queries, recall=asked)
        print(f"| {what} | {built:.1f} | {asked} | {found:.4f} | {micros:,.0f} |", flush=True)


def main() -> None:
    print("| data | build CPU s | recall asked | recall@10 | us a query |\n|---|---|---|---|---|")
    for n, dim, sigma in ((1_000_000, 64, 0.8), (200_000, 128, 1.2)):
        base, queries = factors(n, dim, 1, sigma), factors(800, dim, 2, 0.3)
        what = f"factors {n:,} x {dim}, lengths lognormal {sigma}"
        measure(what, base, queries[:300], "dot")
        measure(what + ", with queries", base, queries[:300], "dot", queries[300:])
    what = "clusters 5,000,000 x 32, euclidean"
    measure(what, clusters(5_000_000, 32, 1), clusters(300, 32, 2), "euclidean")


if __name__ == "__main__":
    main()
