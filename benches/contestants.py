"""What `peers.py` measures: libraries, what their builds cost, and how each is searched.

A library says in which ways it is worth building, builds one of them, keeps it in a folder and
opens it again; every search that is timed is one of an index that was opened from a file, ours and
the peers' alike. A setting gives a search for one query and one for a batch. Every library runs on
one thread, and with every instruction set its package has.
"""

# ruff: noqa: E402  (libraries read the environment when they are imported)

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
for _pool in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
    os.environ[f"{_pool}_NUM_THREADS"] = "1"

import importlib.metadata
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from truth import K, NotRun

import nearwood as nw

#: Recalls that the tables quote and that "as it comes" is asked for.
RECALLS = (0.9, 0.95, 0.99)


@dataclass
class Setting:
    """How hard to try: its name for the table, and the searches.

    `prepare` is called before a run of queries, untimed: parameters that a library keeps in the
    index are set there. `dtype` is what the queries are handed over as.
    """

    name: str
    one: Callable[[np.ndarray], np.ndarray]
    many: Callable[[np.ndarray], np.ndarray] | None = None
    prepare: Callable[[], object] = lambda: None
    dtype: str = "float32"


@dataclass
class Cost:
    """What a build took: seconds of CPU and of wall time, bytes of its files, and the most memory
    that it held beyond the caller's vectors (none where the system does not tell)."""

    cpu: float
    wall: float
    file_bytes: int
    peak_bytes: int | None
    measured: str
    load: float
    version: str


@dataclass
class Contestant:
    """A built index. One line of a picture, one row of a table, is the best of a family."""

    family: str
    name: str
    cost: Cost
    settings: list[Setting] = field(repr=False)


class Library:
    """One library. `fresh`: built for each run, never taken from a cache."""

    name = ""
    distribution = ""
    fresh = False

    def version(self) -> str:
        """What is installed; ImportError where nothing is."""
        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError as missing:
            raise ImportError(f"{self.distribution} is not installed") from missing

    def variants(self, base: np.ndarray, metric: str) -> list[dict]:
        """The parameters of each build worth trying; NotRun where the metric is not served."""
        raise NotImplementedError

    def prepare(self, base: np.ndarray, metric: str) -> object:
        """The vectors as the library wants them; neither timed nor counted as its memory."""
        return base

    def build(self, data: object, metric: str, parameters: dict) -> object:
        """The index, on one thread; this is what is timed."""
        raise NotImplementedError

    def save(self, built: object, folder: Path) -> None:
        """Into a folder that exists and is empty."""
        raise NotImplementedError

    def open(
        self, folder: Path, base: np.ndarray, metric: str, parameters: dict
    ) -> Iterator[tuple[str, str, list[Setting]]]:
        """(family, name, settings from little work to much) of what was saved."""
        raise NotImplementedError


def geometric(low: float, high: float, ratio: float = 1.25) -> list[int]:
    """Whole numbers from low to high, each about `ratio` times the last."""
    steps = [low]
    while steps[-1] * ratio < high:
        steps.append(steps[-1] * ratio)
    return sorted({round(s) for s in [*steps, high]})


def unit(base: np.ndarray) -> np.ndarray:
    """Rows of length one, for libraries that leave that to the caller."""
    return base / np.maximum(np.linalg.norm(base, axis=1, keepdims=True), 1e-30)


def nearwood_setting(index: nw.Index, name: str, **given) -> Setting:
    """A search of ours; `given` is its budget or recall."""
    return Setting(
        name,
        lambda q: index.search(q, k=K, **given)[0],
        lambda qs: index.search(qs, k=K, n_threads=1, **given)[0],
    )


class Nearwood(Library):
    """Ours: built without a setting, and with the graph or the leaves asked for."""

    distribution = "nearwood"
    fresh = True

    def __init__(self, name: str = "nearwood", **given):
        self.name, self.given = name, given

    def version(self) -> str:
        return nw.__version__

    def variants(self, base: np.ndarray, metric: str) -> list[dict]:
        known = inspect.signature(nw.Index.build).parameters
        unknown = [key for key in self.given if key not in known]
        if unknown:
            raise NotRun(f"this build of nearwood does not take {unknown[0]}=")
        return [self.given]

    def build(self, data: np.ndarray, metric: str, parameters: dict) -> nw.Index:
        return nw.Index.build(data, metric=metric, **{"n_threads": 1, **parameters})

    def save(self, built: nw.Index, folder: Path) -> None:
        built.save(folder / "index.nw")

    def open(self, folder, base, metric, parameters):
        index = nw.Index.open(folder / "index.nw", prefault=True)
        budgets = geometric(50, len(base), 1.05)
        swept = [nearwood_setting(index, f"budget={b}", budget=b) for b in budgets]
        yield self.name, self.name, swept
        if not self.given:
            for recall in RECALLS:
                asked = [nearwood_setting(index, "`recall=`", recall=recall)]
                yield f"nearwood recall={recall}", "nearwood as it comes", asked


OURS = [
    Nearwood(),
    Nearwood("nearwood, graph", graph=True),
    Nearwood("nearwood, leaves", graph=False),
]
