"""No thread and no memory to be had, as in a container: an exception, or fewer threads.

Each case runs in a process of its own, under a limit that it sets for itself.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import nearwood as nw

# Whether the backtrace of a panic is printed must change nothing: its printing allocates.
BACKTRACES = ["0", "1"]

REFUSES = """
#include <errno.h>
#include <pthread.h>
int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *x) {
    (void)t; (void)a; (void)f; (void)x;
    return EAGAIN;
}
"""

# Few rows and many columns: large, and quickly built.
WIDE = """
x = np.random.default_rng(0).random((2000, 16384), dtype=np.float32)
"""
DATA = """
x = np.random.default_rng(0).normal(size=(20000, 64)).astype(np.float32)
"""

# What needs memory in proportion to its data: what comes before the limit, and the call.
HUNGRY = {
    "build": (WIDE, "nw.Index.build(x)"),
    "build without a graph": (
        WIDE,
        "nw.Index.build(x, graph=False)",
    ),
    "build, one thread": (
        WIDE,
        "nw.Index.build(x, n_threads=1)",
    ),
    "float16": (WIDE, "nw.Index.build(x, storage='float16')"),
    "fit": (
        "import scipy.sparse as sp\n"
        "plays = sp.random_array((200000, 200000), density=0.00005, format='csr', rng=0)",
        "nw.AlternatingLeastSquares(512).fit(plays, progress=False)",
    ),
    "recommender": (
        "import scipy.sparse as sp\n"
        "plays = sp.random_array((200000, 200000), density=0.00005, format='csr', rng=0)",
        "nw.Recommender.fit(plays, factors=512, progress=False)",
    ),
    "a large k": (DATA + "index = nw.Index.build(x, n_threads=2)", "index.search(x, k=20000)"),
    "a large k, exactly": (
        DATA + "index = nw.Index.build(x, n_threads=2)",
        "index.search_exact(x, k=20000)",
    ),
    "ids, a large k": (
        DATA + "index = nw.Index.build(x, n_threads=2)",
        "index.search_ids(np.arange(20000), k=20000)",
    ),
    "radius": (DATA + "index = nw.Index.build(x, n_threads=2)", "index.radius(x, 1e9)"),
    "radius, one thread": (
        DATA + "index = nw.Index.build(x, n_threads=2)",
        "index.radius(x, 1e9, n_threads=1)",
    ),
    "vectors": (
        DATA + "index = nw.Index.build(x, n_threads=2)\nids = np.tile(np.arange(20000), 50)",
        "index.vectors(ids)",
    ),
    "to_bytes": (
        WIDE + "index = nw.Index.build(x)",
        "index.to_bytes()",
    ),
    "pickle": (
        WIDE + "import pickle\nindex = nw.Index.build(x)",
        "pickle.dumps(index)",
    ),
    "from_bytes": (
        WIDE + "data = nw.Index.build(x).to_bytes()",
        "nw.Index.from_bytes(data)",
    ),
    "set_factors": (
        "rows = np.ones((400000, 64), np.float32)",
        "nw.AlternatingLeastSquares(64).set_factors(rows, rows)",
    ),
    "fold_in": (
        "import scipy.sparse as sp\n"
        "model = nw.AlternatingLeastSquares(512)\n"
        "model.set_factors(np.ones((1, 512)), np.random.default_rng(0).normal(size=(50, 512)))\n"
        "rows = sp.random_array((200000, 50), density=0.02, format='csr', rng=0)",
        "model.fold_in(rows)",
    ),
    "read": (
        "with open('plays.csv', 'w') as out:\n"
        "    out.write('user,item\\n')\n"
        "    out.writelines(f'{i},{i}\\n' for i in range(8000000))",
        "nw.Interactions.read('plays.csv', user='user', item='item')",
    ),
    "from_columns": (
        "users = np.arange(8000000)",
        "nw.Interactions.from_columns(users, users)",
    ),
}


def run(script: str, folder: Path, backtrace: str, **env: str) -> subprocess.CompletedProcess[str]:
    text = f"import os, resource, numpy as np, nearwood as nw\n{textwrap.dedent(script)}"
    return subprocess.run(
        [sys.executable, "-c", text],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=300,
        check=False,
        env={"PATH": "/usr/bin:/bin", "RUST_BACKTRACE": backtrace, **env},
    )


@pytest.mark.parametrize("name", HUNGRY)
def test_no_memory_is_an_error(name: str, tmp_path: Path) -> None:
    """With ever more memory a call fails with MemoryError until it succeeds; never otherwise."""
    before, call = HUNGRY[name]
    script = f"""
{before}
with open("/proc/self/statm") as statm:
    now = int(statm.read().split()[0]) * resource.getpagesize()
for more in (24 << 20, 40 << 20, 64 << 20, 100 << 20):
    resource.setrlimit(resource.RLIMIT_AS, (now + more, resource.RLIM_INFINITY))
    try:
        {call}
        print("done", flush=True)
        break
    except MemoryError:
        print("refused", flush=True)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert nw.Index.build(np.eye(3)).search(np.ones(3), 1)[0].shape == (1,)
