"""What the pages show is what happens: every block of code is run, and what it prints is held.

A page's blocks run one after the other in one empty folder, and its Python shares its names:

- ``python``: run; a ``text`` block right below it is what it prints;
- ``console``: each line after ``$`` is run by a shell, and prints what stands below it;
- ``sh``: run by a shell that stops at the first failure;
- ``rust``: the README's are doc tests of the crate.

What cannot be run has ``<!-- not run: why -->`` above it, or its page has
``<!-- no block of this page is run: why -->``. A comment ``<!-- run first`` holds Python that makes
what a block takes for granted, such as a table of plays. In what is printed ``...`` stands for
anything, and lines about seconds are passed over.
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

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))
RUN = ("python", "console", "sh")
# Languages of what is shown and not run.
SHOWN = ("text", "json", "csv", "toml", "yaml", "html")
BLOCK = re.compile(
    r"<!-- run first\n(?P<before>.*?)-->"
    r"|(?:^<!-- not run: (?P<reason>[^>]+?) -->\n+)?"
    r"^```(?P<language>[^\n]*)\n(?P<code>.*?)^```$"
    r"(?:\n\n^```text\n(?P<printed>.*?)^```$)?",
    re.M | re.S,
)
UNRUN_PAGE = re.compile(r"^<!-- no block of this page is run: ([^>]+?) -->$", re.M)
# A file of the project that a page names.
OURS = re.compile(r"\b(?:docs|python|benches|src|tests|examples)/[\w./-]+\.(?:md|py|rs)\b")
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


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment whose `nearwood` and `python` are those of the tests."""
    folder = tmp_path_factory.mktemp("bin")
    for command, words in {"nearwood": "-m nearwood ", "python": ""}.items():
        script = folder / command
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        script.chmod(0o755)
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.parametrize("page", [page for page in PAGES if to_run(page)], ids=name)
def test_what_a_page_shows_happens(
    page: Path,
    shell: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.chdir(tmp_path)
    data = real_data(request) if any(block.needs_data for block in to_run(page)) else None
    if data:
        monkeypatch.setenv("NEARWOOD_DATA", str(data))
        shell = shell | {"NEARWOOD_DATA": str(data)}
    names: dict[str, object] = {"__name__": "__main__"}
    left_out = []
    for block in to_run(page):
        if block.needs_data and not data:
            left_out.append(block.line)
            continue
        try:
            run(page, block, names, shell)
        except Exception:
            # What could not be run may have made what this block reads.
            if not left_out:
                raise
            left_out.append(block.line)
    if left_out:
        pytest.skip(f"NOT RUN: {name(page)}, lines {left_out}: no real data; set NEARWOOD_DATA")


def real_data(request: pytest.FixtureRequest) -> Path | None:
    try:
        found: Path = request.getfixturevalue("real_data")
    except pytest.skip.Exception:
        return None
    return found


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


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_is_run_or_says_why_not(page: Path) -> None:
    found = list(blocks(page))
    fences = len(re.findall(r"^\s*```", page.read_text(encoding="utf-8"), re.M))
    seen = sum(block.fences for block in found if block.language)
    assert fences == seen, "a block without a language, or indented, or not closed"
    for block in found:
        assert block.language in (*RUN, "rust", *SHOWN), f"line {block.line}: {block.language}"
        if block.language == "rust" and page.name != "README.md":
            assert block.reason, f"line {block.line}: only the README's Rust is a doc test"
        if block.reason:
            assert len(block.reason.split()) >= 3, f"line {block.line}: why is it not run?"


def test_there_is_much_to_run() -> None:
    assert sum(len(to_run(page)) for page in PAGES) >= 40


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    found: set[str] = set()
    for title in re.findall(r"^#+ (.*)$", text, re.M):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)|[`*]", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        again = sum(one == slug or one.rpartition("-")[0] == slug for one in found)
        found.add(f"{slug}-{again}" if slug in found else slug)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)\s]+)[^)]*\)", text):
        if re.match(r"https?:|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: no such file"
        if anchor:
            assert anchor in headings(target), f"{link}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_that_are_named_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for path in re.findall(OURS, text):
        assert (ROOT / path).exists(), path
