"""Ctrl-C in every call that can take long.

Each call runs in a process of its own and would take minutes, or for ever; a second after it
began the process gets SIGINT. No test looks at a clock: a call that cannot be interrupted ends as
"done", or runs into the limit of the test. `tests/recommender/interrupts.rs` holds calls that
end soon: it interrupts them at their first look.
"""

from __future__ import annotations

import inspect
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import nearwood as nw
from nearwood import _core

VECTORS = """
x = np.random.default_rng(0).normal(size=(20000, 128)).astype(np.float32)
index = nw.Index.build(x, graph=False)
many = np.tile(x, (40, 1))
"""
MODEL = """
import scipy.sparse as sp
model = nw.AlternatingLeastSquares(64, iterations=1)
rng = np.random.default_rng(0)
model.set_factors(rng.normal(size=(300000, 64)), rng.normal(size=(300000, 64)))
every = np.arange(300000)
"""
RECOMMENDER = """
import scipy.sparse as sp
plays = sp.random_array((20000, 20000), density=0.002, format="csr", rng=0)
rec = nw.Recommender.fit(plays, factors=64, iterations=1, progress=False)
users = np.tile(rec.users, 100)
"""
PLAYS = """
import scipy.sparse as sp
rows = sp.random_array((20000, 20000), density=0.002, format="csr", rng=0)
plays = nw.Interactions.from_matrix(rows)
"""
FEED = """
import threading
os.mkfifo("plays.csv")
def feed():
    with open("plays.csv", "w") as out:
        out.write("user,item\\n")
        while True:
            out.write("7,8\\n" * 10000)
threading.Thread(target=feed, daemon=True).start()
"""
STREAM = """
import pyarrow as pa
batch = pa.record_batch({"user": np.arange(100000) % 7, "item": np.arange(100000) % 5})
def endless():
    while True:
        yield batch
stream = pa.RecordBatchReader.from_batches(batch.schema, endless())
"""

# What is run: the name of a public function, what comes before, and the call.
CALLS = {
    "Index.build": (VECTORS, "nw.Index.build(x, n_trees=1000)"),
    "Index.build, one thread": (VECTORS, "nw.Index.build(x, n_trees=1000, n_threads=1)"),
    "Index.build, to a file": (VECTORS, "nw.Index.build(x, n_trees=1000, path='out.nw')"),
    "Index.append_trees": (VECTORS, "index.append_trees(900)"),
    "Index.search": (VECTORS, "index.search(many, budget=20000)"),
    "Index.search, one thread": (VECTORS, "index.search(many, budget=20000, n_threads=1)"),
    "Index.search, exactly": (VECTORS, "index.search(many, recall=1)"),
    "Index.search, over a graph": (
        VECTORS + "index = nw.Index.build(x, graph=True)\n",
        "index.search(many, budget=10000)",
    ),
    "Index.search_exact": (VECTORS, "index.search_exact(many)"),
    "Index.search_exact, fewer queries than a block had": (
        "x = np.random.default_rng(0).normal(size=(1000, 4096)).astype(np.float32)\n"
        "index = nw.Index.build(np.tile(x, (30, 1)), graph=False, leaf_size=4000)\n",
        "index.search_exact(np.tile(x, (4, 1)), n_threads=1)",
    ),
    "Index.search_ids": (VECTORS, "index.search_ids(np.tile(np.arange(20000), 40), recall=1)"),
    "Index.radius": (VECTORS, "index.radius(many, 3.0)"),
    "Index.radius, one thread": (VECTORS, "index.radius(many, 3.0, n_threads=1)"),
    "Index.recall": (VECTORS, "index.recall(many)"),
    "Index.recall_curve": (VECTORS, "index.recall_curve(many)"),
    "report": (VECTORS, "nw.report(index, 'page.html', queries=many)"),
    "AlternatingLeastSquares.fit": (
        PLAYS,
        "nw.AlternatingLeastSquares(128, iterations=10**6).fit(plays, progress=False)",
    ),
    "AlternatingLeastSquares.fit, cholesky": (
        PLAYS,
        "nw.AlternatingLeastSquares(512, iterations=10**6, solver='cholesky', n_threads=1)"
        ".fit(plays, progress=False)",
    ),
    "AlternatingLeastSquares.recommend": (MODEL, "model.recommend(every)"),
    "AlternatingLeastSquares.recommend_all": (MODEL, "model.recommend_all()"),
    "AlternatingLeastSquares.similar_items": (MODEL, "model.similar_items(every)"),
    "AlternatingLeastSquares.similar_users": (MODEL, "model.similar_users(every)"),
    "AlternatingLeastSquares.fold_in": (
        "import scipy.sparse as sp\n"
        "model = nw.AlternatingLeastSquares(1024, solver='cholesky')\n"
        "rng = np.random.default_rng(0)\n"
        "model.set_factors(np.zeros((1, 1024)), rng.normal(size=(3000, 1024)))\n"
        "rows = sp.random_array((200000, 3000), density=0.01, format='csr', rng=0)\n",
        "model.fold_in(rows)",
    ),
    "Recommender.fit": (
        PLAYS,
        "nw.Recommender.fit(plays, factors=128, iterations=10**6, progress=False)",
    ),
    "Recommender.recommend": (RECOMMENDER, "rec.recommend(users, exact=True)"),
    "Recommender.recommend_all": (RECOMMENDER, "rec.recommend_all(k=50, users=users)"),
    "Recommender.recommend_all, to a file": (
        RECOMMENDER,
        "rec.recommend_all(k=50, users=users, out='table.csv')",
    ),
    "evaluate": (
        PLAYS + "factors = np.random.default_rng(0).normal(size=(20000, 4000)).astype(np.float32)\n"
        "from types import SimpleNamespace\n"
        "model = SimpleNamespace(user_factors=factors, item_factors=factors)\n",
        "nw.evaluate(model, plays, plays, include_seen=True)",
    ),
    "tune": (
        PLAYS,
        "nw.tune(plays, factors=128, iterations=10**5, patience=10**5, progress=False)",
    ),
    "Interactions.read": (FEED, "nw.Interactions.read('plays.csv', user='user', item='item')"),
    "Interactions.from_frame": (
        STREAM,
        "nw.Interactions.from_frame(stream, user='user', item='item')",
    ),
    "annoy.AnnoyIndex.build": (
        "from nearwood.annoy import AnnoyIndex\n"
        "a = AnnoyIndex(64, 'euclidean')\n"
        "for i, row in enumerate(np.random.default_rng(0).normal(size=(20000, 64))):\n"
        "    a.add_item(i, row)\n",
        "a.build(1000)",
    ),
    "implicit.AlternatingLeastSquares.fit": (
        PLAYS + "from nearwood.implicit.als import AlternatingLeastSquares\n",
        "AlternatingLeastSquares(factors=128, iterations=10**6).fit(rows, show_progress=False)",
    ),
}