os._exit(0)
"""
    for backtrace in BACKTRACES:
        done = run(script, tmp_path, backtrace)
        assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
        lines = done.stdout.splitlines()
        assert lines[0] == "refused", "there was enough"
        assert set(lines) <= {"refused", "done"}
        assert "panicked" not in done.stderr


@pytest.fixture(scope="module")
def refuses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that refuses every thread."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("NOT RUN: no C compiler")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "refuses.c").write_text(REFUSES)
    library = folder / "refuses.so"
    command = [compiler, "-shared", "-fPIC", "-o", str(library), str(folder / "refuses.c")]
    subprocess.run(command, check=True)
    return library


WITHOUT_THREADS = {
    "build": "nw.Index.build(x, n_threads={n})",
    "batch": "index.search(np.tile(x, (3, 1)), 5, n_threads={n})",
    "exact": "index.search_exact(x[:500], 5, n_threads={n})",
    "radius": "index.radius(x[:600], 3.0, n_threads={n})",
    "trees": "index.append_trees(1, n_threads={n})",
    "fit": "nw.Recommender.fit(plays, factors=8, iterations=2, n_threads={n}, progress=False)",
    "tune": "nw.tune(plays, factors=4, trials=1, refine=0, iterations=1, n_threads={n},"
    " progress=False)",
    "callback": "nw.Index.build(x, n_threads={n}, progress=print)",
}


@pytest.mark.parametrize("backtrace", BACKTRACES)
@pytest.mark.parametrize("n_threads", [1, 2, None])
def test_no_thread_is_needed(
    refuses: Path, tmp_path: Path, n_threads: int | None, backtrace: str
) -> None:
    vectors = np.random.default_rng(0).normal(size=(2000, 16)).astype(np.float32)
    wanted = nw.Index.build(vectors).search(vectors[:3], 4)[0].tolist()
    calls = [call.format(n=n_threads) for call in WITHOUT_THREADS.values()]
    done = run(
        """
import scipy.sparse as sp
x = np.random.default_rng(0).normal(size=(2000, 16)).astype(np.float32)
plays = sp.random_array((200, 100), density=0.2, format="csr", rng=0)
index = nw.Index.build(x)
"""
        + "\n".join(calls)
        + "\nprint(index.search(x[:3], 4)[0].tolist())",
        tmp_path,
        backtrace,
        LD_PRELOAD=str(refuses),
        OPENBLAS_NUM_THREADS="1",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(wanted)
    assert "panicked" not in done.stderr


def test_threads_do_not_pile_up(tmp_path: Path) -> None:
    done = run(
        """
x = np.random.default_rng(0).normal(size=(3000, 8)).astype(np.float32)
index = nw.Index.build(x)
for n in [*range(1, 65), 10**9, 2**70]:
    index.search(x, 3, n_threads=n)
# Threads that were ended may still be on their way out.
import time
for _ in range(600):
    n = len(os.listdir("/proc/self/task"))
    if n <= limit:
        break
    time.sleep(0.1)
print(n)
""".replace("limit", str(max(64, 2 * _cores()) + 8)),
        tmp_path,
        "0",
        OPENBLAS_NUM_THREADS="1",
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= max(64, 2 * _cores()) + 8


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


def test_the_number_of_threads_is_checked_everywhere() -> None:
    x = np.eye(8, dtype=np.float32)
    drawn = np.random.default_rng(0).integers(0, 20, size=(2, 400))
    plays = nw.Interactions.from_columns(*drawn)
    index = nw.Index.build(x)
    rec = nw.Recommender.fit(plays, factors=2, iterations=1, progress=False)
    calls = [
        lambda n: nw.Index.build(x, n_threads=n),
        lambda n: index.append_trees(1, n_threads=n),
        lambda n: index.search(x, 1, n_threads=n),
        lambda n: index.search_exact(x, 1, n_threads=n),
        lambda n: index.search_ids([1, 2], 1, n_threads=n),
        lambda n: index.radius(x, 1.0, n_threads=n),
        lambda n: index.recall(x, 1, n_threads=n),
        lambda n: index.recall_curve(x, 1, n_threads=n),
        lambda n: nw.AlternatingLeastSquares(2, n_threads=n),
        lambda n: nw.Recommender.fit(plays, factors=2, iterations=1, n_threads=n, progress=False),
        lambda n: rec.recommend([1, 2], 1, n_threads=n),
        lambda n: rec.recommend_all(1, n_threads=n),
        lambda n: nw.evaluate(rec, None, plays, n_threads=n, include_seen=True),
        lambda n: nw.tune(
            plays, factors=2, trials=1, refine=0, iterations=1, n_threads=n, progress=False
        ),
    ]
    for call in calls:
        for wrong in (0, -2, -(2**40)):
            with pytest.raises(
                ValueError, match=f"n_threads is {wrong}, expected at least 1, or -1"
            ):
                call(wrong)
        with pytest.raises(TypeError):
            call(True)
        call(-1)
        call(10**9)


def test_more_answers_than_can_come_are_refused() -> None:
    index = nw.Index.build(np.eye(200, dtype=np.float32))
    calls = [
        lambda k: index.search(np.ones(200), k),
        lambda k: index.search(np.ones((3, 200)), k),
        lambda k: index.search_exact(np.ones((3, 200)), k),
        lambda k: index.search_ids([1, 2], k),
    ]
    for call in calls:
        for wild in (10**9, 2**40, 65537):
            with pytest.raises(ValueError, match=f"k is {wild}, expected at most 65536: no more"):
                call(wild)
        assert call(300)[0].shape[-1] == 300
    model = nw.AlternatingLeastSquares(2).set_factors(np.ones((3, 2)), np.ones((4, 2)))
    for ask in (model.recommend, model.similar_items, model.similar_users):
        with pytest.raises(ValueError, match="N is 1000000000, expected at most 65536"):
            ask(1, N=10**9)
