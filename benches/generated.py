"""Data made where the real ones are absent: same bytes for a seed, and names that say so.

None of them is as hard, or as easy, as what it stands in for: figures of generated sets are
compared with one another and with nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

QUERIES = 1000


def factors(n: int, dim: int, seed: int, sigma: float) -> np.ndarray:
    """About 300 tastes, lengths lognormal: heavy-tailed, as trained factors are."""
    random = np.random.default_rng(seed)
    tastes = random.normal(size=(300, dim)).astype(np.float32)
    x = tastes[random.integers(300, size=n)] + random.normal(size=(n, dim)).astype(np.float32)
    return (x * np.exp(random.normal(size=(n, 1), scale=sigma))).astype(np.float32)


def clusters(n: int, dim: int, seed: int, inner: int = 32) -> np.ndarray:
    """About 1,000 centres whose rows overlap, in `inner` directions of falling weight, and a little
    in all: real vectors fill few of the dimensions they stand in, and spread evenly in all of them
    a row's neighbours would be about equally far."""
    shape = np.random.default_rng(0)
    weights = np.arange(1, inner + 1, dtype=np.float32)[:, None] ** -0.5
    directions = weights * shape.standard_normal((inner, dim), np.float32)
    centres = shape.standard_normal((1000, inner), np.float32)
    random = np.random.default_rng(seed)
    within = centres[random.integers(1000, size=n)] + random.standard_normal((n, inner), np.float32)
    return within @ directions + np.float32(0.1) * random.standard_normal((n, dim), np.float32)


#: Metric, rows, and what makes rows of a seed.
VECTORS: dict[str, tuple[str, int, Callable[[int, int], np.ndarray]]] = {
    "generated-clusters": ("euclidean", 200_000, lambda n, seed: clusters(n, 128, seed)),
    "generated-angular": ("angular", 50_000, lambda n, seed: clusters(n, 384, seed)),
    "generated-factors": ("dot", 41_000, lambda n, seed: factors(n, 64, seed, 0.8)),
}
#: Interactions: users, items, and pairs drawn, of which those drawn twice count once.
PLAYS = {
    "generated-plays": (30_000, 40_000, 1_000_000),
    "generated-power-law": (200_000, 100_000, 20_000_000),
    "generated-tiny": (300, 200, 4_000),
}
#: What is measured in place of a set that is absent.
STAND_INS = {
    "photosift": "generated-clusters",
    "gloss": "generated-angular",
    "factors-a1": "generated-factors",
    "factors-a20": "generated-factors",
    "gowalla": "generated-plays",
    "ml-1m": "generated-plays",
}


def vectors(name: str, what: str) -> np.ndarray:
    """The `base` or the `queries` of a set of VECTORS."""
    _, n, make = VECTORS[name]
    return make(n, 1) if what == "base" else make(QUERIES, 2)


def plays(name: str):
    """A sparse matrix of ones; activity and popularity fall as powers of the rank."""
    import scipy.sparse as sp

    users, items, entries = PLAYS[name]
    rng = np.random.default_rng(1)
    columns = (rng.random(entries) ** 3 * items).astype(np.int32)
    rows = (rng.random(entries) ** 2 * users).astype(np.int32)
    matrix = sp.csr_matrix((np.ones(entries, np.float32), (rows, columns)), (users, items))
    matrix.data[:] = 1
    return matrix