# The rest of the interface, which ends soon: one row, one name, a property, or a single pass over a
# table or a file.
SHORT = {
    "Index": "drop_trees from_bytes is_far merge open save to_bytes verify find info label vector"
    " vectors",
    "Recommender": "find fold_in from_bytes info label open recommend_for save seen similar"
    " to_bytes verify",
    "AlternatingLeastSquares": "explain fold_in_items load partial_fit_items partial_fit_users"
    " remove_items remove_users save set_factors",
    "Interactions": "decayed from_columns from_matrix split to_scipy weighted",
    "Filter": "",
    "AnnoyItems": "build check distance set vector",
    "AnnoyForest": "distance items open save search search_item vector",
}


def test_no_call_is_forgotten() -> None:
    """A new public call is in one of the tables."""
    tried = {name.split(",")[0] for name in CALLS}
    for class_name, names in SHORT.items():
        tried |= {f"{class_name}.{name}" for name in names.split()}
    there = set()
    for name, value in vars(_core).items():
        if inspect.isclass(value):
            methods = [n for n in vars(value) if not n.startswith("_")]
            there |= {f"{name}.{n}" for n in methods if callable(getattr(value, n))}
        elif callable(value) and not name.startswith(("_", "implicit_", "run_cli")):
            there.add(name)
    assert there - tried == set()


def test_the_interpreter_is_released_in_one_place() -> None:
    sources = Path(__file__).parent.parent / "src"
    found = [p.name for p in sorted(sources.glob("*.rs")) if ".detach(" in p.read_text()]
    # The command leaves signals to the system.
    assert found == ["cli.rs", "watch.rs"]


