"""The tables of benches that find one row after the other, and how each of them is written.

A bench says what it found with `Rows`; the page takes what it wrote last. Every table has a region
of the same name on the page.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import markup
from lines import Lines, noise, now, of_kind
from machine import processor
from truth import Data, find, with_stand_ins


@dataclass(frozen=True)
class Table:
    """What it is called where a page has no region for it; for each heading, the format of a cell
    in the figures of its row."""

    title: str
    columns: dict[str, str]


TABLES = {
    "builds": Table(
        "Builds in turn",
        {
            "data": "{data}",
            "": "{name}",
            "threads": "{threads}",
            "CPU s": "{cpu:.2f}",
            "clock s": "{wall:.2f}",
            "CPU s by nearwood's on one thread": "{ratio:.2f} x",
        },
    ),
    "batches": Table(
        "Batches beside a loop",
        {
            "data": "{data}",
            "asked": "{asked}",
            "recall@10": "{recall:.4f}",
            "queries/s in a loop": "{one:,.0f}",
            "in a batch": "{many:,.0f}",
            "": "{ratio:.2f} x",
        },
    ),
    "filters": Table(
        "Filters",
        {
            "data": "{data}",
            "what passes": "{passes}",
            "share": "{share:.2%}",
            "recall@10": "{recall:.4f}",
            "us a query": "{near:.1f}",
            "exact scan": "{exact:.1f}",
            "": "{ratio:.2f} x",
        },
    ),
    "larger": Table(
        "Larger sets, generated",
        {
            "data": "{data}",
            "build CPU s": "{built:.1f}",
            "file MB": "{megabytes:,.0f}",
            "opened in us": "{opened:.0f}",
            "recall asked": "{asked}",
            "recall@10": "{recall:.4f}",
            "us a query": "{micros:,.0f}",
        },
    ),
    "everybody": Table(
        "Everybody at once, generated",
        {
            "way": "{way}",
            "threads": "{threads}",
            "users/s": "{rate:,.0f}",
            "recall@50": "{recall:.4f}",
            "users measured": "{users:,}",
        },
    ),
    "quality": Table(
        "Quality",
        {
            "factors": "{factors}",
            "weighting": "{weighting}",
            "unobserved weight": "{unobserved_weight}",
            "regularization": "{regularization}",
            "scaling": "{regularization_scaling}",
            "epochs": "{iterations}",
            "test Recall@20": "{recall:.4f}",
            "test NDCG@20": "{ndcg:.4f}",
            "training, s": "{seconds:.1f}",
        },
    ),
}


class Rows:
    """One measurement of a table: its rows go to the lines, and are printed as they are found. What
    a row has of `rounds`, a list of lists, says how far apart they lay."""

    def __init__(self, table: str, lines: Lines, about: str = ""):
        self.table, self.lines = table, lines
        lines.add("table", table=table, about=about, date=now(), processor=processor())
        if about:
            print(f"{about}\n")
        print("\n".join(markup.head(TABLES[table].columns)), flush=True)

    def add(self, **figures) -> None:
        self.lines.add("row", table=self.table, **figures)
        print(row(self.table, figures), flush=True)


def row(table: str, figures: dict) -> str:
    return markup.row(cell.format(**figures) for cell in TABLES[table].columns.values())


def measured(lines: list[dict]) -> list[str]:
    """The tables that there are rows of."""
    return [table for table in TABLES if of_kind(lines, "row", table=table)]


def latest(lines: list[dict], table: str) -> Iterator[str]:
    """The last measurement of a table as markdown: an earlier one is no part of it."""
    of_table = [line for line in lines if line.get("table") == table]
    begun = max(at for at, line in enumerate(of_table) if line["kind"] == "table")
    known, rows = of_table[begun], of_table[begun + 1 :]
    if known["about"]:
        yield known["about"] + "\n"
    yield from markup.head(TABLES[table].columns)
    yield from (row(table, figures) for figures in rows)
    rounds = [each for figures in rows for each in figures.get("rounds", ())]
    told = f"; {noise(rounds)}" if rounds else ""
    yield f"\nMeasured on {known['date'][:10]}, {known['processor']}{told}."


#: What measures one set of vectors: the set, how many rounds, and the table its rows go to.
Measure = Callable[[Data, int, Rows], None]


def of_sets(table: str, about: str, names: Sequence[str], rounds: int, measure: Measure) -> None:
    """A bench whose arguments are sets of vectors; one that is absent or fails is named."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"sets, or folders of them: {' '.join(names)}")
    parser.add_argument("--metric", choices=("euclidean", "angular", "dot"), help="of every folder")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--out", type=Path, help="a file of JSON lines to add to")
    options = parser.parse_args()
    lines = Lines(options.out)
    rows = Rows(table, lines)
    for name in options.names or with_stand_ins(names, lines):
        try:
            measure(find(name, options.metric), options.rounds, rows)
        except Exception as failed:
            lines.absent(name, "the set", f"{table}: {type(failed).__name__}: {failed}")
