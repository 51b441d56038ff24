"""A loop of queries beside the same queries as one batch: Python, one thread, k = 10.

    python benches/batches.py photosift gloss factors-a1 factors-a20 [--out run.jsonl]
    NEARWOOD_ISA=avx2 python benches/batches.py         without products of bytes

Indexes without a graph, whose batches go leaf by leaf. A budget of all vectors is brute force over
codes with an exact re-ranking: over 8-bit codes in a batch, over 4-bit codes in a loop. By inner
product the calibration is given the queries themselves, so that the recall is what was asked.
"""

from __future__ import annotations

import contestants  # isort: skip  (before numpy: it sets the environment)

from peers import Entry, race, rate, run
from tables import Rows, of_sets
from truth import SETS, Data, NotRun

import nearwood as nw


def measure(data: Data, rounds: int, rows: Rows) -> None:
    base, queries, truth = data.load()
    users = queries if data.metric == "dot" else None
    given = {"metric": data.metric, "graph": False, "calibration_queries": users, "n_threads": 1}
    index = nw.Index.build(base, **given)
    for asked in [{"recall": r} for r in contestants.RECALLS] + [{"budget": len(base)}]:
        told = ", ".join(f"{key}={value}" for key, value in asked.items())
        entry = Entry(None, contestants.nearwood_setting(index, told, **asked), {})
        recall = truth.recall(run(entry.setting, queries, "many")[0])
        for mode in ("one", "many") * rounds:
            race([entry], queries, mode, 1)
        if entry.failed:
            raise NotRun(entry.failed)
        one, many = rate(entry, "one"), rate(entry, "many")
        figures = {"recall": recall, "one": one, "many": many, "ratio": many / one}
        rows.add(data=data.name, asked=told, **figures, rounds=list(entry.rounds.values()))


if __name__ == "__main__":
    of_sets("batches", __doc__, SETS, 5, measure)
