"""Instructions of the fixed jobs in benches/instructions.rs, counted by callgrind and compared
with a table: a check against regressions that the noise of a clock would hide.

    python benches/instructions.py              every job beside benches/instructions.json
    python benches/instructions.py search       those whose names begin so
    python benches/instructions.py --update     and the table written anew

Ends with 1 if a job took more instructions than the table allows, and with 3, loudly, if nothing
could be counted. Profiles are left in target/instructions: `callgrind_annotate FILE` says where the
instructions went.

Counts are those of AVX2: valgrind knows no AVX-512. From run to run they differ by a few
hundred-thousandths; with another compiler or C library by more, hence the tolerance. More
instructions need not be more time, so where a change was meant, `--update` and say why.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "benches" / "instructions.json"
PROFILES = ROOT / "target" / "instructions"
#: By how much a count may grow.
TOLERANCE = 0.03


class NotRun(Exception):
    """Why nothing was counted."""


@dataclass
class Change:
    """A job beside the table; `before` is None where the table does not know it."""

    job: str
    before: int | None
    now: int

    @property
    def ratio(self) -> float:
        return self.now / self.before - 1 if self.before else 0.0

    @property
    def verdict(self) -> str:
        if self.before is None:
            return "new: --update writes it down"
        if self.ratio > TOLERANCE:
            return "MORE"
        return "fewer: --update writes it down" if self.ratio < -TOLERANCE else ""


def output(*command: str | Path) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotRun(f"`{' '.join(map(str, command))}` failed:\n{done.stderr}")
    return done.stdout


def tools() -> dict[str, str]:
    """What counts depend on beside the sources."""
    if shutil.which("valgrind") is None:
        raise NotRun("valgrind is not installed (`apt install valgrind`)")
    return {
        "rustc": output("rustc", "--version").strip(),
        "valgrind": output("valgrind", "--version").strip(),
    }


def compiled() -> Path:
    """The jobs' program."""
    cargo = os.environ.get("CARGO", "cargo")
    arguments = ["bench", "--workspace", "--no-run", "--bench", "instructions"]
    said = output(cargo, *arguments, "--message-format", "json-render-diagnostics")
    made = [json.loads(line) for line in said.splitlines()]
    mine = [one for one in made if one.get("target", {}).get("name") == "instructions"]
    return Path(mine[-1]["executable"])


def counted(program: Path, job: str, folder: Path) -> int:
    """The instructions of one job, all threads added up."""
    profile = PROFILES / f"{re.sub(r'[^a-z]+', '-', job)}.callgrind"
    command = [
        "valgrind",
        "--tool=callgrind",
        f"--callgrind-out-file={profile}",
        program,
        job,
        folder,
    ]
    environment = {**os.environ, "NEARWOOD_ISA": "avx2"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or found is None:
        raise NotRun(f"{job!r} failed under valgrind:\n{done.stderr}")
    return int(found[1])


def count(wanted: str, table: dict) -> list[Change]:
    program = compiled()
    jobs = [job for job in output(program, "list").splitlines() if job.startswith(wanted)]
    if not jobs:
        raise NotRun(f"no job's name begins with {wanted!r}")
    PROFILES.mkdir(parents=True, exist_ok=True)
    changes = []
    with tempfile.TemporaryDirectory() as folder:
        output(program, "prepare", folder)
        for job in jobs:
            changes.append(Change(job, table.get(job), counted(program, job, Path(folder))))
            show(changes[-1])
    return changes


def show(change: Change) -> None:
    before = "" if change.before is None else f"{change.before:,}"
    ratio = "" if change.before is None else f"{change.ratio:+.2%}"
    line = f"{change.job:18} {before:>15} {change.now:>15,} {ratio:>8}  {change.verdict}"
    print(line.rstrip(), flush=True)


def warn_of_other_tools(counted_with: dict[str, str], here: dict[str, str]) -> None:
    for tool, version in counted_with.items():
        if here[tool] != version:
            print(f"WARNING: counted with {version}, this is {here[tool]}: changes may be its own")


def written(changes: list[Change], table: dict, here: dict[str, str], whole: bool) -> str:
    """The table with what was counted now; jobs that are no more go when all were counted."""
    jobs = {} if whole else dict(table)
    jobs |= {change.job: change.now for change in changes}
    return json.dumps({"tools": here, "jobs": jobs}, indent=2) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Counts the instructions of fixed jobs.")
    parser.add_argument("job", nargs="?", default="", help="only those whose names begin so")
    parser.add_argument("--update", action="store_true", help="write the table anew")
    given = parser.parse_args()
    known = json.loads(TABLE.read_text()) if TABLE.exists() else {"tools": {}, "jobs": {}}
    try:
        here = tools()
        warn_of_other_tools(known["tools"], here)
        print(f"{'job':18} {'before':>15} {'now':>15} {'change':>8}")
        changes = count(given.job, known["jobs"])
    except NotRun as why:
        print(f"NOT RUN: no instructions were counted: {why}", file=sys.stderr)
        return 3
    if given.update:
        TABLE.write_text(written(changes, known["jobs"], here, whole=not given.job))
        return 0
    more = [change.job for change in changes if change.verdict == "MORE"]
    if more:
        print(f"more than {TOLERANCE:.0%} above the table: {'; '.join(more)}", file=sys.stderr)
    return 1 if more else 0


if __name__ == "__main__":
    sys.exit(main())
