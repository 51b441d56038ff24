"""From Python, one thread, k = 10: nearwood beside its peers, one query at a time and in batches.

    make bench-peers          (or: python benches/peers.py photosift gloss factors-a1 factors-a20)

    python benches/peers.py [names] --out run.jsonl --cache FOLDER --only svs --only nearwood
    python benches/peers.py fill [names] --cache FOLDER    builds the peers and measures nothing
    python benches/peers.py path/to/folder --metric angular       any base.npy and queries.npy
    python benches/peers_report.py run.jsonl --pictures docs/pictures     tables and pictures

Data: the folders of NEARWOOD_DATA (../shared/data unless told) that hold base.npy and queries.npy,
any such folder by its path, and the sets of generated.py. One that is absent is said loudly and
left out, as is a peer that is not installed, a build that fails or a search that does; unless sets
are named, a generated one stands in for one that is absent. Of each library every index and setting
is tried with some of the queries, one by one and as a batch; for each of a ladder of recalls the
fastest that reaches it with all of them is timed against the others' fastest, in turn, some rounds,
and the medians are quoted. Time is the process's CPU time, so that nobody gains by a second thread
and little is lost to other work on the machine; a library that used more than the time that passed
is named.
"""

from __future__ import annotations

import contestants  # noqa: F401  isort: skip  (before numpy: it sets the environment)

import argparse
import dataclasses
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import peers_report
from contestants import RECALLS, Contestant, Setting
from lines import Lines, now
from machine import processor
from peers_built import LIBRARIES, Cache
from truth import SETS, Data, K, NotRun, Truth, find, with_stand_ins

#: The recalls whose fastest settings are timed: those of the tables, and others for the picture.
LADDER = (0.7, 0.8, 0.85, *RECALLS[:2], 0.97, 0.98, *RECALLS[2:], 0.995, 0.998)
#: A setting is given up for the slower ones after it once it finds as much as this.
ENOUGH = 0.9985
#: Queries that every setting is tried with, and those of a warm-up before it is timed: as many as
#: it takes to have most of an index in the caches again after another's.
TRIED, WARM = 300, 300
#: A virtual machine's clock moves by half within seconds: a median of five rounds is one phase's or
#: another's.
ROUNDS = 9


@dataclass
class Entry:
    """A setting of a contestant, what trying it showed, and what timing it showed.

    By mode, "one" or "many": recall with all queries, the median of queries a second, CPU time by
    wall time. `failed` is what a search said that did not come to an end; it takes no further part.
    """

    contestant: Contestant
    setting: Setting
    tried: dict[str, tuple[float, float]]
    recall: dict[str, float] = field(default_factory=dict)
    rounds: dict[str, list[float]] = field(default_factory=dict)
    share: dict[str, float] = field(default_factory=dict)
    failed: str = ""


def run(setting: Setting, queries: np.ndarray, mode: str) -> tuple[np.ndarray, float, float]:
    """Ids, and seconds of CPU and of wall time."""
    queries = queries.astype(setting.dtype, copy=False)
    setting.prepare()
    wall, cpu = time.perf_counter(), time.process_time()
    found = setting.many(queries) if mode == "many" else [setting.one(q) for q in queries]
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    table = np.full((len(queries), K), -1, dtype=np.int64)
    for row, ids in zip(table, found, strict=True):
        row[: len(ids)] = np.asarray(ids)[:K].astype(np.int64)
    return table, cpu, wall


def attempt(entry: Entry, queries: np.ndarray, mode: str) -> tuple[np.ndarray, float, float] | None:
    """`run`, or none where the search fails: one library must not end the others' run."""
    try:
        return run(entry.setting, queries, mode)
    except Exception as failed:
        entry.failed = f"{type(failed).__name__}: {failed}"
        return None


def modes(setting: Setting) -> list[str]:
    return ["one", "many"] if setting.many else ["one"]


def try_all(entrant: Contestant, queries: np.ndarray, truth: Truth) -> list[Entry]:
    """Each setting, up to the first that finds all; of two runs the quicker counts."""
    entries = []
    for setting in entrant.settings:
        tried = {}
        for mode in modes(setting):
            runs = [run(setting, queries[:TRIED], mode) for _ in range(2)]
            tried[mode] = truth.recall(runs[0][0]), min(cpu for _, cpu, _ in runs)
        entries.append(Entry(entrant, setting, tried))
        if tried["one"][0] >= ENOUGH:
            break
    return entries


