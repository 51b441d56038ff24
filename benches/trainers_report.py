"""Turns the JSON lines of `trainers.py` into tables and a picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bars import Bar, Panel, figure, picture
from lines import noise, of_kind
from markup import head, row

#: Everything is compared with this trainer.
OURS = "nearwood cholesky"
EPOCHS = ("factors", "threads", "trainer", "s an epoch", "times as long", "share")
LOSSES = ("factors", "trainer", "s an epoch", "s to 2%", "s to 1%", "s to 0.5%")


def sets(lines: list[dict], kind: str) -> list[str]:
    """Data sets that have lines of a kind (`epoch` or `loss`), in the order of the lines."""
    return list(dict.fromkeys(line["data"] for line in of_kind(lines, kind)))


def latest(lines: list[dict], kind: str, data: str) -> list[dict]:
    """Each trainer's line, a later one in place of an earlier one."""
    found = {}
    for line in of_kind(lines, kind, data=data):
        found[line["factors"], line.get("threads"), line["trainer"]] = line
    return list(found.values())


def epochs(lines: list[dict], data: str) -> Iterator[str]:
    """Seconds an epoch, beside ours of the same factors and threads."""
    found = latest(lines, "epoch", data)
    own = {(e["factors"], e["threads"]): e["seconds"] for e in found if e["trainer"] == OURS}
    yield from head(EPOCHS)
    for e in found:
        ours = own.get((e["factors"], e["threads"]))
        ratio = f"{e['seconds'] / ours:.2f}" if ours else ""
        seconds = figure(e["seconds"])
        yield row((e["factors"], e["threads"], e["trainer"], seconds, ratio, f"{e['share']:.2f}"))
    peaks = [rate for line in of_kind(lines, "product", data=data) for rate in line["rounds"]]
    if peaks:
        yield f"\nnumpy's product came to {min(peaks):,.0f} to {max(peaks):,.0f} GFLOP/s a core."
    yield f"\n{about(lines, data, 'speed', found)}; {noise(e['rounds'] for e in found)}."


def losses(lines: list[dict], data: str) -> Iterator[str]:
    """CPU seconds to a loss."""
    found = latest(lines, "loss", data)
    yield from head(LOSSES)
    for line in found:
        times = ["-" if t is None else figure(t) for t in line["reached"].values()]
        yield row([line["factors"], line["trainer"], figure(line["seconds"]), *times])
    yield f"\n{about(lines, data, 'loss', found)}; one training each."


def about(lines: list[dict], data: str, what: str, found: list[dict]) -> str:
    """When, on what, and of which versions."""
    known = of_kind(lines, "training", data=data, what=what)
    versions = sorted({f"{line['trainer'].split()[0]} {line['version']}" for line in found})
    when = f"Measured on {known[-1]['date'][:10]}, {known[-1]['processor']}: " if known else ""
    return when + ", ".join(versions)


def tables(lines: list[dict]) -> Iterator[str]:
    """All as markdown, then what did not run."""
    for kind, of in (("epoch", epochs), ("loss", losses)):
        for data in sets(lines, kind):
            yield f"\n### {data}\n"
            yield from of(lines, data)
    for line in of_kind(lines, "absent"):
        yield f"\nNot run: {line['data']}: {line['label']}: {line['reason']}"


def epoch_picture(lines: list[dict], data: str, path: Path) -> bool:
    """Bars of one thread's seconds, a panel for each number of factors."""
    found = [e for e in latest(lines, "epoch", data) if e["threads"] == 1]
    panels = [
        Panel(
            f"seconds an epoch, {d} factors",
            [
                Bar(e["trainer"], e["seconds"], e["trainer"].startswith("nearwood"))
                for e in found
                if e["factors"] == d
            ],
        )
        for d in dict.fromkeys(e["factors"] for e in found)
    ]
    if panels:
        path.write_text(picture(f"{data}, one thread", panels))
    return bool(panels)
