"""The data that indexes are measured with, and what each query should find.

Truth is brute force in float64; anything no farther than the true K-th neighbour counts, so that
equal distances are no errors.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

#: How many neighbours are asked for.
K = 10
DATA = Path(os.environ.get("NEARWOOD_DATA", Path(__file__).parents[2] / "shared" / "data"))
#: Whatever is not named here is measured by inner product.
METRICS = {"photosift": "euclidean", "gloss": "angular", "siftsmall": "euclidean"}


class Truth:
    """What every query should find."""

    def __init__(self, base: np.ndarray, queries: np.ndarray, metric: str):
        base, queries = base.astype(np.float64), queries.astype(np.float64)
        if metric == "angular":
            base = base / np.maximum(np.linalg.norm(base, axis=1, keepdims=True), 1e-30)
        self.base, self.queries, self.metric = base, queries, metric
        blocks = np.array_split(np.arange(len(queries)), -(-len(queries) // 50))
        self.squares = (base**2).sum(axis=1)
        kth = [np.partition(self.keys(b), K - 1, axis=1)[:, K - 1] for b in blocks]
        kth = np.concatenate(kth)
        self.limits = kth + 1e-6 * np.abs(kth)

    def keys(self, block: np.ndarray) -> np.ndarray:
        """Squared distances, or negative products, of some queries to every row."""
        queries = self.queries[block]
        products = queries @ self.base.T
        if self.metric != "euclidean":
            return -products
        return self.squares - 2 * products + (queries**2).sum(axis=1)[:, None]

    def recall(self, found: np.ndarray) -> float:
        """Of answers to the first queries, one row each; -1 is none, the same one twice is one."""
        found = np.sort(np.asarray(found).astype(np.int64), axis=1)
        valid = (found >= 0) & (found < len(self.base))
        valid[:, 1:] &= found[:, 1:] != found[:, :-1]
        rows, queries = self.base[np.where(valid, found, 0)], self.queries[: len(found)]
        if self.metric == "euclidean":
            keys = ((rows - queries[:, None]) ** 2).sum(axis=2)
        else:
            keys = -np.einsum("qkd,qd->qk", rows, queries)
        return float(((keys <= self.limits[: len(found), None]) & valid).mean())


def load_base(name: str) -> np.ndarray:
    """The vectors to be indexed, float32."""
    return np.ascontiguousarray(np.load(DATA / name / "base.npy"), dtype=np.float32)


def load(name: str) -> tuple[np.ndarray, np.ndarray, Truth]:
    """Base, queries and truth of a folder of DATA that holds base.npy and queries.npy."""
    metric = METRICS.get(name, "dot")
    base = load_base(name)
    queries = np.ascontiguousarray(np.load(DATA / name / "queries.npy"), dtype=np.float32)
    if metric == "angular":
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    return base, queries, Truth(base, queries, metric)