def near(entries: list[Entry], mode: str, recall: float) -> list[Entry]:
    """Those that came near a recall when tried, in their order."""
    return [e for e in entries if mode in e.tried and e.tried[mode][0] >= recall - 0.01]


def fastest(
    entries: list[Entry], mode: str, recall: float, queries: np.ndarray, truth: Truth, n: int = 1
) -> list[Entry]:
    """The `n` quickest when tried of those that reach a recall with all queries."""
    found = []
    for entry in sorted(near(entries, mode, recall), key=lambda e: e.tried[mode][1]):
        if reaches(entry, mode, recall, queries, truth):
            found.append(entry)
        if len(found) == n:
            break
    return found


def reaches(entry: Entry, mode: str, recall: float, queries: np.ndarray, truth: Truth) -> bool:
    """Whether a setting has a recall with all queries, which are asked where they were not yet."""
    if mode not in entry.recall and (ran := attempt(entry, queries, mode)):
        entry.recall[mode] = truth.recall(ran[0])
    return not entry.failed and entry.recall[mode] >= recall


def easiest(
    found: Entry, entries: list[Entry], mode: str, recall: float, queries: np.ndarray, truth: Truth
) -> Entry:
    """Of the contestant of a setting that reaches a recall, the setting of least work that does."""
    own = [e for e in near(entries, mode, recall) if e.contestant is found.contestant]
    return next((e for e in own if reaches(e, mode, recall, queries, truth)), found)


def race(entries: Iterable[Entry], queries: np.ndarray, mode: str, rounds: int) -> None:
    """Times them in turn, those of about the same recall one after the other."""
    able = [e for e in entries if e.setting.many or mode == "one"]
    able.sort(key=lambda e: e.recall.get(mode, 0.0))
    spent = {id(e): [0.0, 0.0] for e in able}
    for _ in range(rounds):
        for entry in able:
            warm = None if entry.failed else attempt(entry, queries[:WARM], mode)
            if warm is None or (ran := attempt(entry, queries, mode)) is None:
                continue
            _, cpu, wall = ran
            entry.rounds.setdefault(mode, []).append(len(queries) / max(cpu, 1e-9))
            spent[id(entry)][0] += cpu
            spent[id(entry)][1] += wall
    for entry in able:
        if not entry.failed:
            entry.share[mode] = spent[id(entry)][0] / spent[id(entry)][1]


def rate(entry: Entry, mode: str) -> float:
    return statistics.median(entry.rounds[mode])


def open_all(data: Data, base: np.ndarray, options, lines: Lines):
    """Every contestant that can be had; the others are named."""
    for library in LIBRARIES.values():
        if options.only and library.name not in options.only:
            continue
        try:
            yield from options.cache.contestants(
                library, data, base, lambda label, why: lines.absent(data.name, label, why)
            )
        except (ImportError, NotRun) as missing:
            lines.absent(data.name, library.name, str(missing))


def choose(entries: list[Entry], queries: np.ndarray, truth: Truth) -> list[Entry]:
    """Of one family, what is timed: the fastest at each step of the ladder, one by one and in
    batches, and at the recalls that the tables quote the next fastest too and, of the contestants
    of both, the settings of least work: one trial may have met a fast moment of the machine."""
    if " recall=" in entries[0].contestant.family:
        fastest(entries, "one", 0.0, queries, truth)
        fastest(entries, "many", 0.0, queries, truth)
        return entries
    chosen: dict[int, Entry] = {}
    for recall in LADDER:
        for mode in ("one", "many"):
            n = 2 if recall in RECALLS else 1
            picked = fastest(entries, mode, recall, queries, truth, n)
            if recall in RECALLS:
                picked += [easiest(e, entries, mode, recall, queries, truth) for e in picked]
            for entry in picked:
                chosen[id(entry)] = entry
    for entry in chosen.values():
        for mode in modes(entry.setting):
            fastest([entry], mode, 0.0, queries, truth)
    return list(chosen.values())


