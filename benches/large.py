"""Generated sets larger than the stored ones: Python, one thread a query, k = 10.

    python benches/large.py [--out run.jsonl]

1 million and 200,000 factors by inner product, with heavy-tailed lengths, calibrated without and
with queries; and 5 million vectors in clusters, whose leaves stand in groups, without a graph: that
takes more than ten times as long to build. Each is saved, and opened from the system's cache (the
median of some openings).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from generated import factors
from lines import Lines
from tables import Rows

import nearwood as nw

OPENINGS = 21


def clusters(n: int, dim: int, seed: int) -> np.ndarray:
    middles = 2 * np.random.default_rng(0).normal(size=(2000, dim)).astype(np.float32)
    random = np.random.default_rng(seed)
    spread = random.normal(size=(n, dim), scale=0.7).astype(np.float32)
    return middles[random.integers(len(middles), size=n)] + spread


def saved(index: nw.Index) -> dict[str, float]:
    """Megabytes of its file, and microseconds until it is open."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.nw"
        index.save(path)
        times = []
        for _ in range(OPENINGS):
            start = time.perf_counter()
            nw.Index.open(path)
            times.append(time.perf_counter() - start)
        return {
            "megabytes": path.stat().st_size / 1e6,
            "opened": 1e6 * statistics.median(times),
        }


def measure(
    what: str, base: np.ndarray, queries: np.ndarray, metric: str, rows: Rows, users=None
) -> None:
    start = time.process_time()
    index = nw.Index.build(base, metric=metric, calibration_queries=users, graph=False)
    about = {"data": what, "built": time.process_time() - start, **saved(index)}
    for asked in (0.9, 0.95, 0.99):
        for query in queries[:50]:
            index.search(query, recall=asked)
        start = time.process_time()
        for query in queries:
            index.search(query, recall=asked)
        micros = 1e6 * (time.process_time() - start) / len(queries)
        found = index.recall(queries, recall=asked)
        rows.add(**about, asked=asked, recall=found, micros=micros)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="of the rows of each set")
    parser.add_argument("--out", type=Path, help="a file of JSON lines to add to")
    options = parser.parse_args()
    rows = Rows("larger", Lines(options.out))
    for most, dim, sigma in ((1_000_000, 64, 0.8), (200_000, 128, 1.2)):
        n = round(options.scale * most)
        base, queries = factors(n, dim, 1, sigma), factors(800, dim, 2, 0.3)
        what = f"factors {n:,} x {dim}, lengths lognormal {sigma}"
        measure(what, base, queries[:300], "dot", rows)
        measure(what + ", with queries", base, queries[:300], "dot", rows, queries[300:])
    n = round(options.scale * 5_000_000)
    what = f"clusters {n:,} x 32, euclidean, without a graph"
    measure(what, clusters(n, 32, 1), clusters(300, 32, 2), "euclidean", rows)


if __name__ == "__main__":
    main()
