"""The blocks of a page, and how they are run: test_pages.py says what is promised of them.

Nothing but the standard library is needed, so that test_wheel.py can follow a page where
nothing else is installed.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUN = ("python", "console", "sh")
BLOCK = re.compile(
    r"<!-- run first\n(?P<before>.*?)-->"
    r"|(?:^<!-- not run: (?P<reason>[^>]+?) -->\n+)?"
    r"^```(?P<language>[^\n]*)\n(?P<code>.*?)^```$"
    r"(?:\n\n^```text\n(?P<printed>.*?)^```$)?",
    re.M | re.S,
)
UNRUN_PAGE = re.compile(r"^<!-- no block of this page is run: ([^>]+?) -->$", re.M)
HOLDS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass
class Block:
    """A piece of a page, with the line it begins in and how many fences it has on the page."""

    language: str
    code: str
    printed: str | None
    reason: str | None
    line: int
    fences: int

    @property
    def needs_data(self) -> bool:
        return "NEARWOOD_DATA" in self.code


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    unrun = UNRUN_PAGE.search(text)
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("code" if found["before"] is None else 0)) + 1
        if found["before"] is not None:
            yield Block("python", found["before"], None, None, line, fences=0)
        else:
            reason = found["reason"] or (unrun and unrun[1])
            printed = found["printed"]
            fences = 2 if printed is None else 4
            yield Block(found["language"], found["code"], printed, reason, line, fences)


def to_run(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.language in RUN and not block.reason]


def follow(page: Path, shell: dict[str, str], has_data: bool) -> list[int]:
    """Runs a page's blocks in the current folder; the lines of those left out for want of data, and
    of those that miss what these would have made."""
    names: dict[str, object] = {"__name__": "__main__"}
    left_out = []
    for block in to_run(page):
        if block.needs_data and not has_data:
            left_out.append(block.line)
            continue
        try:
            run(page, block, names, shell)
        except Exception as failed:
            if not (left_out and misses(failed)):
                raise
            left_out.append(block.line)
    return left_out


def misses(failed: Exception) -> bool:
    """Whether something went wrong for want of a name or a file, or of a service that lacks one."""
    absent = isinstance(failed, NameError | FileNotFoundError | ConnectionError)
    return absent or "No such file" in str(failed)


def shell_of(python: str, folder: Path) -> dict[str, str]:
    """An environment whose `nearwood` and `python` are those of an interpreter, by scripts that are
    put into a folder."""
    for command, words in {"nearwood": "-m nearwood ", "python": ""}.items():
        script = folder / command
        script.write_text(f'#!/bin/sh\nexec "{python}" {words}"$@"\n')
        script.chmod(0o755)
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}


def run(page: Path, block: Block, names: dict[str, object], shell: dict[str, str]) -> None:
    where = f"{name(page)}:{block.line}"
    if block.language == "python":
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            # Empty lines before it, so that a traceback names the page's lines.
            exec(compile("\n" * (block.line - 1) + block.code, name(page), "exec"), names)
        if block.printed is not None:
            hold(block.printed, out.getvalue(), where)
    elif block.language == "sh":
        spoken(block.code, shell, where)
    else:
        for session in re.split(r"^\$ ", block.code, flags=re.M)[1:]:
            command, printed = split(session)
            hold(printed, spoken(command, shell, where), f"{where}: {command}")


def spoken(command: str, shell: dict[str, str], where: str) -> str:
    """What a command prints, which must end well."""
    call = ["bash", "-euo", "pipefail", "-c", command]
    done = subprocess.run(call, capture_output=True, encoding="utf-8", env=shell, timeout=300)
    assert done.returncode == 0, f"{where}: {done.stderr}"
    return done.stdout


def hold(shown: str, got: str, where: str) -> None:
    want = timeless(shown)
    assert doctest.OutputChecker().check_output(want, timeless(got), HOLDS), f"{where}\n{got}"


def split(session: str) -> tuple[str, str]:
    """The command with its continued lines, and what it printed."""
    command = re.match(r"(?:.*\\\n)*.*\n?", session)
    assert command
    return command.group(), session[command.end() :]


def timeless(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip() and "seconds" not in line]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    # By an interpreter that has no pytest: `python pages.py PAGE`, in the folder to work in.
    (Path.cwd() / "bin").mkdir()
    shell = shell_of(sys.executable, Path.cwd() / "bin")
    assert not follow(Path(sys.argv[1]), shell, has_data=True)
