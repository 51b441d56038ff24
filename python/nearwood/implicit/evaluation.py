"""``implicit.evaluation``: splits and measures, as implicit defines them. The models may be
nearwood's or implicit's."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec

import numpy as np

from nearwood._core import AlternatingLeastSquares as _Engine
from nearwood._core import implicit_leave_out, implicit_ranked

__all__ = [
    "AUC_at_k",
    "leave_k_out_split",
    "mean_average_precision_at_k",
    "ndcg_at_k",
    "precision_at_k",
    "ranking_metrics_at_k",
    "train_test_split",
]

_BATCH = 4096
_P = ParamSpec("_P")


def train_test_split(
    ratings: Any, train_percentage: float = 0.8, random_state: Any = None
) -> tuple[Any, Any]:
    """Parts a matrix into (train, test): each entry is drawn for training with a probability, by
    implicit's draws, so that a seed gives its split. Negative entries are left out of the test."""
    ratings = ratings.tocoo()
    is_train = _random(random_state).random(len(ratings.data)) < train_percentage
    train, test = _picked(ratings, is_train), _picked(ratings, ~is_train & (ratings.data >= 0))
    test.eliminate_zeros()
    return train, test


def leave_k_out_split(
    ratings: Any, K: int = 1, train_only_size: float = 0.0, random_state: Any = None
) -> tuple[Any, Any]:
    """Parts a matrix into (train, test): K entries of every user with more than K + 1 are held out,
    but for a share of the users, who only train. The draws are nearwood's, repeatable by a seed.

    Raises:
        ValueError: If K is below 1 or the share is not from 0 to below 1.
    """
    if K < 1:
        raise ValueError(f"K is {K}, expected at least 1")
    ratings = ratings.tocsr(copy=True)
    ratings.sum_duplicates()
    seed = int(_random(random_state).integers(2**63))
    held = implicit_leave_out(ratings, K, train_only_size, seed)
    ratings = ratings.tocoo()
    return _picked(ratings, ~held), _picked(ratings, held)


def ranking_metrics_at_k(
    model: Any,
    train_user_items: Any,
    test_user_items: Any,
    K: int = 10,
    show_progress: bool = True,
    num_threads: int = 1,
) -> dict[str, float]:
    """Measures a model on held-out entries: ``precision``, ``map``, ``ndcg`` and ``auc``, over all
    items that are not in `train_user_items`.

    Args:
        model: Whatever has ``recommend(users, user_items, N=)``.
        train_user_items: What users have: never ranked.
        test_user_items: What is to be found; users without any do not count.
        K: How many items are ranked.
        show_progress: Taken and ignored.
        num_threads: Taken and ignored: the model's own count.

    Warns:
        UserWarning: If the test has no entries, or entries that the model was trained on.
    """
    train, test = train_user_items.tocsr(), test_user_items.tocsr()
    _warn_of(model, train, test)
    users = np.flatnonzero(np.diff(test.indptr))
    batches = (users[first : first + _BATCH] for first in range(0, len(users), _BATCH))
    lists = [model.recommend(batch, train[batch], N=K)[0].ravel() for batch in batches]
    rankings = np.concatenate([np.zeros(0, dtype=np.int64), *lists])
    measured = implicit_ranked(rankings, K, test[users])
    return dict(zip(("precision", "map", "ndcg", "auc"), measured, strict=True))


def _warn_of(model: Any, train: Any, test: Any) -> None:
    """Says why the figures of a test mean nothing, or are too high."""
    n = int(test.nnz)
    text = None if n else "test_user_items has no entries: every figure is 0"
    if n and train.shape == test.shape:
        known = test.astype(bool).multiply(train.astype(bool)).tocsr()
        new = test.astype(bool).astype(np.float32) - known.astype(np.float32)
        new.eliminate_zeros()
        engine = getattr(model, "_engine", None)
        trained = engine._trained_on(new) if isinstance(engine, _Engine) else 0
        if known.nnz:
            text = f"{known.nnz} of {n} entries of test_user_items are in train_user_items, which"
            text += " is never ranked" + (": every figure is 0" if known.nnz == n else "")
        elif trained:
            text = f"the model was trained on {trained} of {n} entries of test_user_items: fit it"
            text += " on train_user_items alone"
    if text:
        warnings.warn(text, UserWarning, stacklevel=3)


def _only(
    figure: str, of: Callable[_P, dict[str, float]], name: str, doc: str
) -> Callable[_P, float]:
    """A call `name` that takes what `of` takes and gives one of its figures."""

    def measure(*args: _P.args, **kwargs: _P.kwargs) -> float:
        return of(*args, **kwargs)[figure]

    measure.__name__ = measure.__qualname__ = name
    measure.__doc__ = doc
    vars(measure).update(__signature__=inspect.signature(of).replace(return_annotation="float"))
    return measure


precision_at_k = _only(
    "precision",
    ranking_metrics_at_k,
    "precision_at_k",
    "Held-out items among the first K, over the most there could have been.",
)
mean_average_precision_at_k = _only(
    "map",
    ranking_metrics_at_k,
    "mean_average_precision_at_k",
    "The mean over users of the average precision, over min(K, held out).",
)
ndcg_at_k = _only(
    "ndcg",
    ranking_metrics_at_k,
    "ndcg_at_k",
    "The mean over users of the discounted gain over that of the best order.",
)
AUC_at_k = _only(
    "auc",
    ranking_metrics_at_k,
    "AUC_at_k",
    "The mean over users of the area under the curve, items beyond the first K in any order.",
)


def _random(state: Any) -> np.random.Generator:
    if isinstance(state, np.random.RandomState):
        state = state.randint(2**31)
    return np.random.default_rng(state)


def _picked(ratings: Any, mask: Any) -> Any:
    from scipy.sparse import csr_matrix

    entries = (ratings.data[mask], (ratings.row[mask], ratings.col[mask]))
    return csr_matrix(entries, shape=ratings.shape, dtype=ratings.dtype)
