"""What the tests share: generated vectors and plays, and where real data lie."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import nearwood as nw


def clustered(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Vectors about fifty centres, as real ones lie: rows differ less than centres do."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(50, d))
    rows = centres[rng.integers(50, size=n)] + 0.5 * rng.normal(size=(n, d))
    return rows.astype(np.float32)


def truth(vectors: np.ndarray, queries: np.ndarray, k: int, metric: str) -> np.ndarray:
    """The distances of the k nearest by numpy in float64, nearest first."""
    v, q = vectors.astype(np.float64), queries.astype(np.float64)
    if metric == "euclidean":
        squares = (q**2).sum(1)[:, None] + (v**2).sum(1)[None] - 2 * q @ v.T
        return np.sort(np.sqrt(np.maximum(squares, 0)), axis=1)[:, :k]
    if metric == "angular":
        norms = np.linalg.norm(q, axis=1)[:, None] * np.linalg.norm(v, axis=1)[None]
        return np.sort(1 - q @ v.T / norms, axis=1)[:, :k]
    if metric == "hamming":
        v, q = (v > 0.5).astype(np.float64), (q > 0.5).astype(np.float64)
    if metric in ("hamming", "manhattan"):
        return np.sort(np.stack([np.abs(v - one).sum(1) for one in q]), axis=1)[:, :k]
    return -np.sort(-(q @ v.T), axis=1)[:, :k]


@pytest.fixture(scope="session")
def vectors() -> np.ndarray:
    return clustered(3000, 24)


@pytest.fixture(scope="session")
def index(vectors: np.ndarray) -> nw.Index:
    return nw.Index.build(vectors)


def plays(users: int = 120, items: int = 60, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Columns of (user, item, plays): two tastes, each with half of the items."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), 12)
    item = rng.integers(items // 2, size=user.size) + (user % 2) * (items // 2)
    return user, item, rng.integers(1, 20, size=user.size).astype(np.float32)


@pytest.fixture(scope="session")
def data() -> nw.Interactions:
    """Users u0.. and items i0..; even users like the first half of the items."""
    user, item, weight = plays()
    return nw.Interactions.from_columns([f"u{u}" for u in user], [f"i{i}" for i in item], weight)


@pytest.fixture(scope="session")
def rec(data: nw.Interactions) -> nw.Recommender:
    names = {str(i): f"Song {i}" for i in data.item_ids}
    return nw.Recommender.fit(data, factors=8, item_names=names, progress=False)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of published data sets; without it the test is not run, and says so."""
    default = Path(__file__).parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("NEARWOOD_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"NOT RUN: no real data at {folder}; set NEARWOOD_DATA")
    return folder
