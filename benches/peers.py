"""From Python, one thread, k = 10: nearwood beside its peers, one query at a time and in batches.

    make bench-peers          (or: python benches/peers.py photosift gloss factors-a1 factors-a20)

    python benches/peers.py batches [names]       nearwood's loop beside its own batches
    python benches/peers.py builds [names]        CPU seconds of building beside Annoy's

Data: the folders of NEARWOOD_DATA (../shared/data unless told) that hold base.npy and queries.npy;
one that is absent is said loudly and left out, as is a peer that is not installed. Truth is brute
force in float64; anything no farther than the true K-th neighbour counts. Of each library every
index and setting is tried with some of the queries; for each recall the fastest that reaches it
with all of them is timed against the others' fastest, in turn, five rounds, and the medians are
quoted. Time is the process's CPU time, so that nobody gains by a second thread and little is lost
to other work on the machine.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

import contestants
import numpy as np
from contestants import Contestant, K, Setting

import nearwood as nw

contestants.quiet()
DATA = Path(os.environ.get("NEARWOOD_DATA", Path(__file__).parents[2] / "shared" / "data"))
ROUNDS = 5
RECALLS = (0.9, 0.95, 0.99)
METRICS = {"photosift": "euclidean", "gloss": "angular", "siftsmall": "euclidean"}
#: A setting is given up for the slower ones after it once it finds as much as this.
ENOUGH = 0.9985
#: Queries that every setting is tried with.
TRIED = 300


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
        queries = self.queries[block]
        products = queries @ self.base.T
        if self.metric != "euclidean":
            return -products
        return self.squares - 2 * products + (queries**2).sum(axis=1)[:, None]

    def recall(self, found: np.ndarray) -> float:
        """Of answers to the first queries, one row each."""
        rows, queries = self.base[found], self.queries[: len(found)]
        if self.metric == "euclidean":
            keys = ((rows - queries[:, None]) ** 2).sum(axis=2)
        else:
            keys = -np.einsum("qkd,qd->qk", rows, queries)
        return float(((keys <= self.limits[: len(found), None]) & (found >= 0)).mean())


def ask(setting: Setting, queries: np.ndarray) -> tuple[np.ndarray, float]:
    start = time.process_time()
    found = [setting.one(query) for query in queries]
    seconds = time.process_time() - start
    table = np.full((len(queries), K), -1, dtype=np.int64)
    for row, ids in zip(table, found, strict=True):
        row[: len(ids)] = ids[:K]
    return table, seconds


def try_all(entrant: Contestant, queries: np.ndarray, truth: Truth) -> list[tuple]:
    """(recall, seconds, entrant, setting) for each setting, up to the first that finds all."""
    tried = []
    for setting in entrant.settings:
        found, seconds = ask(setting, queries[:TRIED])
        tried.append((truth.recall(found), seconds, entrant, setting))
        if tried[-1][0] >= ENOUGH:
            break
    return tried


def fastest(tried: list[tuple], recall: float, queries: np.ndarray, truth: Truth) -> tuple | None:
    """The fastest that reaches a recall with all queries, and that recall."""
    for got, seconds, entrant, setting in sorted(tried, key=lambda t: t[1]):
        if got >= recall - 0.01:
            got = truth.recall(ask(setting, queries)[0])
            if got >= recall:
                return got, seconds, entrant, setting
    return None


def race(chosen: list[tuple], queries: np.ndarray, batches: bool) -> dict[int, float]:
    times: dict[int, list[float]] = {at: [] for at in range(len(chosen))}
    for _ in range(ROUNDS):
        for at, (_, _, _, setting) in enumerate(chosen):
            start = time.process_time()
            if batches:
                setting.many(queries)
            else:
                for query in queries:
                    setting.one(query)
            times[at].append(time.process_time() - start)
    return {at: len(queries) / statistics.median(t) for at, t in times.items()}


def report(name: str, recall: float, chosen: list[tuple], queries: np.ndarray, truth: Truth):
    ones = race(chosen, queries, batches=False)
    batched = [c for c in chosen if c[3].many]
    many = dict(
        zip([id(c) for c in batched], race(batched, queries, batches=True).values(), strict=True)
    )
    print(f"\n### {name}, recall {recall}\n")
    print(f"| | setting | recall@{K} | queries/s | nearwood is ", end="")
    print("| batch/s | its recall | nearwood is | build CPU s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for at, entry in enumerate(chosen):
        got, _, entrant, setting = entry
        batch = batch_recall = ratio = ""
        if id(entry) in many:
            batch = f"{many[id(entry)]:,.0f}"
            batch_recall = f"{truth.recall(setting.many(queries)):.4f}"
            ratio = f"{many[id(chosen[0])] / many[id(entry)]:.2f} x"
        print(
            f"| {entrant.name} | {setting.name} | {got:.4f} | {ones[at]:,.0f} "
            f"| {ones[0] / ones[at]:.2f} x | {batch} | {batch_recall} | {ratio} "
            f"| {entrant.build_seconds:.2f} |"
        )
    sys.stdout.flush()


def load(name: str) -> tuple[np.ndarray, np.ndarray, Truth]:
    metric = METRICS.get(name, "dot")
    read = lambda part: np.load(DATA / name / f"{part}.npy").astype(np.float32)  # noqa: E731
    base, queries = read("base"), read("queries")
    if metric == "angular":
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    return base, queries, Truth(base, queries, metric)


def contest(name: str) -> None:
    base, queries, truth = load(name)
    families: dict[str, list[tuple]] = {}
    for label, make in [("nearwood", contestants.nearwood), *contestants.PEERS.items()]:
        try:
            for entrant in make(base, truth.metric):
                families.setdefault(entrant.family, []).extend(try_all(entrant, queries, truth))
                print(f"  {entrant.name}: tried", file=sys.stderr)
        except ImportError as missing:
            print(f"NOT RUN: {label} ({missing})", file=sys.stderr)
    for recall in RECALLS:
        chosen = []
        for family, tried in families.items():
            if family.startswith("nearwood recall="):
                own = family == f"nearwood recall={recall}"
                best = fastest(tried, 0.0, queries, truth) if own else None
            else:
                best = fastest(tried, recall, queries, truth)
                if best is None:
                    top = max(tried, key=lambda t: t[0])
                    print(f"  {family} stops at {top[0]:.3f}, short of {recall}", file=sys.stderr)
            if best:
                chosen.append(best)
        title = f"{name} ({len(base):,} x {base.shape[1]}, {truth.metric})"
        report(title, recall, chosen, queries, truth)


def batches(name: str) -> None:
    """A loop of queries beside the same queries as one batch; a budget of all is all codes."""
    base, queries, truth = load(name)
    users = queries if truth.metric == "dot" else None
    index = nw.Index.build(base, metric=truth.metric, n_threads=1, calibration_queries=users)
    for given in [{"recall": r} for r in RECALLS] + [{"budget": len(base)}]:
        setting = contestants.nearwood_setting(index, "", **given)
        got = truth.recall(setting.many(queries))
        chosen = [(got, 0.0, None, setting)]
        one, many = race(chosen, queries, False)[0], race(chosen, queries, True)[0]
        asked = " ".join(f"{key}={value}" for key, value in given.items())
        print(f"| {name} | {asked} | {got:.4f} | {one:,.0f} | {many:,.0f} | {many / one:.2f} x |")
        sys.stdout.flush()


def builds(name: str) -> None:
    base, _, truth = load(name)
    ours = [next(contestants.nearwood(base, truth.metric)).build_seconds for _ in range(3)]
    annoy = next(contestants.annoy(base, truth.metric))
    print(f"| {name} | {statistics.median(ours):.2f} | {annoy.name}: {annoy.build_seconds:.2f} |")


def main() -> None:
    print(f"k = {K}, one thread, from Python; medians of {ROUNDS} rounds in turn")
    names = sys.argv[1:]
    job = {"batches": batches, "builds": builds}.get(names[0] if names else "", contest)
    names = names[job is not contest :]
    if job is batches:
        print("| data | asked | recall@10 | queries/s in a loop | in a batch | |")
        print("|---|---|---|---|---|---|")
    for name in names or ["photosift", "gloss", "factors-a1", "factors-a20"]:
        if (DATA / name).is_dir():
            job(name)
        else:
            print(f"NOT RUN: {name} is not in {DATA} (set NEARWOOD_DATA)", file=sys.stderr)


if __name__ == "__main__":
    main()
