"""Recommendations for everybody: users a second on generated plays of 1M users and 1M items.

    python benches/recommend_all.py [--users N] [--items N] [--sample N] [--keep FILE]
        [--out run.jsonl]

Plays are drawn from 300 tastes, items by their popularity (Zipf), users by how much they play
(lognormal); factors of length 64 are trained on them, so that lengths are heavy-tailed as trained
ones are. k = 50, what was played left out. Answering all users would take minutes to hours, so each
way answers a sample, against all items; the last column says of how many. One thread, then all.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np  # before what sets the number of its threads
from lines import Lines
from machine import usable_cores
from tables import Rows

import nearwood as nw

K = 50
FACTORS = 64
TASTES = 300


def plays(users: int, items: int, seed: int) -> nw.Interactions:
    """About 20 plays a user: items of the user's taste, popular ones first, and some of any."""
    random = np.random.default_rng(seed)
    counts = np.clip(random.lognormal(2.5, 1.0, users), 1, 1000).astype(np.int64)
    who = np.repeat(np.arange(users, dtype=np.int64), counts)
    taste = random.integers(TASTES, size=users)[who]
    rank = (items ** random.random(len(who)) - 1).astype(np.int64)
    of_taste = rank // TASTES * TASTES + taste
    what = np.where(random.random(len(who)) < 0.8, of_taste, rank) % items
    # So that popularity does not show in the numbers.
    return nw.Interactions.from_columns(who, random.permutation(items)[what])


def trained(users: int, items: int, keep: Path | None) -> nw.Recommender:
    if keep is not None and keep.exists():
        return nw.Recommender.open(keep)
    rec = nw.Recommender.fit(plays(users, items, 1), factors=FACTORS, iterations=3, progress=True)
    if keep is not None:
        rec.save(keep)
    return rec


def by_numpy(
    rec: nw.Recommender, rows: np.ndarray, seen: list[np.ndarray]
) -> tuple[float, np.ndarray]:
    """Blocked products, the best by argpartition: seconds, and places of items."""
    users, items = rec.user_factors, rec.item_factors.T.copy()
    best = []
    start = time.perf_counter()
    for first in range(0, len(rows), 128):
        scores = users[rows[first : first + 128]] @ items
        for line, own in zip(scores, seen[first : first + 128], strict=True):
            line[own] = -np.inf
        top = np.argpartition(scores, -K, axis=1)[:, -K:]
        order = np.argsort(np.take_along_axis(-scores, top, axis=1), axis=1)
        best.append(np.take_along_axis(top, order, axis=1))
    return time.perf_counter() - start, np.concatenate(best)


def recall(found: np.ndarray, truth: np.ndarray) -> float:
    shares = [len(np.intersect1d(f, t)) / K for f, t in zip(found, truth, strict=False)]
    return float(np.mean(shares))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--sample", type=int, default=40_000)
    parser.add_argument("--keep", type=Path, help="where to keep the trained file")
    parser.add_argument("--out", type=Path, help="a file of JSON lines to add to")
    args = parser.parse_args()
    rec = trained(args.users, args.items, args.keep)
    known = rec.users
    sample = np.random.default_rng(2).permutation(len(known))[: args.sample]
    ids = known[sample]
    cores = usable_cores()
    lengths = np.linalg.norm(rec.item_factors, axis=1)
    quantiles = ", ".join(f"{x:.3g}" for x in np.quantile(lengths, [0.5, 0.9, 0.99, 1.0]))
    table = Rows(
        "everybody",
        Lines(args.out),
        f"{len(known):,} users, {len(rec.items):,} items that were played; their lengths: "
        f"median, 90%, 99%, largest {quantiles}.",
    )

    def row(way: str, threads: int, n: int, seconds: float, found: float) -> None:
        table.add(way=way, threads=threads, users=n, rate=n / seconds, recall=found)

    truth = rec.recommend_all(K, users=ids, exact=True)[0]
    for threads in sorted({1, cores}):
        for what, asked in [
            ("recommend_all, exact", {"exact": True}),
            ("recommend_all, recall 0.95", {"recall": 0.95}),
            ("recommend_all, recall 0.8", {"recall": 0.8}),
        ]:
            start = time.perf_counter()
            found = rec.recommend_all(K, users=ids, n_threads=threads, **asked)[0]
            row(what, threads, len(ids), time.perf_counter() - start, recall(found, truth))

    def alone(what: str, n: int, ask: Callable[[int], np.ndarray]) -> None:
        start = time.perf_counter()
        found = np.stack([ask(user) for user in ids[:n]])
        row(what, 1, n, time.perf_counter() - start, recall(found, truth))

    alone("one user at a time, recall 0.95", 400, lambda user: rec.recommend(user, K)[0])
    alone("one user at a time, exact", 50, lambda user: rec.recommend(user, K, exact=True)[0])

    position = {item: at for at, item in enumerate(rec.items.tolist())}
    few = min(512, len(ids))
    seen = [
        np.array([position[i] for i in rec.seen(user).tolist()], dtype=int) for user in ids[:few]
    ]
    seconds, places = by_numpy(rec, sample[:few], seen)
    row("numpy, blocks of 128", cores, few, seconds, recall(rec.items[places], truth))


if __name__ == "__main__":
    main()
