"""Turns the JSON lines of `peers.py --out` into tables and pictures.

    python benches/peers_report.py run.jsonl [more.jsonl] [--pictures docs/pictures]

Prints the tables as docs/benchmarks.md has them, what did not run after them; with `--pictures`
also writes DATA.svg and DATA-builds.svg for each data set into that folder. Points of several files
are taken together, a later measurement of the same setting in place of an earlier one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import bars
import markup
from lines import noise, of_kind, read
from peers_picture import Series, picture

RECALLS = (0.9, 0.95, 0.99)
#: Everything is compared with this family.
OURS = "nearwood"
BUILDS = ("", "version", "CPU s", "file MB", "peak MB", "measured on")
BESIDE = ("recall", "nearwood, queries/s", "the best other", "its queries/s", "nearwood is")
BESIDE += ("the best other batch", "nearwood is")
HEAD = ("", "setting", "recall@10", "queries/s", "nearwood is", "batch/s", "its recall")
HEAD += ("nearwood is", "build CPU s", "file MB", "build's peak MB")


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
    yield from markup.head(HEAD)
    first = {mode: best(found, OURS, mode, recall) for mode in ("one", "many")}
    for family in families(found):
        one = best(found, family, "one", recall)
        many = best(found, family, "many", recall)
        if one:
            yield markup.row(cells(one, many, first))


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


def others(found: list[dict], mode: str, recall: float) -> dict | None:
    """The fastest at a recall of all families but ours."""
    theirs = [best(found, f, mode, recall) for f in families(found) if not f.startswith(OURS)]
    return max(filter(None, theirs), key=lambda p: p[mode]["per_second"], default=None)


def summary(found: list[dict]) -> Iterator[str]:
    """Ours beside the fastest of all others."""
    yield from markup.head(BESIDE)
    for recall in RECALLS:
        row = [str(recall)]
        for mode in ("one", "many"):
            ours, theirs = best(found, OURS, mode, recall), others(found, mode, recall)
            rate = lambda p: p[mode]["per_second"]  # noqa: B023, E731
            if mode == "one":
                row.append(f"{rate(ours):,.0f}" if ours else "-")
            row.append(theirs["name"] if theirs else "none")
            if mode == "one":
                row.append(f"{rate(theirs):,.0f}" if theirs else "-")
            row.append(f"{rate(ours) / rate(theirs):.2f} x" if ours and theirs else "-")
        yield markup.row(row)


def builds(lines: list[dict], data: str) -> list[dict]:
    """What was built for a data set, each once."""
    found = {line["name"]: line for line in of_kind(lines, "build", data=data)}
    # Runs from before builds had lines of their own.
    found |= {p["name"]: p for p in points(lines, data) if p["name"] not in found}
    return [line for line in found.values() if " recall=" not in line["family"]]


def build_table(built: list[dict]) -> Iterator[str]:
    """Every build and what it cost; one searched in several ways is named by what they share."""
    yield from markup.head(BUILDS)
    for (_, cost), lines in groupby(built, key=lambda line: (line["family"], line["build"])):
        parts = zip(*(line["name"].split(", ") for line in lines), strict=False)
        name = ", ".join(each[0] for each in parts if len({*each}) == 1)
        peak = cost["peak_bytes"]
        cells = [name, cost["version"], f"{cost['cpu']:.2f}"]
        cells += [f"{cost['file_bytes'] / 1e6:,.0f}", "" if peak is None else f"{peak / 1e6:,.0f}"]
        yield markup.row([*cells, cost["measured"][:10]])


def drawn_builds(found: list[dict], built: list[dict]) -> list[dict]:
    """Of each family the build that its fastest search at recall 0.95 is of; failing that, the
    quickest build."""
    chosen = {}
    for line in sorted(built, key=lambda b: b["build"]["cpu"]):
        chosen.setdefault(line["family"], line)
    for family in families(found):
        if family in chosen and (top := best(found, family, "one", 0.95)):
            chosen[family] = top
    return list(chosen.values())


def of_set(lines: list[dict], data: str) -> Iterator[str]:
    """The tables of one data set, and how they were measured."""
    found = points(lines, data)
    known = of_kind(lines, "data", data=data)[-1]
    yield "Beside the best of all others:\n"
    yield from summary(found)
    for recall in RECALLS:
        yield f"\nRecall {recall}:\n"
        yield from table(found, recall)
    yield from short(found)
    yield "\nBuilds, each on one thread:\n"
    yield from build_table(builds(lines, data))
    rounds = [p[mode]["rounds"] for p in found for mode in ("one", "many") if mode in p]
    when = f"Measured on {known['date'][:10]}, {known['processor']}, rounds: {known['rounds']}"
    yield f"\n{when}, in turn; {noise(rounds)}. Each build was timed once."


def tables(lines: list[dict]) -> Iterator[str]:
    """All tables as markdown, then what did not run."""
    for data, title in sets(lines).items():
        if points(lines, data):
            yield f"\n### {title}\n"
            yield from of_set(lines, data)
    for line in of_kind(lines, "absent"):
        yield f"\nNot run: {line['data']}: {line['label']}: {line['reason']}"


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
    """Writes DATA.svg and DATA-builds.svg for each data set."""
    folder.mkdir(parents=True, exist_ok=True)
    for data, title in sets(lines).items():
        found = points(lines, data)
        if not found:
            continue
        queries = of_kind(lines, "data", data=data)[-1].get("queries", 1000)
        panels = {
            "one query at a time": series(found, "one"),
            f"a batch of {queries:,}": series(found, "many"),
        }
        path = folder / f"{data}.svg"
        path.write_text(picture(f"{title}, k = 10, one thread", panels))
        yield path
        path = folder / f"{data}-builds.svg"
        path.write_text(build_picture(title, drawn_builds(found, builds(lines, data))))
        yield path


def build_picture(title: str, built: list[dict]) -> str:
    """Time and size of the builds."""

    def panel(name: str, key: str, scale: float) -> bars.Panel:
        able = [line for line in built if line["build"][key] is not None]
        shown = [
            bars.Bar(line["name"], line["build"][key] / scale, line["family"].startswith(OURS))
            for line in able
        ]
        return bars.Panel(name, shown)

    panels = [panel("CPU seconds of the build", "cpu", 1), panel("file, MB", "file_bytes", 1e6)]
    return bars.picture(f"{title}: builds, one thread", panels)


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
