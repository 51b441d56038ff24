"""What a run finds: JSON lines, written as they are found, so that an ended run loses little.

Every line has a `kind`. Of `peers.py`: `run`, `data` (a set begins), `build` (an index and its
cost), `point` (a timed setting). Of `trainers.py`: `epoch`, `product`, `loss`. Of `machine.py`:
`machine`. Of what writes by `tables.py`: `table` (one begins), `row`. Of any: `absent` (what did
not run, and why). Of `everything.py`: `step` (one is whole).
"""

from __future__ import annotations

import datetime
import json
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path


class Lines:
    """Lines of this process: kept, and added to a file if there is one."""

    def __init__(self, path: Path | None):
        self.kept: list[dict] = []
        self.path = path
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, kind: str, **what) -> None:
        line = {"kind": kind, **what}
        self.kept.append(line)
        if self.path:
            with self.path.open("a") as file:
                file.write(json.dumps(line) + "\n")

    def absent(self, data: str, label: str, reason: str) -> None:
        """Something that did not run: said now, and named by the report."""
        print(f"NOT RUN: {data}: {label} ({reason})", file=sys.stderr)
        self.add("absent", data=data, label=label, reason=reason)


def read(paths: Iterable[Path]) -> list[dict]:
    """Every line of every file."""
    return [json.loads(line) for path in paths for line in path.read_text().splitlines() if line]


def of_kind(lines: list[dict], kind: str, **having) -> list[dict]:
    """The lines of a kind that have these values."""
    able = (line for line in lines if line["kind"] == kind)
    return [line for line in able if all(line.get(k) == v for k, v in having.items())]


def spread(rounds: list[float]) -> float:
    """How far rounds lie from their median, as a share of it: the median absolute deviation."""
    middle = statistics.median(rounds)
    return statistics.median(abs(r - middle) for r in rounds) / middle if middle else 0.0


def noise(runs: Iterable[list[float]]) -> str:
    """What the spread of many figures is, in words."""
    spreads = sorted(spread(rounds) for rounds in runs if len(rounds) > 1)
    if not spreads:
        return "one round, so nothing is known of the noise"
    high = spreads[min(len(spreads) - 1, round(0.9 * (len(spreads) - 1)))]
    return (
        f"a round lies {statistics.median(spreads):.1%} from the median of its rounds "
        f"(median absolute deviation, the middle of {len(spreads)} figures; nine in ten lie "
        f"within {high:.1%})"
    )


def now() -> str:
    return datetime.datetime.now().isoformat(timespec="minutes")
