"""Builds in turn: nearwood, on one thread and on all, and without its graph, beside two peers.

    python benches/builds.py photosift gloss factors-a1 [--rounds 3] [--out run.jsonl]

Each build is a process of its own; medians. hnswlib has M = 16 and efConstruction = 200, Annoy 50
trees; both build on one thread. The tables of peers.py have every peer's build, but of when it was
first made: in another phase of the machine.
"""

from __future__ import annotations

import statistics
import tempfile
from collections import defaultdict
from pathlib import Path

from contestants import Cost
from machine import usable_cores
from peers_built import LIBRARIES, Cache
from tables import Rows, of_sets
from truth import Data, NotRun


def contest(data: Data) -> dict[str, tuple[str, int, dict]]:
    """What is built: by its name the library, threads and parameters."""
    cores = usable_cores()
    annoy = {"n_trees": 50, "dim": data.base().shape[1]}
    known = {
        "nearwood": ("nearwood", 1, {}),
        "nearwood, all threads": ("nearwood", cores, {"n_threads": cores}),
        "nearwood, no graph": ("nearwood", 1, {"graph": False}),
        "hnswlib, M=16": ("hnswlib", 1, {"M": 16, "ef_construction": 200}),
        "annoy, 50 trees": ("annoy", 1, annoy),
    }
    if data.metric == "dot":
        # There is none with a graph.
        del known["nearwood, no graph"]
    return known


def measure(data: Data, rounds: int, rows: Rows) -> None:
    base = data.base()
    known, costs = contest(data), defaultdict[str, list[Cost]](list)
    for _ in range(rounds):
        for name, (library, _, given) in list(known.items()):
            try:
                LIBRARIES[library].version()
                with tempfile.TemporaryDirectory() as folder:
                    built = Cache(Path(folder)).built(LIBRARIES[library], data, base, given)
            except (ImportError, NotRun) as failed:
                rows.lines.absent(data.name, f"builds, {name}", str(failed))
                del known[name]
            else:
                costs[name].append(built[1])
    cpu = {name: statistics.median(cost.cpu for cost in costs[name]) for name in known}
    for name, (_, threads, _) in known.items():
        wall = statistics.median(cost.wall for cost in costs[name])
        times = {"cpu": cpu[name], "wall": wall, "ratio": cpu[name] / cpu["nearwood"]}
        every = [round(cost.cpu, 3) for cost in costs[name]]
        rows.add(data=data.name, name=name, threads=threads, **times, rounds=[every])


if __name__ == "__main__":
    of_sets("builds", __doc__, ("photosift", "gloss", "factors-a1"), 3, measure)
