"""Holds the ratios of one run against those of another, and against the noise that both state.

    python benches/compare.py earlier.jsonl target/bench.jsonl

Ratios are what a run promises: absolute figures move with the machine. Of every set of vectors the
quotient of nearwood and the best of all others is printed for both runs, by recall, one query at a
time and in batches; of every set of interactions each trainer's time by that of nearwood's exact
one. "allowed" is how far two such quotients may lie apart by the rounds alone: each of the four
medians that they are made of may be off by twice the median absolute deviation of its rounds. Ends
with 1 where any lies farther.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import markup
import peers_report
import trainers_report
from lines import read, spread

HEAD = ("what", "earlier", "later", "later by earlier", "allowed", "")
MODES = {"one": "one query at a time", "many": "batches"}


class Ratio(NamedTuple):
    """A quotient of two medians, and the noise of its rounds as a share of it."""

    value: float
    noise: float


def ratios(lines: list[dict]) -> dict[str, Ratio]:
    """By what they are of."""
    return dict([*_indexes(lines), *_epochs(lines)])


def _indexes(lines: list[dict]) -> Iterator[tuple[str, Ratio]]:
    for data in peers_report.sets(lines):
        found = peers_report.points(lines, data)
        for recall in peers_report.RECALLS:
            for mode, told in MODES.items():
                ours = peers_report.best(found, peers_report.OURS, mode, recall)
                theirs = peers_report.others(found, mode, recall)
                if ours and theirs:
                    pair = ours[mode], theirs[mode]
                    value = pair[0]["per_second"] / pair[1]["per_second"]
                    noise = sum(spread(side["rounds"]) for side in pair)
                    yield f"{data}, {recall}, {told}", Ratio(value, noise)


def _epochs(lines: list[dict]) -> Iterator[tuple[str, Ratio]]:
    for data in trainers_report.sets(lines, "epoch"):
        found = trainers_report.latest(lines, "epoch", data)
        key = lambda e: (e["factors"], e["threads"])  # noqa: E731
        ours = {key(e): e for e in found if e["trainer"] == trainers_report.OURS}
        for e in found:
            own = ours.get(key(e))
            if own and e is not own:
                about = f"{data}, {e['factors']} factors, {e['threads']} threads, {e['trainer']}"
                noise = spread(e["rounds"]) + spread(own["rounds"])
                yield about, Ratio(e["seconds"] / own["seconds"], noise)


def table(earlier: dict[str, Ratio], later: dict[str, Ratio]) -> tuple[list[str], int]:
    """Rows of what both have, and how many lie farther apart than is allowed."""
    rows, far = [], 0
    for what in [what for what in earlier if what in later]:
        a, b = earlier[what], later[what]
        quotient, allowed = b.value / a.value, 2 * (a.noise + b.noise)
        beyond = not 1 / (1 + allowed) <= quotient <= 1 + allowed
        far += beyond
        cells = [what, f"{a.value:.2f} x", f"{b.value:.2f} x", f"{quotient:.2f}"]
        rows.append([*cells, f"{allowed:.1%}", "beyond" if beyond else ""])
    return [markup.row(cells) for cells in rows], far


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("earlier", type=Path)
    parser.add_argument("later", type=Path)
    options = parser.parse_args()
    try:
        both = [ratios(read([path])) for path in (options.earlier, options.later)]
    except (OSError, ValueError, KeyError) as failed:
        sys.exit(
            f"{type(failed).__name__}: {failed}: expected files of JSON lines that benches wrote"
        )
    rows, far = table(*both)
    if not rows:
        sys.exit("the runs have nothing in common")
    print("\n".join([*markup.head(HEAD), *rows]))
    print(f"\n{len(rows) - far} of {len(rows)} ratios lie within what their rounds allow.")
    sys.exit(1 if far else 0)


if __name__ == "__main__":
    main()