def run(script: str, folder: Path, *, main: bool = True) -> subprocess.CompletedProcess[str]:
    text = f"""
import os, signal, threading, numpy as np, nearwood as nw
# A shell that runs the tests in the background has them ignore SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
{textwrap.dedent(script)}
"""
    return subprocess.run(
        [sys.executable, "-c", text],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("name", CALLS)
def test_ctrl_c(name: str, tmp_path: Path) -> None:
    before, call = CALLS[name]
    done = run(
        f"{before}\n"
        "threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try:\n"
        f"    {call}\n"
        "except KeyboardInterrupt:\n"
        "    print('stopped', flush=True)\n"
        "else:\n"
        "    print('done', flush=True)\n"
        "os._exit(0)\n",
        tmp_path,
    )
    assert done.stdout == "stopped\n", done.stderr
    assert "panicked" not in done.stderr
    left = {path.suffix for path in tmp_path.iterdir()}
    assert left <= {".csv"} if name == "Interactions.read" else left <= {".parts"}, left


def test_an_interrupted_call_changes_nothing(tmp_path: Path) -> None:
    done = run(
        MODEL
        + """
before = model.user_factors[:3].copy()
rows = sp.random_array((200000, 300000), density=0.001, format="csr", rng=0)
threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    while True:
        model.partial_fit_users(np.arange(200000), rows)
except KeyboardInterrupt:
    pass
assert model.user_factors.shape == (300000, 64)
ids, scores = model.recommend(0)
assert np.isfinite(scores).all()
print("whole", flush=True)
os._exit(0)
""",
        tmp_path,
    )
    assert done.stdout == "whole\n", done.stderr


def test_what_a_handler_raises_comes_out(tmp_path: Path) -> None:
    """Timeouts by SIGALRM, and handlers that themselves search."""
    done = run(
        VECTORS
        + """
def late(*_):
    assert index.search(x[3], 1)[0][0] == 3
    raise TimeoutError("too late")
signal.signal(signal.SIGALRM, late)
for n_threads in (1, 2):
    signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        index.search(many, budget=20000, n_threads=n_threads)
    except TimeoutError as error:
        print(error, flush=True)
os._exit(0)
""",
        tmp_path,
    )
    assert done.stdout == "too late\ntoo late\n", done.stderr


def test_another_thread_can_be_stopped(tmp_path: Path) -> None:
    """Signals are for the main thread; an exception set from outside ends a call on any."""
    done = run(
        VECTORS
        + """
import ctypes, time
seen = []
def work():
    try:
        index.search(many, budget=20000)
    except KeyboardInterrupt:
        seen.append("stopped")
thread = threading.Thread(target=work)
thread.start()
time.sleep(1)
ctypes.pythonapi.PyThreadState_SetAsyncExc(
    ctypes.c_ulong(thread.ident), ctypes.py_object(KeyboardInterrupt)
)
thread.join()
print(*seen, flush=True)
os._exit(0)
""",
        tmp_path,
    )
    assert done.stdout == "stopped\n", done.stderr


def test_a_signal_before_the_first_array(tmp_path: Path) -> None:
    """numpy's C interface is looked at when nearwood is imported, not after a signal came."""
    done = run(
        """
index = nw.Index.build([[0.0, 1.0], [1.0, 0.0]], ids=["north", "east"])
index.save("two.nw")
""",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    done = run(
        """
index = nw.Index.open("two.nw")
class Query:
    def __array__(self, dtype=None, copy=None):
        # Pending when the call makes its first array.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return np.asarray([0.9, 0.1])
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
# To this thread: others, numpy's own, do not block it.
signal.pthread_kill(threading.get_ident(), signal.SIGINT)
try:
    index.search(Query(), 1)
    index.ids
except KeyboardInterrupt:
    print("stopped", flush=True)
""",
        tmp_path,
    )
    assert done.stdout == "stopped\n", done.stderr
    assert "panicked" not in done.stderr


def test_callbacks_run_on_the_callers_thread() -> None:
    import threading

    here = []
    vectors = np.random.default_rng(0).normal(size=(3000, 8)).astype(np.float32)
    for n_threads in (1, 2, None):
        told: list[int] = []

        def heard(done: int, total: int, told: list[int] = told) -> None:
            here.append(threading.get_ident())
            told.append(done)

        nw.Index.build(vectors, n_threads=n_threads, progress=heard)
        assert told[-1] == 100
        assert told == sorted(told)
    assert set(here) == {threading.get_ident()}


def test_what_a_callback_raises_comes_out_and_ends_the_work() -> None:
    vectors = np.random.default_rng(0).normal(size=(3000, 8)).astype(np.float32)

    def fails(_done: int, _total: int) -> None:
        raise LookupError("no")

    for n_threads in (1, 2):
        with pytest.raises(LookupError, match="no"):
            nw.Index.build(vectors, n_threads=n_threads, progress=fails)


@pytest.mark.skipif(signal.getsignal(signal.SIGINT) is None, reason="no handler of Python's")
def test_a_call_inside_of_a_callback() -> None:
    vectors = np.random.default_rng(0).normal(size=(3000, 8)).astype(np.float32)
    inner = nw.Index.build(vectors)
    found: list[int] = []

    def searches(_done: int, _total: int) -> None:
        found.append(int(inner.search(vectors[:50], 1, n_threads=2)[0][7, 0]))

    nw.Index.build(vectors, n_threads=2, progress=searches)
    assert set(found) == {7}
