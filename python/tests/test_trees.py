"""Trees appended, dropped and merged; files built within a limit of memory, and locked in it."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import clustered

import nearwood as nw


def test_one_build_is_what_its_parts_come_to(vectors: np.ndarray, tmp_path: Path) -> None:
    ids = [f"id {i}" for i in range(len(vectors))]
    options = {"metric": "angular", "ids": ids, "seed": 4, "leaf_size": 60}
    whole = nw.Index.build(vectors, n_trees=3, **options)
    low = nw.Index.build(vectors, n_trees=2, **options)
    high = nw.Index.build(vectors, n_trees=1, first_tree=2, **options)
    assert (whole.trees, high.trees, high.info()["trees"]) == ([0, 1, 2], [2], [2])
    path = tmp_path / "merged.nw"
    for merged in (
        nw.Index.merge([high, low]),
        nw.Index.merge([low, high], path=path, n_threads=1),
        low.append_trees(1),
        low.append_trees(1, path=tmp_path / "appended.nw"),
    ):
        assert merged.to_bytes() == whole.to_bytes()
    assert path.read_bytes() == whole.to_bytes()
    assert whole.drop_trees([2]).to_bytes() == low.to_bytes()
    assert whole.drop_trees(np.array([0, 1])).to_bytes() == high.to_bytes()
    with pytest.raises(ValueError, match="the number of a tree of file 2 is 0"):
        nw.Index.merge([whole, low])
    with pytest.raises(ValueError, match="3 x 2, expected 3000 x 24"):
        nw.Index.merge([whole, nw.Index.build([[0, 1], [1, 0], [1, 1]], "angular")])
    with pytest.raises(ValueError, match="5, the index has 0, 1, 2"):
        whole.drop_trees([5])
    said: list[int] = []
    low.append_trees(1, progress=lambda done, total: said.append(done))
    assert said == sorted(said) and said[-1] == 100


def test_queries_are_given_again(vectors: np.ndarray) -> None:
    queries = clustered(100, 24, seed=5)
    whole = nw.Index.build(vectors, n_trees=2, calibration_queries=queries)
    low = nw.Index.build(vectors, n_trees=1, calibration_queries=queries)
    appended = low.append_trees(1, calibration_queries=queries)
    assert appended.to_bytes() == whole.to_bytes()
    assert low.append_trees(1).info()["calibrated_with"] == "rows"
    with pytest.raises(ValueError, match="calibration_queries have 3 columns, expected 24"):
        low.append_trees(1, calibration_queries=queries[:, :3])


LIMITED = """
import resource, sys
import numpy as np, nearwood as nw
data, out, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
vectors = np.load(data, mmap_mode="r")
size = lambda: int(next(l for l in open("/proc/self/status") if l.startswith("VmData")).split()[1])
most = size() * 1024 + limit
resource.setrlimit(resource.RLIMIT_DATA, (most, most))
index = nw.Index.build(vectors, n_threads=2, path=out, memory_limit=limit)
print(len(index), index.info()["mapped"])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: RLIMIT_DATA is Linux's")
def test_a_file_larger_than_its_memory_has_the_same_bytes(tmp_path: Path) -> None:
    vectors = clustered(150_000, 96)
    np.save(tmp_path / "v.npy", vectors)
    limit = 20_000_000
    words = [sys.executable, "-c", LIMITED, tmp_path / "v.npy", tmp_path / "i.nw", str(limit)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("150000 True\n", 0), done.stderr
    built = (tmp_path / "i.nw").read_bytes()
    assert len(built) > 3.5 * limit
    assert built == nw.Index.build(vectors, graph=False).to_bytes()
    assert sorted(os.listdir(tmp_path)) == ["i.nw", "v.npy"]


def test_a_limit_needs_vectors_that_lie_as_they_are_used(tmp_path: Path) -> None:
    vectors = clustered(500, 8)
    options = {"path": tmp_path / "i.nw", "memory_limit": 10**9}
    for other in (vectors.astype(np.float64), np.asfortranarray(vectors), vectors[::2, :4]):
        with pytest.raises(ValueError, match=r"float32 in C order.*mmap_mode"):
            nw.Index.build(other, **options)
    with pytest.raises(ValueError, match="memory_limit is 0 MB: raise the limit"):
        nw.Index.build(vectors, path=tmp_path / "i.nw", memory_limit=1000)
    with pytest.raises(ValueError, match="none without a path"):
        nw.Index.build(vectors, memory_limit=10**9)
    assert not os.listdir(tmp_path)
    nw.Index.build(vectors, **options)
    assert os.listdir(tmp_path) == ["i.nw"]


# A shell that runs the tests in the background has them ignore SIGINT: not so their children.
INTERRUPTED = """
import signal, sys, numpy as np, nearwood as nw
signal.signal(signal.SIGINT, signal.default_int_handler)
vectors = np.random.default_rng(0).random((60_000, 32), dtype=np.float32)
say = lambda done, total: done == 1 and print("begun", flush=True)
try:
    nw.Index.build(vectors, n_trees=400, path=sys.argv[1], progress=say)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_an_interrupted_build_leaves_nothing(tmp_path: Path, name: str) -> None:
    words = [sys.executable, "-c", INTERRUPTED, str(tmp_path / "i.nw")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.1)
        process.send_signal(getattr(signal, name))
        assert process.stdout.read() == ("interrupted\n" if name == "SIGINT" else "")
    assert not os.listdir(tmp_path)


LOCKED = """
import os, resource, sys, nearwood as nw
if len(sys.argv) > 2:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (4096, 4096))
    if os.getuid() == 0:
        os.setuid(65534)
try:
    index = nw.Index.open(sys.argv[1], lock=True)
    locked = next(line for line in open("/proc/self/status") if line.startswith("VmLck"))
    print("locked", int(locked.split()[1]) > 0, len(index))
except OSError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: reads /proc")
def test_a_locked_file_stays_in_memory_or_says_why_not(vectors: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "i.nw"
    index = nw.Index.build(vectors, path=path)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o055 != 0o055:
            folder.chmod(0o755)
    refuse = subprocess.run(
        [sys.executable, "-c", LOCKED, path, "refuse"], capture_output=True, text=True, check=False
    )
    assert "could not lock the" in refuse.stdout, refuse.stdout + refuse.stderr
    assert "the limit is 4096 bytes: raise it (ulimit -l" in refuse.stdout
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    if os.getuid() != 0 and -1 < limit < len(index.to_bytes()):
        pytest.skip(f"NOT RUN: this machine locks no more than {limit} bytes")
    run = subprocess.run([sys.executable, "-c", LOCKED, path], capture_output=True, text=True)
    assert run.stdout == "locked True 3000\n", run.stdout + run.stderr