def contest(data: Data, options, lines: Lines) -> None:
    base, queries, truth = data.load()
    title = f"{data.name} ({len(base):,} x {base.shape[1]}, {truth.metric})"
    lines.add(
        "data",
        data=data.name,
        title=title,
        queries=len(queries),
        rounds=options.rounds,
        processor=processor(),
        date=now(),
        load=os.getloadavg()[0],
    )
    families: dict[str, list[Entry]] = {}
    for entrant in open_all(data, base, options, lines):
        try:
            tried = try_all(entrant, queries, truth)
        except Exception as failed:
            lines.absent(data.name, entrant.name, f"{type(failed).__name__}: {failed}")
            continue
        cost = dataclasses.asdict(entrant.cost)
        lines.add("build", data=data.name, family=entrant.family, name=entrant.name, build=cost)
        families.setdefault(entrant.family, []).extend(tried)
        top = max(e.tried["one"][0] for e in tried)
        print(f"  {data.name}: {entrant.name}: tried, up to {top:.4f}", file=sys.stderr)
    chosen = [e for entries in families.values() for e in choose(entries, queries, truth)]
    told = f"{len(chosen)} settings in turn, {options.rounds} rounds"
    print(f"  {data.name}: {told}", file=sys.stderr)
    for mode in ("one", "many"):
        race(chosen, queries, mode, options.rounds)
    for entry in (e for entries in families.values() for e in entries if e.failed):
        label = f"{entry.contestant.name}, {entry.setting.name}"
        lines.absent(data.name, label, entry.failed)
    for entry in chosen:
        if not entry.failed:
            write(data.name, entry, lines)


def write(name: str, entry: Entry, lines: Lines) -> None:
    """One timed setting."""
    figures = {}
    for mode in modes(entry.setting):
        rounds = entry.rounds[mode]
        figures[mode] = {
            "recall": entry.recall[mode],
            "per_second": rate(entry, mode),
            "rounds": [round(r, 1) for r in rounds],
            "cpu_by_wall": round(entry.share[mode], 3),
        }
        if entry.share[mode] > 1.1:
            told = f"{entry.contestant.name}, {entry.setting.name}"
            print(f"MORE THAN ONE THREAD: {told}: {entry.share[mode]:.2f}", file=sys.stderr)
    lines.add(
        "point",
        data=name,
        family=entry.contestant.family,
        name=entry.contestant.name,
        setting=entry.setting.name,
        build=dataclasses.asdict(entry.contestant.cost),
        **figures,
    )


def fill(data: Data, options, lines: Lines) -> None:
    """Builds what the cache lacks, and says what each build took."""
    for entrant in open_all(data, data.base(), options, lines):
        cost = entrant.cost
        told = f"{entrant.name} | {cost.cpu:.2f} CPU s | {cost.measured}"
        print(f"| {data.name} | {told} |", flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="data sets, after fill if they are only built")
    parser.add_argument("--metric", choices=("euclidean", "angular", "dot"), help="of every set")
    parser.add_argument("--out", type=Path, help="a file of JSON lines to add to")
    parser.add_argument("--cache", type=Path, help="a folder of built peers, kept for later runs")
    parser.add_argument("--rebuild", action="store_true", help="builds what the cache has again")
    parser.add_argument("--only", action="append", choices=sorted(LIBRARIES), help="repeatable")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_intermixed_args()
    options.job = contest
    if options.names[:1] == ["fill"]:
        options.job = fill
        options.names.pop(0)
    return options


def sets(options, lines: Lines) -> list[Data]:
    """What is to be measured: the sets named, or ours, each absent one with its stand-in."""
    found = []
    for name in options.names or with_stand_ins(SETS, lines):
        try:
            found.append(find(name, options.metric))
        except NotRun as missing:
            lines.absent(name, "the set", str(missing))
    return found


def alone() -> None:
    """Libraries that print do so into the error output, which is not the result."""
    sys.stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)


def main() -> None:
    options = arguments()
    alone()
    print(f"k = {K}, one thread, from Python; medians of {options.rounds} rounds in turn")
    lines = Lines(options.out)
    with tempfile.TemporaryDirectory() as unkept:
        options.cache = Cache(options.cache or Path(unkept), options.rebuild)
        for data in sets(options, lines):
            try:
                options.job(data, options, lines)
            except (ImportError, NotRun) as missing:
                lines.absent(data.name, options.job.__name__, str(missing))
    print("\n".join(peers_report.tables(lines.kept)))


if __name__ == "__main__":
    main()
