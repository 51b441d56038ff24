"""Epochs and losses of nearwood's trainer beside implicit's and irspack's, in one run.

    python benches/trainers.py speed gowalla ml-1m          seconds an epoch, one thread and two
    python benches/trainers.py speed generated-power-law    20 million generated interactions
    python benches/trainers.py loss gowalla ml-1m           CPU seconds to a loss, many factors
    python benches/trainers.py speed gowalla --out run.jsonl --only nearwood

Contestants take turns, round by round, after a training of one epoch each that is not timed; the
first epoch of a training, which alone meets a random start, is left out; figures are medians. A
trainer that is not installed or fails is named and left out. A set that is absent is said loudly
and a generated one taken in its place. `share` is that of numpy's matrix product of 2048 x 2048,
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
import importlib.metadata
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import generated
import numpy as np
import scipy.sparse as sp
import trainers_report
from lines import Lines, now
from machine import processor, product
from truth import DATA, INTERACTIONS, with_stand_ins

import nearwood as nw

ALPHA, REGULARIZATION = 11.0, 1.1
# One objective in irspack's terms: an unobserved pair weighs UNOBSERVED, targets are SCALE times
# implicit's.
UNOBSERVED = 1 / (ALPHA - 1)
SCALE = 1 / (1 + UNOBSERVED)


def load(name: str) -> sp.csr_matrix:
    """Users x items, every weight 1."""
    if name in generated.PLAYS:
        return generated.plays(name)
    how = {"format": "lists"} if name == "gowalla" else {"user": "user", "item": "item"}
    data = nw.Interactions.read(DATA / INTERACTIONS[name], **how)
    matrix = data.to_scipy().tocsr().astype(np.float32)
    matrix.data[:] = 1
    return matrix


def operations(matrix: sp.csr_matrix, d: int) -> float:
    return 2 * matrix.nnz * (d * d + 3 * d) + sum(matrix.shape) * (d**3 / 3 + 4 * d * d)


#: How near to the least loss the table of losses asks for.
SHARES = (0.02, 0.01, 0.005)


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


#: (matrix, factors, threads, epochs, keep=whether to keep the factors of each) -> the times.
Trainer = Callable[..., Watch]


def ours(solver: str) -> Trainer:
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


def theirs(solver: str) -> Trainer:
    import implicit

    def train(matrix, d, threads, epochs, keep=False):
        model = implicit.als.AlternatingLeastSquares(
            factors=d,
            regularization=REGULARIZATION,
            alpha=ALPHA,
            iterations=epochs,
            use_cg=solver == "cg",
            num_threads=threads,
            random_state=1,
        )
        watch = Watch(threads)

        def heard(*_):
            watch.tick((lambda: (model.user_factors, model.item_factors)) if keep else None)

        model.fit(matrix, show_progress=False, callback=heard)
        return watch

    return train


def irspacks(solver: str) -> Trainer:
    from irspack.recommenders.ials import IALSRecommender

    def train(matrix, d, threads, epochs, keep=False):
        recommender = IALSRecommender(
            matrix,
            n_components=d,
            alpha0=UNOBSERVED,
            reg=REGULARIZATION * UNOBSERVED * SCALE,
            nu=0.0,
            solver_type=solver.upper(),
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


#: By library: what makes its trainer of a solver, the solvers of the race of epochs, and those of
#: the race to a loss at many factors, where implicit's exact one (at 64 factors five times slower
#: than its conjugate gradients) is left out.
LIBRARIES = {
    "nearwood": (ours, ("cholesky", "cg"), ("cholesky", "cg", "block")),
    "implicit": (theirs, ("cg", "cholesky"), ("cg",)),
    "irspack": (irspacks, ("cg", "cholesky"), ("cg", "ialspp")),
}


def contestants(many_factors: bool, name: str, options, lines: Lines) -> dict[str, Trainer]:
    """Those that can be had; the others are named."""
    found = {}
    for library, (make, few, many) in LIBRARIES.items():
        if options.only and library not in options.only:
            continue
        try:
            for solver in many if many_factors else few:
                found[f"{library} {solver}"] = make(solver)
        except ImportError:
            lines.absent(name, library, f"{library} is not installed")
    return found


class Field:
    """Trainers of one race. One that fails takes no further part."""

    def __init__(self, trainers: dict[str, Trainer], name: str, lines: Lines):
        self.trainers, self.name, self.lines = dict(trainers), name, lines

    def turn(self, *given, **how) -> Iterator[tuple[str, Watch]]:
        """One training each."""
        for trainer, train in list(self.trainers.items()):
            try:
                watch = train(*given, **how)
            except Exception as failed:
                self.lines.absent(self.name, trainer, f"{type(failed).__name__}: {failed}")
                del self.trainers[trainer]
                continue
            yield trainer, watch


def version(trainer: str) -> str:
    """Of the library that a trainer is of."""
    library = trainer.split()[0]
    return nw.__version__ if library == "nearwood" else importlib.metadata.version(library)


def speed(name: str, options, lines: Lines) -> None:
    """Seconds an epoch."""
    matrix = load(name)
    epochs = options.epochs or 4
    for d in options.factors or [64, 128]:
        for threads in options.threads:
            field = Field(contestants(False, name, options, lines), name, lines)
            times, peaks = defaultdict(list), []
            list(field.turn(matrix, d, threads, 1))
            for _ in range(options.rounds):
                peaks += product(1)
                for trainer, watch in field.turn(matrix, d, threads, epochs):
                    times[trainer] += watch.times[1:]
            about = {"data": name, "factors": d, "threads": threads}
            lines.add("product", **about, rounds=peaks)
            for trainer in field.trainers:
                median = float(np.median(times[trainer]))
                lines.add(
                    "epoch",
                    **about,
                    trainer=trainer,
                    version=version(trainer),
                    seconds=median,
                    rounds=[round(t, 5) for t in times[trainer]],
                    share=operations(matrix, d) / median / (np.median(peaks) * 1e9 * threads),
                )
            print(f"  {name}: {d} factors, {threads} threads: timed", file=sys.stderr)


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


def loss(name: str, options, lines: Lines) -> None:
    """CPU seconds on one thread to within some per cent of the least loss of all."""
    matrix = load(name)
    for d in options.factors or [256, 512]:
        curves = {}
        field = Field(contestants(True, name, options, lines), name, lines)
        list(field.turn(matrix, d, 1, 1))
        for trainer, watch in field.turn(matrix, d, 1, options.epochs or 12, keep=True):
            kept = [f if isinstance(f, float) else objective(matrix, *f) for f in watch.factors]
            curves[trainer] = np.cumsum(watch.times), np.array(kept)
            print(f"  {name}: {d} factors: {trainer}: trained", file=sys.stderr)
        least = min((losses.min() for _, losses in curves.values()), default=0.0)
        for trainer, (times, losses) in curves.items():
            lines.add(
                "loss",
                data=name,
                factors=d,
                trainer=trainer,
                version=version(trainer),
                seconds=float(np.median(np.diff(times))),
                least=float(least),
                times=[round(float(t), 4) for t in times],
                losses=[float(v) for v in losses],
                reached={str(share): reached(times, losses, least, share) for share in SHARES},
            )


def reached(times: np.ndarray, losses: np.ndarray, least: float, share: float) -> float | None:
    """When a loss came within a share of the least, if it did. Losses are below zero here: what no
    factors at all would lose is left out of them."""
    close = losses <= least + share * abs(least)
    return round(float(times[close.argmax()]), 4) if close.any() else None


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("speed", "loss"))
    parser.add_argument("sets", nargs="+", choices=(*INTERACTIONS, *generated.PLAYS))
    parser.add_argument("--factors", type=int, nargs="+")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="of a training, two at least")
    parser.add_argument("--out", type=Path, help="a file of JSON lines to add to")
    parser.add_argument("--only", action="append", choices=sorted(LIBRARIES), help="repeatable")
    options = parser.parse_args()
    if options.epochs == 1:
        parser.error("--epochs 1: the first epoch is left out, so two at least are wanted")
    return options


def main() -> None:
    options = arguments()
    lines = Lines(options.out)
    for name in with_stand_ins(options.sets, lines):
        about = {"data": name, "date": now(), "processor": processor()}
        lines.add("training", **about, what=options.what, load=os.getloadavg()[0])
        {"speed": speed, "loss": loss}[options.what](name, options, lines)
    print("\n".join(trainers_report.tables(lines.kept)))


if __name__ == "__main__":
    main()
