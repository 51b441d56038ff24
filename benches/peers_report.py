"""Turns the JSON lines of `peers.py --out` into tables and pictures.

    python benches/peers_report.py run.jsonl [more.jsonl] [--pictures docs/pictures]

Prints the tables as docs/benchmarks.md has them, what did not run after them; with `--pictures`
also writes DATA.svg for each data set into that folder. Points of several files are taken
together, a later measurement of the same setting in place of an earlier one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from peers_picture import Series, picture

RECALLS = (0.9, 0.95, 0.99)
#: Everything is compared with this family.
OURS = "nearwood"
HEAD = ("", "setting", "recall@10", "queries/s", "nearwood is", "batch/s", "its recall")
HEAD += ("nearwood is", "build CPU s", "file MB", "build's peak MB")


def read(paths: Iterable[Path]) -> list[dict]:
    """Every line of every file."""
    return [json.loads(line) for path in paths for line in path.read_text().splitlines() if line]


def points(lines: list[dict], data: str) -> list[dict]:
    """The timed settings of a data set, each once."""
    latest = {}
    for line in lines:
        if line["kind"] == "point" and line["data"] == data:
            latest[line["family"], line["name"], line["setting"]] = line
    return list(latest.values())


def sets(lines: list[dict]) -> dict[str, str]:
    """Data sets and their titles, in the order of the lines."""
    return {line["data"]: line["title"] for line in lines if line["kind"] == "data"}


def families(found: list[dict]) -> list[str]:
    """In the order of the lines."""
    return list(dict.fromkeys(point["family"] for point in found))


def best(found: list[dict], family: str, mode: str, recall: float) -> dict | None:
    """The fastest of a family that reaches a recall; what was asked for one, as it came out."""
    if " recall=" in family:
        own = family.endswith(f"recall={recall}")
        able = [p for p in found if own and p["family"] == family and mode in p]
    else:
        able = [
            p for p in found if p["family"] == family and mode in p and p[mode]["recall"] >= recall
        ]
    return max(able, key=lambda p: p[mode]["per_second"], default=None)


def table(found: list[dict], recall: float) -> Iterator[str]:
    """The rows of one recall: the fastest one by one, and the fastest batch beside it, which may be
    of another setting and is then named."""
    yield "| " + " | ".join(HEAD) + " |"
    yield "|---" * len(HEAD) + "|"
    first = {mode: best(found, OURS, mode, recall) for mode in ("one", "many")}
    for family in families(found):
        one = best(found, family, "one", recall)
        many = best(found, family, "many", recall)
        if one:
            yield "| " + " | ".join(cells(one, many, first)) + " |"


def cells(one: dict, many: dict | None, first: dict[str, dict | None]) -> list[str]:
    """One row of a table."""

    def ratio(mode: str, point: dict) -> str:
        ours = first[mode]
        return f"{ours[mode]['per_second'] / point[mode]['per_second']:.2f} x" if ours else ""

    single = [f"{one['one']['recall']:.4f}", f"{one['one']['per_second']:,.0f}", ratio("one", one)]
    batch = ["", "", ""]
    if many:
        same = many["name"] == one["name"]
        other = many["setting"] if same else f"{many['name']}, {many['setting']}"
        named = "" if same and many["setting"] == one["setting"] else f" ({other})"
        figures = many["many"]
        batch = [f"{figures['per_second']:,.0f}", f"{figures['recall']:.4f}{named}"]
        batch.append(ratio("many", many))
    build = one["build"]
    peak = build["peak_bytes"]
    size = [f"{build['file_bytes'] / 1e6:,.0f}", "" if peak is None else f"{peak / 1e6:,.0f}"]
    return [one["name"], one["setting"], *single, *batch, f"{build['cpu']:.2f}", *size]


def tables(lines: list[dict]) -> Iterator[str]:
    """All tables as markdown, then what did not run, and when each build was measured."""
    for data, title in sets(lines).items():
        found = points(lines, data)
        if not found:
            continue
        yield f"\n### {title}"
        for recall in RECALLS:
            yield f"\nRecall {recall}:\n"
            yield from table(found, recall)
        days = sorted({point["build"]["measured"][:10] for point in found})
        yield f"\nBuilds measured on {', '.join(days)}."
        yield from short(found)
    absent = {(line["label"], line["reason"]): None for line in lines if line["kind"] == "absent"}
    if absent:
        yield "\nNot run:\n"
    for label, reason in absent:
        yield f"- {label}: {reason}"


def short(found: list[dict]) -> Iterator[str]:
    """Families that a table lacks."""
    for family in families(found):
        if " recall=" in family or best(found, family, "one", max(RECALLS)):
            continue
        top = max(p["one"]["recall"] for p in found if p["family"] == family)
        yield f"\n{family} stops at {top:.4f}."


def front(found: list[dict], family: str, mode: str) -> list[tuple[float, float]]:
    """(recall, queries a second) of the points of a family that no other of it beats in both."""
    all_points = [
        (p[mode]["recall"], p[mode]["per_second"])
        for p in found
        if p["family"] == family and mode in p
    ]
    kept: list[tuple[float, float]] = []
    for recall, rate in sorted(all_points, reverse=True):
        if not kept or rate > kept[-1][1]:
            kept.append((recall, rate))
    return kept[::-1]


def series(found: list[dict], mode: str) -> list[Series]:
    """The lines of a panel; what is asked by recall= is one line of its own."""
    drawn = []
    for family in families(found):
        if " recall=" not in family:
            drawn.append(Series(family, front(found, family, mode), family.startswith(OURS)))
    asked = [p for p in found if " recall=" in p["family"] and mode in p]
    if asked:
        came = sorted((p[mode]["recall"], p[mode]["per_second"]) for p in asked)
        drawn.insert(1, Series("nearwood as it comes", came, True, joined=False))
    return [line for line in drawn if line.points]


def pictures(lines: list[dict], folder: Path) -> Iterator[Path]:
    """Writes DATA.svg for each data set."""
    folder.mkdir(parents=True, exist_ok=True)
    for data, title in sets(lines).items():
        found = points(lines, data)
        if not found:
            continue
        panels = {
            "one query at a time": series(found, "one"),
            "batches of 1,000": series(found, "many"),
        }
        path = folder / f"{data}.svg"
        path.write_text(picture(f"{title}, k = 10, one thread", panels))
        yield path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--pictures", type=Path, help="a folder for DATA.svg of each data set")
    options = parser.parse_args()
    lines = read(options.files)
    print("\n".join(tables(lines)))
    for path in pictures(lines, options.pictures) if options.pictures else ():
        print(f"\nwritten: {path}")


if __name__ == "__main__":
    main()
