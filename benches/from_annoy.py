"""What the same calls find with annoy and with nearwood.annoy: the table of docs/from-annoy.md.

python benches/from_annoy.py        NEARWOOD_DATA names the folder of data
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import annoy
import numpy as np

import nearwood.annoy

DEFAULT = Path(__file__).parents[2] / "shared" / "data"
DATA = Path(os.environ.get("NEARWOOD_DATA", DEFAULT))
SETS = [("photosift", "euclidean"), ("gloss", "angular"), ("factors-a1", "dot")]
TREES = (10, 50)
SEARCH_K = (-1, 2000, 10_000, 50_000)


def load(name: str, what: str) -> np.ndarray:
    return np.load(DATA / name / f"{what}.npy").astype(np.float32)


def truth(base: np.ndarray, queries: np.ndarray, metric: str) -> np.ndarray:
    if metric == "angular":
        base = base / np.linalg.norm(base, axis=1, keepdims=True)
    keys = -(queries @ base.T)
    if metric == "euclidean":
        keys = 2 * keys + (base**2).sum(axis=1)
    return np.argsort(keys, axis=1)[:, :10]


def built(Index: Any, base: np.ndarray, metric: str, trees: int) -> Any:
    index = Index(base.shape[1], metric)
    for i, vector in enumerate(base):
        index.add_item(i, vector)
    index.build(trees, 1)
    return index


def recall(index: Any, queries: np.ndarray, true: np.ndarray, search_k: int) -> float:
    found = (index.get_nns_by_vector(query, 10, search_k) for query in queries)
    hits = [len(set(f) & set(t.tolist())) for f, t in zip(found, true, strict=True)]
    return sum(hits) / true.size


def main() -> None:
    print("| data | trees | search_k | annoy | nearwood.annoy |")
    print("|---|---|---|---|---|")
    for name, metric in SETS:
        base, queries = load(name, "base"), load(name, "queries")[:200]
        true = truth(base, queries, metric)
        for trees in TREES:
            packages = (annoy.AnnoyIndex, nearwood.annoy.AnnoyIndex)
            pair = [built(Index, base, metric, trees) for Index in packages]
            for search_k in SEARCH_K:
                told = "default" if search_k == -1 else f"{search_k:,}"
                theirs, ours = (recall(index, queries, true, search_k) for index in pair)
                found = f"{theirs:.3f} | {ours:.3f}"
                print(f"| {name}, {metric} | {trees} | {told} | {found} |", flush=True)


if __name__ == "__main__":
    main()
