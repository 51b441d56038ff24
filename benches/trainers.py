"""Epochs and losses of nearwood's trainer beside implicit's and irspack's, in one run.

    python benches/trainers.py speed gowalla ml-1m          seconds an epoch, one thread and two
    python benches/trainers.py speed power-law              20 million generated interactions
    python benches/trainers.py loss gowalla ml-1m           CPU seconds to a loss, many factors

Contestants take turns, round by round; the first epoch of a training, which alone meets a random
start, is left out; figures are medians. `share` is that of numpy's matrix product of 2048 x 2048,
measured in the same rounds, counting the operations of an exact epoch in the unknowns
(docs/objective.md): a trainer that needs fewer can pass 1.
"""

# ruff: noqa: E402  (the environment of BLAS is read when numpy is imported)
from __future__ import annotations

import os

# One thread of BLAS, or implicit's solver and numpy's product would each take the machine.
for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import scipy.sparse as sp

import nearwood as nw

DATA = Path(os.environ.get("NEARWOOD_DATA", "../shared/data"))
ALPHA, REGULARIZATION = 11.0, 1.1
# One objective in irspack's terms: an unobserved pair weighs UNOBSERVED, targets are SCALE times
# implicit's.
UNOBSERVED = 1 / (ALPHA - 1)
SCALE = 1 / (1 + UNOBSERVED)
# A step is an epoch; it yields the factors as they stand, which is not timed.
Epochs = Iterator[tuple[np.ndarray, np.ndarray]]
Trainer = Callable[[sp.csr_matrix, int, int, int], list[float]]


def load(name: str) -> sp.csr_matrix:
    if name == "power-law":
        return power_law(200_000, 100_000, 20_000_000)
    if name == "gowalla":
        data = nw.Interactions.read(DATA / "gowalla" / "train.txt.gz", format="lists")
    else:
        data = nw.Interactions.read(
            DATA / "ml-1m" / "interactions.csv.gz", user="user", item="item"
        )
    matrix = data.to_scipy().tocsr().astype(np.float32)
    matrix.data[:] = 1
    return matrix


def power_law(users: int, items: int, entries: int) -> sp.csr_matrix:
    """Activity and popularity fall as powers of the rank; pairs drawn twice count once."""
    rng = np.random.default_rng(1)
    columns = (rng.random(entries) ** 3 * items).astype(np.int32)
    rows = (rng.random(entries) ** 2 * users).astype(np.int32)
    matrix = sp.csr_matrix((np.ones(entries, np.float32), (rows, columns)), (users, items))
    matrix.data[:] = 1
    return matrix


def operations(matrix: sp.csr_matrix, d: int) -> float:
    return 2 * matrix.nnz * (d * d + 3 * d) + sum(matrix.shape) * (d**3 / 3 + 4 * d * d)


class Watch:
    """Times between calls: CPU seconds of one thread, seconds on the clock of more."""

    def __init__(self, threads: int) -> None:
        self.clock = time.process_time if threads == 1 else time.perf_counter
        self.last = self.clock()
        self.times: list[float] = []
        self.factors: list[tuple[np.ndarray, np.ndarray]] = []

    def tick(self, factors: Callable[[], tuple[np.ndarray, np.ndarray]] | None = None) -> None:
        self.times.append(self.clock() - self.last)
        if factors is not None:
            self.factors.append(tuple(np.array(f, np.float32) for f in factors()))
        self.last = self.clock()


def ours(solver: str) -> Callable[..., Watch]:
    def train(matrix, d, threads, epochs, keep=False):
        watch = Watch(threads)
        model = nw.AlternatingLeastSquares(
            d,
            regularization=REGULARIZATION,
            alpha=ALPHA,
            confidence="implicit",
            iterations=epochs,
            solver=solver,
            n_threads=threads,
        )

        def heard(_iteration, loss):
            watch.tick()
            watch.factors.append(loss)

        model.fit(matrix, progress=False, callback=heard)
        return watch

    return train


def theirs(use_cg: bool) -> Callable[..., Watch]:
    import implicit

    def train(matrix, d, threads, epochs, keep=False):
        model = implicit.als.AlternatingLeastSquares(
            factors=d,
            regularization=REGULARIZATION,
            alpha=ALPHA,
            iterations=epochs,
            use_cg=use_cg,
            num_threads=threads,
            random_state=1,
        )
        watch = Watch(threads)

        def heard(*_):
            watch.tick((lambda: (model.user_factors, model.item_factors)) if keep else None)

        model.fit(matrix, show_progress=False, callback=heard)
        return watch

    return train


