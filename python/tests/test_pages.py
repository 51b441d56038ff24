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

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, RUN, blocks, follow, misses, name, shell_of, to_run

PAGES = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))
# Languages of what is shown and not run.
SHOWN = ("text", "json", "csv", "toml", "yaml", "html")
# A file of the project that a page names.
OURS = re.compile(r"\b(?:docs|python|benches|src|tests|examples)/[\w./-]+\.(?:md|py|rs)\b")


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return shell_of(sys.executable, tmp_path_factory.mktemp("bin"))


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
    left_out = follow(page, shell, has_data=data is not None)
    if left_out:
        pytest.skip(f"NOT RUN: {name(page)}, lines {left_out}: no real data; set NEARWOOD_DATA")


def real_data(request: pytest.FixtureRequest) -> Path | None:
    try:
        found: Path = request.getfixturevalue("real_data")
    except pytest.skip.Exception:
        return None
    return found


def test_want_of_data_excuses_nothing_else(
    tmp_path: Path, shell: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs" / "a-page-of-this-test.md"
    data = "```python\nmade = open(NEARWOOD_DATA)\n```\n\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: data + "```python\nmade.read()\n```\n")
    assert follow(page, shell, has_data=False) == [2, 6]
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: data + "```python\n1 / 0\n```\n")
    with pytest.raises(ZeroDivisionError):
        follow(page, shell, has_data=False)
    assert misses(AssertionError("nearwood: x.nw: No such file or directory"))
    assert not misses(AssertionError("expected 1, got 2"))


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


# A command of the project with what stands behind it, in a block or within a line.
CALLED = re.compile(
    r"(?:(?P<bench>benches/\w+\.py)|\bnearwood (?P<command>[a-z][a-z-]+))"
    r"(?P<words>(?:\\\n|[^`\n|])*)"
)
OPTION = re.compile(r"(?<=[ \[])--[a-z][a-z-]+")


def test_options_that_are_named_are_there(shell: dict[str, str]) -> None:
    """Of the benches, which take hours, and of every command, whether its block is run or not."""
    helps: dict[str, str] = {}
    checked = 0
    for page in [*PAGES, ROOT / "Makefile", *sorted((ROOT / "benches").glob("*.py"))]:
        for found in CALLED.finditer(page.read_text(encoding="utf-8")):
            called = found["bench"] or found["command"]
            options = OPTION.findall(found["words"])
            if not options:
                continue
            if called not in helps:
                words = ["python", ROOT / called] if found["bench"] else ["nearwood", called]
                done = subprocess.run([*words, "--help"], capture_output=True, text=True, env=shell)
                assert done.returncode == 0, f"{name(page)}: {called}: {done.stderr}"
                helps[called] = done.stdout
            for option in options:
                assert re.search(rf"{option}\b", helps[called]), f"{name(page)}: {called} {option}"
                checked += 1
    assert checked >= 60
