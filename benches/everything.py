"""One run of all: the machine's limits, every index, every trainer, all else, then the page.

    make bench
    make bench BENCH_ARGS="path/to/folder --metric angular"     vectors of your own
    make bench BENCH_ARGS=--resume                              on from where a run was ended
    make bench BENCH_TRAINERS="gowalla"                         other interactions, or none
    make bench BENCH_ARGS="gloss --more 'builds batches'"       what else is measured, or nothing
    python benches/everything.py generated-clusters --quick     the path alone: measures nothing

Each data set is a process of its own, one after the other: one that dies ends nobody else's run and
is named at the end of the page, with all that is not installed or failed. The machine is measured
before, between and after, so that the page shows how far it drifted meanwhile.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import generated
import page
from lines import Lines, now, of_kind, read
from truth import SETS, with_stand_ins

HERE = Path(__file__).parent
TRAINERS = ("nearwood", "implicit", "irspack")
#: What is measured of nearwood beside the races, in a full run: see `_more`.
MORE = ("builds", "batches", "filters", "larger", "quality", "everybody")
#: Of generated interactions of more pairs two epochs are timed of each, and no way to a loss.
MANY_PAIRS = 10_000_000


@dataclass
class Step:
    """One process, and what it is called on the page if it fails."""

    name: str
    command: list[str]


def steps(options) -> list[Step]:
    """The machine, then each set, the machine again after each kind."""
    limits = ["machine.py", *(["--quick"] if options.quick else [])]
    return [
        Step("machine, before", limits),
        *(step for n in options.names for step in _indexes(n, options)),
        Step("machine, between", limits),
        *(step for n in options.trainers for step in _training(n, options)),
        *_more(options),
        Step("machine, after", limits),
    ]


def _indexes(name: str, options) -> list[Step]:
    """All of one set of vectors; where only trainers are asked for, nothing."""
    only = [n for n in options.only or () if n not in TRAINERS[1:]]
    if options.only and not only:
        return []
    given = ["--cache", str(options.cache)]
    given += ["--rounds", str(options.rounds)] if options.rounds else []
    given += ["--metric", options.metric] if options.metric else []
    given += ["--rebuild"] if options.rebuild else []
    given += [word for n in only for word in ("--only", n)]
    return [Step(f"indexes of {name}", ["peers.py", name, *given])]


def _training(name: str, options) -> list[Step]:
    """The race of epochs and that to a loss; without trainers asked for, neither."""
    trainers = [n for n in options.only or TRAINERS if n in TRAINERS]
    if not trainers:
        return []
    only = [word for n in trainers for word in ("--only", n)]
    many = generated.PLAYS.get(name, (0, 0, 0))[2] > MANY_PAIRS
    speed = "--factors 64 --epochs 3 --rounds 1" if many else ""
    loss = "--factors 256 512 --epochs 8"
    if options.quick:
        speed = loss = "--factors 8 --epochs 2 --rounds 1 --threads 1"
    epochs = Step(f"epochs of {name}", ["trainers.py", "speed", name, *only, *speed.split()])
    losses = Step(f"losses of {name}", ["trainers.py", "loss", name, *only, *loss.split()])
    return [epochs] if many else [epochs, losses]


def _more(options) -> list[Step]:
    """Benches that write tables of their own."""
    sets = [*options.given, *(["--metric", options.metric] if options.metric else [])]
    little = options.quick
    sets += ["--rounds", "1"] if little else []
    known = {
        "builds": ["builds.py", *sets],
        "batches": ["batches.py", *sets],
        "filters": ["filters.py", *sets],
        "larger": ["large.py", *(["--scale", "0.001"] if little else [])],
        "quality": ["quality.py"],
        "everybody": ["recommend_all.py", *(["--users=500", "--items=300"] if little else [])],
    }
    return [Step(name, known[name]) for name in options.more]


def run(step: Step, out: Path, lines: Lines) -> None:
    """To its end, or named with the way it ended."""
    print(f"=== {step.name} ({now()})", file=sys.stderr, flush=True)
    script, *given = step.command
    ended = subprocess.run([sys.executable, str(HERE / script), *given, "--out", str(out)])
    if ended.returncode:
        lines.absent("this run", step.name, f"the process ended with {ended.returncode}")
    else:
        lines.add("step", name=step.name, date=now())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="sets of vectors, or folders of base and queries")
    parser.add_argument("--metric", choices=("euclidean", "angular", "dot"), help="of every folder")
    parser.add_argument("--trainers", default="gowalla ml-1m generated-power-law")
    parser.add_argument("--more", help=f"of {' '.join(MORE)}: all, unless sets or --only are given")
    parser.add_argument("--only", action="append", help="a library, of both kinds; repeatable")
    parser.add_argument("--rounds", type=int, help="of indexes, in place of their own")
    parser.add_argument("--cache", type=Path, default=Path("target/peers"), help="of built peers")
    parser.add_argument("--rebuild", action="store_true", help="builds what the cache has again")
    parser.add_argument("--resume", action="store_true", help="leaves out the steps that --out has")
    parser.add_argument("--quick", action="store_true", help="one round of little: no measurement")
    parser.add_argument("--out", type=Path, default=Path("target/bench.jsonl"))
    parser.add_argument("--page", type=Path, default=Path("docs/benchmarks.md"))
    parser.add_argument("--pictures", type=Path, default=Path("docs/pictures"))
    return parser.parse_intermixed_args()


def check(target: Path) -> None:
    """Ends here, rather than after hours, where there would be no place for what is found."""
    try:
        if page.OTHERS not in page.marks(target.read_text(encoding="utf-8")):
            sys.exit(f"{target}: there is no region {page.OTHERS!r} (benches/page.py)")
    except (OSError, ValueError) as wrong:
        sys.exit(f"{target}: {wrong}")


def main() -> None:
    options = arguments()
    check(options.page)
    if not options.resume:
        options.out.unlink(missing_ok=True)
    lines = Lines(options.out)
    options.rounds = 1 if options.quick else options.rounds
    partial = options.names or options.only
    options.more = MORE if options.more is None and not partial else (options.more or "").split()
    unknown = [name for name in options.more if name not in MORE]
    if unknown:
        sys.exit(f"--more {unknown[0]}: expected some of {', '.join(MORE)}")
    options.given = options.names
    options.names = options.names or with_stand_ins(SETS, lines)
    options.trainers = with_stand_ins(options.trainers.split(), lines)
    known = read([options.out]) if options.out.exists() else []
    whole = {line["name"] for line in of_kind(known, "step")}
    for step in steps(options):
        if step.name not in whole:
            run(step, options.out, lines)
    found = read([options.out])
    if not any(of_kind(found, kind) for kind in ("point", "epoch", "loss", "row")):
        sys.exit(f"nothing was measured, and {options.page} is as it was: see above")
    page.write(found, options.page, options.pictures)
    print(f"written: {options.page}, and pictures in {options.pictures}, from {options.out}")


if __name__ == "__main__":
    main()