def irspacks(solver: str) -> Callable[..., Watch]:
    from irspack.recommenders.ials import IALSRecommender

    def train(matrix, d, threads, epochs, keep=False):
        recommender = IALSRecommender(
            matrix,
            n_components=d,
            alpha0=UNOBSERVED,
            reg=REGULARIZATION * UNOBSERVED * SCALE,
            nu=0.0,
            solver_type=solver,
            n_threads=threads,
            train_epochs=epochs,
        )
        trainer = recommender._create_trainer()
        watch, root = Watch(threads), SCALE**0.5
        core = trainer.core_trainer
        for _ in range(epochs):
            trainer.run_epoch()
            watch.tick((lambda: (core.user / root, core.item / root)) if keep else None)
        return watch

    return train


def contestants(many_factors: bool) -> dict[str, Callable[..., Watch]]:
    found = {f"nearwood {s}": ours(s) for s in ("cholesky", "cg", "block")}
    if not many_factors:
        del found["nearwood block"]
    try:
        found |= {"implicit cg": theirs(True), "implicit cholesky": theirs(False)}
    except ImportError:
        print("implicit is not installed: pip install implicit==0.7.3")
    try:
        solvers = ("CG", "IALSPP") if many_factors else ("CG", "CHOLESKY")
        found |= {f"irspack {s.lower()}": irspacks(s) for s in solvers}
    except ImportError:
        print("irspack is not installed: pip install irspack")
    return found


def product_peak() -> float:
    """Operations a second of one core in a matrix product."""
    a = np.random.default_rng(0).random((2048, 2048), np.float32)
    a @ a
    start = time.process_time()
    a @ a
    return 2 * 2048**3 / (time.process_time() - start)


def speed(names: list[str], dimensions: list[int], rounds: int, epochs: int) -> None:
    print("| set | factors | threads | trainer | s an epoch | times as long | share |")
    print("|---|---|---|---|---|---|---|")
    for name in names:
        matrix = load(name)
        for d in dimensions:
            for threads in (1, 2):
                times, peaks = defaultdict(list), []
                field = contestants(many_factors=False)
                for _ in range(rounds):
                    peaks.append(product_peak())
                    for trainer, train in field.items():
                        times[trainer] += train(matrix, d, threads, epochs).times[1:]
                medians = {trainer: float(np.median(t)) for trainer, t in times.items()}
                peak = float(np.median(peaks)) * threads
                for trainer, median in medians.items():
                    ratio = median / medians["nearwood cholesky"]
                    share = operations(matrix, d) / median / peak
                    row = f"{name} | {d} | {threads} | {trainer} | {median:.3f} | {ratio:.2f}"
                    print(f"| {row} | {share:.2f} |", flush=True)
        print(f"matrix product: {peak / threads / 1e9:.0f} GFLOP/s a core", flush=True)


def objective(matrix: sp.csr_matrix, x: np.ndarray, y: np.ndarray) -> float:
    """The loss of docs/objective.md under implicit's convention, in float64."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    scores = np.concatenate(
        [
            np.einsum("ij,ij->i", x[rows[i : i + 2**17]], y[matrix.indices[i : i + 2**17]])
            for i in range(0, matrix.nnz, 2**17)
        ]
    )
    pairs = ((x.T @ x) * (y.T @ y)).sum()
    entries = ((ALPHA - 1) * scores**2 - 2 * ALPHA * scores).sum()
    return pairs + entries + REGULARIZATION * ((x**2).sum() + (y**2).sum())


def loss(names: list[str], dimensions: list[int], epochs: int) -> None:
    """CPU seconds, on one thread, to within 2, 1 and 0.5 per cent of the least loss of all."""
    print("| set | factors | trainer | s an epoch | s to 2% | s to 1% | s to 0.5% |")
    print("|---|---|---|---|---|---|---|")
    for name in names:
        matrix = load(name)
        for d in dimensions:
            curves = {}
            for trainer, train in contestants(many_factors=True).items():
                if trainer == "implicit cholesky":
                    continue  # At 64 factors five times slower than its conjugate gradients.
                watch = train(matrix, d, 1, epochs, keep=True)
                kept = [f if isinstance(f, float) else objective(matrix, *f) for f in watch.factors]
                curves[trainer] = (np.cumsum(watch.times), np.array(kept))
            least = min(losses.min() for _, losses in curves.values())
            for trainer, (times, losses) in curves.items():
                reached = [
                    next(
                        (
                            f"{t:.1f}"
                            for t, v in zip(times, losses, strict=True)
                            if v <= least * (1 - s)
                        ),
                        "-",
                    )
                    for s in (0.02, 0.01, 0.005)
                ]
                step = np.median(np.diff(times))
                row = f"{name} | {d} | {trainer} | {step:.2f} | " + " | ".join(reached)
                print(f"| {row} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("speed", "loss"))
    parser.add_argument("sets", nargs="+", choices=("gowalla", "ml-1m", "power-law"))
    parser.add_argument("--factors", type=int, nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int)
    args = parser.parse_args()
    if args.what == "speed":
        speed(args.sets, args.factors or [64, 128], args.rounds, args.epochs or 4)
    else:
        loss(args.sets, args.factors or [256, 512], args.epochs or 12)


if __name__ == "__main__":
    main()
