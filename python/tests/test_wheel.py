"""The wheel as strangers get it, in an environment that holds nothing else but its dependencies."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
#: Of the demonstration; as it comes it takes ten times as long.
SMALL = ("--users", "2000", "--items", "1000", "--interactions", "100000")

Run = Callable[..., str]


@pytest.fixture(scope="module")
def packages() -> Path:
    """The folder with the wheel and the source distribution."""
    folder = ROOT / os.environ.get("NEARWOOD_PACKAGES", "")
    if "NEARWOOD_PACKAGES" not in os.environ:
        pytest.skip("NOT RUN: `make test-wheel` builds the wheel first")
    return folder


@pytest.fixture(scope="module")
def empty(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a script of the environment that the wheel was installed into, far from the sources."""
    home = tmp_path_factory.mktemp("empty")
    scripts = home / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    # Without a pip of its own, which would take seconds to install: ours installs into it.
    venv.create(home / "venv")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python"]
    # What the tests' own environment was told must not help.
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}

    def run(script: str, *words: str | Path, **more: str) -> str:
        command = [*pip, scripts / "python"] if script == "pip" else [scripts / script]
        done = subprocess.run(
            [*command, *words],
            cwd=home,
            env=kept | more,
            capture_output=True,
            encoding="utf-8",
            timeout=300,
        )
        assert done.returncode == 0, f"{script} {words}: {done.stderr}"
        return done.stdout

    (wheel,) = packages.glob("*.whl")
    run("pip", "install", "-q", "--no-compile", wheel)
    return run


def names(archive: Path) -> set[str]:
    """Files of an archive; a source distribution's without their common folder."""
    if archive.suffix == ".whl":
        return set(zipfile.ZipFile(archive).namelist())
    with tarfile.open(archive) as tar:
        return {name.split("/", 1)[1] for name in tar.getnames()}


def test_only_what_is_needed_comes_along(empty: Run) -> None:
    listed = empty("pip", "list", "--format", "freeze").split()
    assert {line.split("==")[0] for line in listed} == {"nearwood", "numpy"}


def test_the_command_works(empty: Run) -> None:
    assert empty("nearwood", "--version").startswith("nearwood ")
    assert "similar to" in empty("nearwood", "demo", *SMALL)


def test_the_package_works(empty: Run) -> None:
    code = """if True:
        import numpy as np, nearwood as nw
        rows = np.eye(32, dtype=np.float32)
        ids, distances = nw.Index.build(rows, metric="dot").search(rows[7], k=1)
        assert ids.tolist() == [7] and distances.tolist() == [1.0]
        print(nw.__file__)
    """
    where = Path(empty("python", "-W", "error", "-c", code).strip())
    assert "site-packages" in where.parts


def test_the_readme_can_be_followed(empty: Run, real_data: Path) -> None:
    lastfm = real_data / "lastfm"
    columns = ["--user", "userID", "--item", "artistID", "--weight", "weight"]
    named = ["--names", lastfm / "artists.tsv", "-o", "music.nw"]
    assert "1,892" in empty("nearwood", "train", lastfm / "user_artists.dat", *columns, *named)
    similar = empty("nearwood", "similar", "music.nw", "Radiohead")
    assert "similar to Radiohead" in similar and "Muse" in similar
    assert (
        len(empty("nearwood", "recommend", "music.nw", "--user", "2", "-k", "10").splitlines())
        == 12
    )
    assert empty("nearwood", "verify", "music.nw")


def test_the_tutorial_can_be_followed(empty: Run, real_data: Path) -> None:
    """To the last block and what it prints; polars is what its install line adds."""
    empty("pip", "install", "-q", "polars")
    words = ("python", ROOT / "python" / "tests" / "pages.py", ROOT / "docs" / "tutorial.md")
    empty(*words, NEARWOOD_DATA=str(real_data))


def test_the_wheel_holds_the_package_and_the_licences(packages: Path) -> None:
    (wheel,) = packages.glob("*.whl")
    assert "-cp310-abi3-" in wheel.name
    found = names(wheel)
    sources = ROOT / "python"
    ours = {
        path.relative_to(sources).as_posix()
        for path in (sources / "nearwood").rglob("*")
        if path.suffix in {".py", ".pyi", ".typed"}
    }
    assert ours <= found
    assert {Path(name).name for name in found} >= {"LICENSE-MIT", "LICENSE-APACHE", "py.typed"}


def test_the_source_distribution_holds_what_builds_it_and_no_more(packages: Path) -> None:
    (sdist,) = packages.glob("*.tar.gz")
    found = names(sdist)
    needed = ["Cargo.lock", "Cargo.toml", "pyproject.toml", "README.md", "PKG-INFO"]
    assert found >= {*needed, "LICENSE-MIT", "LICENSE-APACHE", "src/lib.rs", "python/src/lib.rs"}
    assert not [name for name in found if name.startswith(("tests/", "python/tests/", "target/"))]
    assert sdist.stat().st_size < 1_000_000


def workflow(name: str) -> dict:
    return yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))


def test_only_a_tag_and_an_environment_publish() -> None:
    writers = 0
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        whole = workflow(path.name)
        assert whole["permissions"] == {"contents": "read"}, path
        for name, job in whole["jobs"].items():
            if "permissions" in job or "publish" in str(job["steps"]):
                writers += 1
                assert "startsWith(github.ref, 'refs/tags/v')" in job["if"], name
                assert job["environment"] == "pypi", name
    assert writers == 1


def test_the_oldest_versions_that_are_promised_are_tried() -> None:
    tried = str(workflow("ci.yml")["jobs"]["oldest"]["steps"])
    rust = re.search(r'rust-version = "([^"]+)"', (ROOT / "Cargo.toml").read_text())
    python = re.search(r'requires-python = ">=([^"]+)"', (ROOT / "pyproject.toml").read_text())
    assert rust and f"rustup override set {rust[1]}'" in tried
    assert python and f"'python-version': '{python[1]}'" in tried
