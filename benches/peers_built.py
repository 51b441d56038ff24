"""Builds an index in a process of its own, and keeps it in a folder for later runs.

A process of its own, since some libraries end it where they do not like the machine, and so that
memory left over by one build does not hide what the next one needs. The key of what is kept is the
data (by its bytes), the library's version and the parameters; what the build cost and when that was
measured lies beside it. Something built on another processor is not taken.

    python benches/peers_built.py LIBRARY DATA METRIC PARAMETERS FOLDER     (what the child runs)
"""

from __future__ import annotations

import contestants  # isort: skip  (before numpy: it sets the environment)

import dataclasses
import datetime
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import peers_graphs
import peers_lists
from contestants import Contestant, Cost, Library
from machine import processor
from truth import METRICS, Data, NotRun, find

PEERS: list[Library] = [
    peers_lists.Annoy(),
    peers_graphs.Hnswlib(),
    peers_lists.Faiss(),
    peers_lists.Scann(),
    peers_graphs.Usearch(),
    peers_graphs.Voyager(),
    peers_graphs.Pynndescent(),
    peers_graphs.Glass(),
    peers_graphs.Svs(),
]
LIBRARIES = {library.name: library for library in [*contestants.OURS, *PEERS]}
#: What a build costs lies in this file beside the index's own.
COST = "cost.json"


def _memory(key: str) -> int | None:
    """VmRSS (now) or VmHWM (the most so far) of this process, in bytes."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))
    except (OSError, StopIteration):
        return None


def _forget_peak() -> None:
    """Lets VmHWM begin again from what is held now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        print("the peak of memory includes what came before", file=sys.stderr)


def build_here(library: Library, data: Data, parameters: dict, folder: Path) -> None:
    """In this process: builds, saves and writes the cost."""
    metric, base = data.metric, data.base()
    # What is compiled or loaded at the first use is no part of the build; fewer rows than these
    # some libraries search without an index.
    library.build(library.prepare(base[:5000], metric), metric, _for_few_rows(parameters))
    rows = library.prepare(base, metric)
    _forget_peak()
    before = _memory("VmRSS")
    wall, cpu = time.perf_counter(), time.process_time()
    built = library.build(rows, metric, parameters)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = None if before is None else _memory("VmHWM") - before
    library.save(built, folder)
    cost = Cost(
        cpu=cpu,
        wall=wall,
        file_bytes=sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()),
        peak_bytes=peak,
        measured=datetime.datetime.now().isoformat(timespec="minutes"),
        load=os.getloadavg()[0],
        version=library.version(),
    )
    known = {"processor": processor(), "parameters": parameters}
    (folder / COST).write_text(json.dumps(dataclasses.asdict(cost) | known, indent=1))


def _for_few_rows(parameters: dict) -> dict:
    """Parameters that grow with the data, for the warm-up."""
    small = dict(parameters)
    if "leaves" in small:
        small["leaves"] = 20
    if "spec" in small and small["spec"].startswith("IVF"):
        small["spec"] = "IVF16," + small["spec"].split(",", 1)[1]
    return small


class Cache:
    """A folder of built indexes."""

    def __init__(self, folder: Path, rebuild: bool = False):
        self.folder, self.rebuild = folder, rebuild

    def _place(self, library: Library, data: Data, base: np.ndarray, parameters: dict) -> Path:
        digest = hashlib.sha256(base.tobytes()).hexdigest()[:10]
        plain = ",".join(f"{key}={value}" for key, value in parameters.items()) or "default"
        kind = f"{library.name}-{library.version()}".replace(" ", "_").replace(",", "")
        usual = data.metric == METRICS.get(data.name, "dot")
        named = f"{data.name}-{digest}" + ("" if usual else f"-{data.metric}")
        return self.folder / named / kind / plain.replace("/", "_")

    def _cost(self, folder: Path) -> Cost | None:
        """Of what lies there and may be used."""
        try:
            known = json.loads((folder / COST).read_text())
        except (OSError, ValueError):
            return None
        if known.pop("processor") != processor():
            return None
        known.pop("parameters")
        return Cost(**known)

    def built(
        self, library: Library, data: Data, base: np.ndarray, parameters: dict
    ) -> tuple[Path, Cost]:
        """Where an index lies and what it cost, built now where it is not there. NotRun with the
        last that the child said, if it fails."""
        folder = self._place(library, data, base, parameters)
        cost = self._cost(folder)
        if cost and not (self.rebuild or library.fresh):
            return folder, cost
        # Under a name of this process's own until it is whole, should two runs share the folder.
        begun = folder.with_name(f"{folder.name}.{os.getpid()}")
        begun.mkdir(parents=True)
        given = [data.name if data.folder is None else str(data.folder), data.metric]
        child = [sys.executable, __file__, library.name, *given, json.dumps(parameters), str(begun)]
        done = subprocess.run(child, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        cost = self._cost(begun)
        if cost is None:
            shutil.rmtree(begun)
            said = [line for line in done.stdout.splitlines() if line.strip()]
            raise NotRun(said[-1] if said else f"the build ended with {done.returncode}")
        shutil.rmtree(folder, ignore_errors=True)
        begun.rename(folder)
        return folder, cost

    def contestants(self, library: Library, data: Data, base: np.ndarray, say):
        """Every build of a library, opened; `say(label, reason)` hears of those that fail."""
        library.version()
        for parameters in library.variants(base, data.metric):
            label = ", ".join([library.name, *(f"{k}={v}" for k, v in parameters.items())])
            try:
                folder, cost = self.built(library, data, base, parameters)
                opened = list(library.open(folder, base, data.metric, parameters))
            except Exception as failed:
                say(label, f"{type(failed).__name__}: {failed}")
                continue
            for family, entrant, settings in opened:
                yield Contestant(family, entrant, cost, settings)


if __name__ == "__main__":
    data = find(sys.argv[2], sys.argv[3])
    build_here(LIBRARIES[sys.argv[1]], data, json.loads(sys.argv[4]), Path(sys.argv[5]))
