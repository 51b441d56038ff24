"""The data that indexes are measured with, and what each query should find.

Truth is brute force in float64; anything no farther than the true K-th neighbour counts, so that
equal distances are no errors.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import generated
import numpy as np
from lines import Lines

#: How many neighbours are asked for.
K = 10
DATA = Path(os.environ.get("NEARWOOD_DATA", Path(__file__).parents[2] / "shared" / "data"))
#: Whatever else lies in DATA is measured by inner product.
METRICS = {"photosift": "euclidean", "gloss": "angular", "siftsmall": "euclidean"}
#: Vectors that are measured unless told, and where interactions lie in DATA.
SETS = ("photosift", "gloss", "factors-a1", "factors-a20")
INTERACTIONS = {"gowalla": "gowalla/train.txt.gz", "ml-1m": "ml-1m/interactions.csv.gz"}


class NotRun(Exception):
    """Why a library or a set takes no part; it is named in the output."""


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


@dataclass(frozen=True)
class Data:
    """A set to index: what it is called, its metric, and the folder it lies in if it is not made
    here (generated.py)."""

    name: str
    metric: str
    folder: Path | None

    def base(self) -> np.ndarray:
        """The vectors to be indexed, float32."""
        return self._array("base")

    def load(self) -> tuple[np.ndarray, np.ndarray, Truth]:
        """Base, queries and truth."""
        base, queries = self.base(), self._array("queries")
        if base.ndim != 2 or queries.ndim != 2 or base.shape[1] != queries.shape[1]:
            raise NotRun(
                f"base.npy is {base.shape} and queries.npy {queries.shape}: (rows, dimension) and "
                "(queries, the same dimension) are wanted"
            )
        if len(base) < K or not len(queries):
            raise NotRun(f"{len(base)} rows and {len(queries)} queries: {K} rows and 1 are wanted")
        if self.metric == "angular":
            queries /= np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), 1e-30)
        return base, queries, Truth(base, queries, self.metric)

    def _array(self, what: str) -> np.ndarray:
        if self.folder is None:
            return generated.vectors(self.name, what)
        return np.ascontiguousarray(np.load(self.folder / f"{what}.npy"), dtype=np.float32)


def find(given: str, metric: str | None = None) -> Data:
    """What a name or a path means: a generated set, a folder of DATA, or any folder of base.npy
    and queries.npy. NotRun says why it means nothing."""
    if given in generated.VECTORS:
        return Data(given, metric or generated.VECTORS[given][0], None)
    named = len(Path(given).parts) == 1 and (DATA / given).is_dir()
    folder = DATA / given if named else Path(given)
    if not all((folder / f"{what}.npy").is_file() for what in ("base", "queries")):
        raise NotRun(f"no base.npy and queries.npy in {given}, nor in a folder of NEARWOOD_DATA")
    # Of what a file and a link may be called: pictures have this name.
    name = re.sub(r"[^\w.-]+", "-", folder.resolve().name)
    metric = metric or METRICS.get(name) or ("dot" if named else None)
    if metric is None:
        raise NotRun("a folder given by its path needs --metric euclidean, angular or dot")
    return Data(name, metric, folder)


def with_stand_ins(names: Iterable[str], lines: Lines) -> list[str]:
    """The sets, each once, and a generated one for each that is absent, which is said."""
    found = {}
    for name in names:
        path = DATA / INTERACTIONS.get(name, f"{name}/base.npy")
        if name in generated.STAND_INS and not path.is_file():
            other = generated.STAND_INS[name]
            lines.absent(name, "the set", f"it is not in NEARWOOD_DATA; {other} stands in for it")
            name = other
        found[name] = None
    return list(found)


def load(name: str) -> tuple[np.ndarray, np.ndarray, Truth]:
    """Base, queries and truth of a set that is found by its name."""
    return find(name).load()
