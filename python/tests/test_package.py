"""What surrounds the classes: docstrings, stubs, import, command line."""

from __future__ import annotations

import doctest
import enum
import importlib.metadata
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nearwood as nw

ROOT = Path(__file__).parents[2]
CLASSES = [nw.Index, nw.Filter, nw.Interactions, nw.AlternatingLeastSquares, nw.Recommender]


def run(*args: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *args], capture_output=True, text=True, timeout=300, **options
    )


def documented() -> dict[str, str | None]:
    """Every docstring of what is public, by name; doctest itself does not look into extensions."""
    docs: dict[str, str | None] = {}
    for module in [nw, *map(importlib.import_module, public_modules())]:
        docs[module.__name__] = module.__doc__
        for name in module.__all__:
            docs |= docstrings(f"{module.__name__}.{name}", getattr(module, name))
    return docs


def public_modules() -> list[str]:
    found = (each.name for each in pkgutil.walk_packages(nw.__path__, "nearwood."))
    return [name for name in found if "._" not in name]


def docstrings(name: str, value: object) -> dict[str, str | None]:
    """Of a function, or of a class and what it defines itself; a constant has none of its own."""
    if not (inspect.isclass(value) or callable(value)):
        return {}
    docs = {name: value.__doc__}
    if inspect.isclass(value) and not issubclass(value, enum.Enum):
        own = [each for each in vars(value) if not each.startswith("_")]
        docs |= {f"{name}.{each}": inspect.getdoc(getattr(value, each)) for each in own}
    return docs


def test_everything_is_documented() -> None:
    docs = documented()
    assert len(docs) >= 150
    bare = [name for name, doc in docs.items() if not (doc and doc.strip())]
    assert not bare


def test_the_reference_has_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """What docs/site makes of stubs, sources and docstrings: a heading for every public name."""
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "site"))
    pages = importlib.import_module("reference").python_pages()
    headings = set(re.findall(r"^#+ (?:nearwood\.)?(.*)$", "\n".join(pages.values()), re.M))
    public = set(documented()) - set(public_modules())
    assert not {re.sub(r"^nearwood\.(?:[a-z_]+\.)*", "", name) for name in public} - headings
    assert "memory_limit: int | None = None" in pages["nearwood.Index"]
    assert "- **`memory_limit`**: With `path`" in pages["nearwood.Index"]


def test_the_examples_in_the_docstrings_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    finder, runner = doctest.DocTestParser(), doctest.DocTestRunner()
    for name, doc in documented().items():
        runner.run(finder.get_doctest(doc or "", {}, name, None, 0))
    assert runner.tries >= 50
    assert runner.failures == 0


def test_import_is_quiet_and_light() -> None:
    script = "import sys, nearwood; print(*sys.modules)"
    done = run("-W", "error", "-c", script)
    assert done.returncode == 0 and done.stderr == ""
    loaded = set(done.stdout.split())
    assert not loaded & {"scipy", "pandas", "polars", "pyarrow", "sklearn"}


def test_the_version_is_one() -> None:
    assert nw.__version__ == importlib.metadata.version("nearwood")


def test_all_names_are_there() -> None:
    assert sorted(nw.__all__) == sorted(set(nw.__all__))
    assert all(hasattr(nw, name) for name in nw.__all__)
    assert {c.__module__ for c in [*CLASSES, nw.FormatError, nw.UnknownIdError]} == {"nearwood"}


#: What is not looked into, which took two thirds of the time, and what then cannot be told.
STUBTEST = """[mypy]
[mypy-pandas.*,polars.*,pyarrow.*,scipy.*,sklearn.*,langchain_core.*,mlflow.*,pydantic.*,yaml.*]
follow_imports = skip
"""
UNTOLD = """nearwood.langchain.NearwoodVectorStore
nearwood.mlflow.ModelInfo
"""


def test_stubs_say_what_is_there(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="NOT RUN: mypy is not installed")
    for name, text in {"mypy.ini": STUBTEST, "untold": UNTOLD}.items():
        (tmp_path / name).write_text(text)
    given = ["--mypy-config-file", tmp_path / "mypy.ini", "--allowlist", tmp_path / "untold"]
    done = run("-m", "mypy.stubtest", "nearwood", *map(str, given))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_command(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.eye(8, dtype=np.float32))
    built = run("-m", "nearwood", "build", "v.npy", "--metric", "dot", "-o", "v.nw", cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    assert len(nw.Index.open(tmp_path / "v.nw")) == 8
    version = run("-m", "nearwood", "--version")
    assert version.stdout.strip().endswith(nw.__version__)
    wrong = run("-m", "nearwood", "no-such-command")
    assert wrong.returncode == 2 and wrong.stdout == ""
    missing = run("-m", "nearwood", "verify", str(tmp_path / "none.nw"))
    assert missing.returncode == 1 and missing.stderr.count("\n") == 1


def test_the_console_script_is_the_command() -> None:
    scripts = importlib.metadata.entry_points(group="console_scripts")
    assert scripts["nearwood"].load()(["--version"]) == 0
