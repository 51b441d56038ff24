"""Puts the tables and pictures of a run into a page that people wrote.

    python benches/page.py run.jsonl [more.jsonl] --page docs/benchmarks.md --pictures docs/pictures

The page marks what is the machine's, and everything else is left as it is, byte by byte:

    <!-- made by benches/page.py: index photosift -->
    ...
    <!-- end of index photosift -->

Regions: `machine`; `index SET`, `epochs SET` and `losses SET` for each data set; those of
`tables.py`; `other sets` for what has no region of its own; `not run`. One that a run says nothing
of stays as it is, so that a run of one set renews the tables of that set alone.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import peers_report
import tables
import trainers_report
from lines import of_kind, read, spread

MARK = re.compile(
    r"(?P<begin><!-- made by benches/page\.py: (?P<name>[^>]+?) -->\n)"
    r"(?P<body>.*?)"
    r"(?P<end><!-- end of (?P=name) -->)",
    re.DOTALL,
)
BEGIN = re.compile(r"<!-- made by benches/page\.py: ([^>]+?) -->")
OTHERS = "other sets"


class Region(NamedTuple):
    """What a run has to say of one thing; the title is for a page that has no region for it."""

    title: str
    text: Iterator[str]


def machine(lines: list[dict]) -> Iterator[str]:
    """What it is, its limits, and how far they lay apart from the first measurement to the last."""
    known = of_kind(lines, "machine")
    last = known[-1]
    levels = ", ".join(f"{name} {size}" for name, size in last["caches"].items())
    days = " to ".join(dict.fromkeys((known[0]["date"][:10], last["date"][:10])))
    about = {
        "measured on": days,
        "processor": last["processor"],
        "cores that the run may use": str(last["cores"]),
        "instruction sets": ", ".join(last["flags"]),
        "caches": levels,
        "memory": f"{last['memory_bytes'] / 2**30:.0f} GiB",
        "system": f"{last['system']}, Python {last['python']}, numpy {last['numpy']}",
    }
    if any(line["quick"] for line in known):
        yield "**A trial with `--quick`: none of this run's figures is a measurement.**\n"
    yield "| | |\n|---|---|"
    for name, value in about.items():
        yield f"| {name} | {value} |"
    yield "\n| limit, one thread | | in rounds | of its median |\n|---|---|---|---|"
    for name in dict.fromkeys(name for line in known for name in line["limits"]):
        every = [line["limits"][name] for line in known if name in line["limits"]]
        rounds = [r for limit in every for r in limit["rounds"]]
        middle = f"{statistics.median(rounds):,.1f} {every[0]['unit']}"
        ends = f"{min(rounds):,.1f} to {max(rounds):,.1f}"
        yield f"| {name} | {middle} | {ends} | {spread(rounds):.1%} |"
    times = len(known)
    yield (
        f"\nMeasured {times} times in the run; the last column is the median absolute deviation "
        "of all rounds."
    )


def index(lines: list[dict], data: str, pictures: str) -> Iterator[str]:
    """Pictures and tables of one set."""
    yield f"![{data}: recall and queries a second]({pictures}/{data}.svg)\n"
    yield f"![{data}: time and size of the builds]({pictures}/{data}-builds.svg)\n"
    yield from peers_report.of_set(lines, data)


def epochs(lines: list[dict], data: str, pictures: str) -> Iterator[str]:
    yield f"![{data}: seconds an epoch]({pictures}/{data}-epochs.svg)\n"
    yield from trainers_report.epochs(lines, data)


def not_run(lines: list[dict]) -> Iterator[str]:
    """Everything that did not, once; but what a later attempt of the run brought to its end."""
    whole = {line["name"] for line in of_kind(lines, "step")}
    told = dict.fromkeys(
        (line["data"], line["label"], line["reason"])
        for line in of_kind(lines, "absent")
        if line["label"] not in whole
    )
    for data, label, reason in told:
        yield f"- {data}: {label}: {_one_line(reason)}"
    if not told:
        yield "Everything ran."


def _one_line(text: str, most: int = 200) -> str:
    """For a list of a page: no line ends, no folders of this machine, no HTML, not too long."""
    flat = " ".join(text.replace(f"{Path.cwd()}{os.sep}", "").split()).replace("<", "&lt;")
    return flat if len(flat) <= most else flat[:most] + " ..."


def regions(lines: list[dict], pictures: str) -> dict[str, Region]:
    """Everything that a run has to say, by the name of its region."""
    found = {}
    if of_kind(lines, "machine"):
        found["machine"] = Region("The machine", machine(lines))
    for data, title in peers_report.sets(lines).items():
        if peers_report.points(lines, data):
            found[f"index {data}"] = Region(title, index(lines, data, pictures))
    for data in trainers_report.sets(lines, "epoch"):
        found[f"epochs {data}"] = Region(f"{data}: epochs", epochs(lines, data, pictures))
    for data in trainers_report.sets(lines, "loss"):
        text = trainers_report.losses(lines, data)
        found[f"losses {data}"] = Region(f"{data}: seconds to a loss", text)
    for table in tables.measured(lines):
        found[table] = Region(tables.TABLES[table].title, tables.latest(lines, table))
    found["not run"] = Region("Not run", not_run(lines))
    return found


def marks(page: str) -> list[str]:
    """The names of a page's regions; ValueError where one has no end."""
    marked = [match["name"] for match in MARK.finditer(page)]
    endless = [name for name in BEGIN.findall(page) if name not in marked]
    if endless:
        raise ValueError(f"region {endless[0]!r} has no '<!-- end of {endless[0]} -->' after it")
    return marked


def renewed(page: str, made: dict[str, Region]) -> str:
    """The page with its regions renewed; what it has no region for goes to `other sets`. ValueError
    where a region has no end, or there is no place for something."""
    marked = marks(page)
    texts = {name: "\n".join(region.text) for name, region in made.items()}
    homeless = [name for name in made if name not in marked]
    if homeless and OTHERS not in marked:
        raise ValueError(
            f"there is no region for {homeless[0]!r}: add one of that name, or one {OTHERS!r}"
        )
    if homeless:
        titled = [f"### {made[name].title}\n\n{texts[name]}" for name in homeless]
        texts[OTHERS] = "\n\n".join(titled)

    def swap(match: re.Match) -> str:
        text = texts.get(match["name"])
        body = match["body"] if text is None else f"\n{text}\n\n"
        return match["begin"] + body + match["end"]

    return MARK.sub(swap, page)


def write(lines: list[dict], page: Path, pictures: Path) -> None:
    """Renews the page, and draws its pictures."""
    shown = os.path.relpath(pictures, page.parent).replace(os.sep, "/")
    text = renewed(page.read_text(encoding="utf-8"), regions(lines, shown))
    list(peers_report.pictures(lines, pictures))
    for data in trainers_report.sets(lines, "epoch"):
        trainers_report.epoch_picture(lines, data, pictures / f"{data}-epochs.svg")
    page.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--page", type=Path, default=Path("docs/benchmarks.md"))
    parser.add_argument("--pictures", type=Path, default=Path("docs/pictures"))
    options = parser.parse_args()
    try:
        write(read(options.files), options.page, options.pictures)
    except (OSError, ValueError) as failed:
        sys.exit(f"{options.page}: {failed}")
    print(f"written: {options.page}, and pictures in {options.pictures}")


if __name__ == "__main__":
    main()
