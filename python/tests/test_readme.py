"""What the README and the pages of answers show is what happens."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
ANSWERS = ROOT / "docs" / "answers.md"
NIGHTLY = ROOT / "docs" / "nightly.md"


def blocks(language: str, page: Path = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_blocks_run(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})


def test_the_nightly_job_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python", NIGHTLY)
    exec(compile(code, "nightly.md", "exec"), {})
    assert pq.read_table("recs.parquet").num_rows == 2000


def test_there_is_python_to_run() -> None:
    assert len(blocks("python")) >= 2
    assert len(blocks("python", ANSWERS)) >= 7


def test_the_answers_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for code in blocks("python", ANSWERS):
        exec(compile(code, "answers.md", "exec"), names)


def test_console_blocks_show_true_output(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEARWOOD_DATA", str(real_data))
    sessions = [
        session for block in blocks("console") for session in re.split(r"^\$ ", block, flags=re.M)
    ]
    shown = [s for s in sessions if s.strip()]
    assert len(shown) >= 3
    for session in shown:
        command, output = split(session)
        words = [word.replace("$NEARWOOD_DATA", str(real_data)) for word in shlex.split(command)]
        assert words[0] == "nearwood"
        run = [sys.executable, "-m", *words]
        got = subprocess.run(
            run, capture_output=True, text=True, check=True, encoding="utf-8"
        ).stdout
        assert timeless(got) == timeless(output), command


def split(session: str) -> tuple[str, str]:
    """The command, joined over its continued lines, and what it printed."""
    joined = session.replace("\\\n", " ")
    command, _, output = joined.partition("\n")
    return command, output


def timeless(output: str) -> list[str]:
    return [line.rstrip() for line in output.splitlines() if line.strip() and "seconds" not in line]
