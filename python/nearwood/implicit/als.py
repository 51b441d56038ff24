"""``implicit.als``: :class:`AlternatingLeastSquares`."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from typing import IO, Any, SupportsIndex, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from nearwood import SOLVERS
from nearwood._core import AlternatingLeastSquares as _Engine

__all__ = ["AlternatingLeastSquares"]

_Array: TypeAlias = NDArray[Any]
_Pair: TypeAlias = tuple[_Array, _Array]
_Numbers: TypeAlias = SupportsIndex | ArrayLike
_File: TypeAlias = str | os.PathLike[str] | IO[bytes]

#: What stands for no score.
_NOTHING = -np.finfo(np.float32).max
#: What ``save`` writes beside the factors.
_SAVED = (
    "regularization",
    "factors",
    "num_threads",
    "iterations",
    "use_native",
    "use_cg",
    "cg_steps",
    "calculate_training_loss",
    "random_state",
    "alpha",
)


def _threads(num_threads: int) -> int | None:
    """implicit's 0, which is all cores, as nearwood says it."""
    if num_threads < -1:
        expected = "at least 1, or 0 or -1 for all cores"
        raise ValueError(f"num_threads is {num_threads}, expected {expected}")
    return num_threads if num_threads > 0 else None


class AlternatingLeastSquares:
    """Implicit ALS in implicit's way: a weight r is a confidence, 1 without an entry.

    Args:
        factors: The length of a vector.
        regularization: Lambda.
        alpha: What weights are multiplied by.
        dtype: float32 or float64, of the arrays returned; computed is in float32.
        use_native: Taken and ignored: there is one implementation.
        use_cg: Solve rows by conjugate gradients where nearwood has them; False: exactly.
        use_gpu: Refused if true.
        iterations: Epochs, at least 1.
        calculate_training_loss: Tell `callback` the loss.
        num_threads: 0 or -1: all cores. The result does not depend on it.
        random_state: None, an int, a numpy Generator or RandomState.

    Attributes are parameters: what they are when :meth:`fit` is called counts.
    """

    def __init__(
        self,
        factors: int = 100,
        regularization: float = 0.01,
        alpha: float = 1.0,
        dtype: DTypeLike = np.float32,
        use_native: bool = True,
        use_cg: bool = True,
        use_gpu: bool = False,
        iterations: int = 15,
        calculate_training_loss: bool = False,
        num_threads: int = 0,
        random_state: Any = None,
    ) -> None:
        if use_gpu:
            raise ValueError("use_gpu is True: nearwood trains on the CPU, leave use_gpu out")
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            raise ValueError(f"dtype is {self.dtype}, expected float32 or float64")
        self.factors = factors
        self.regularization = regularization
        self.alpha = alpha
        self.use_native = use_native
        self.use_cg = use_cg
        self.iterations = iterations
        self.calculate_training_loss = calculate_training_loss
        self.num_threads = num_threads
        self.random_state = random_state
        self.cg_steps = 3
        self.fit_callback: Callable[..., object] | None = None
        self._user_factors: _Array | None = None
        self._item_factors: _Array | None = None
        self._engine: _Engine | None = None

    @property
    def user_factors(self) -> Any:
        """(n_users, factors), read-only; None before :meth:`fit`. Assign a whole array to change
        it."""
        return self._user_factors

    @user_factors.setter
    def user_factors(self, factors: ArrayLike | None) -> None:
        self._user_factors, self._engine = self._kept(factors), None

    @property
    def item_factors(self) -> Any:
        """(n_items, factors), read-only; None before :meth:`fit`. Assign a whole array to change
        it."""
        return self._item_factors

    @item_factors.setter
    def item_factors(self, factors: ArrayLike | None) -> None:
        self._item_factors, self._engine = self._kept(factors), None

    def fit(
        self,
        user_items: Any,
        show_progress: bool = True,
        callback: Callable[[int, float, float | None], object] | None = None,
    ) -> None:
        """Trains on users x items. As in implicit the items' start is ``item_factors`` if it is set
        (by hand or by an earlier training), else drawn from `random_state`.

        Args:
            user_items: A scipy sparse matrix.
            show_progress: A bar on a terminal.
            callback: Called with (iteration from 0, seconds, loss or None) after each epoch.

        Raises:
            ValueError: If the matrix is empty, a weight is not finite, or factors that are set have
                another shape.
        """
        engine = self._new_engine()
        users, items = self._start(user_items.shape)
        engine.set_factors(users, items)
        told = callback or self.fit_callback
        clock = time.perf_counter()

        def tell(iteration: int, loss: float) -> None:
            nonlocal clock
            before, clock = clock, time.perf_counter()
            if told:
                known = self._scaled(loss, user_items) if self.calculate_training_loss else None
                told(iteration - 1, clock - before, known)

        engine.fit(user_items, progress=bool(show_progress), callback=tell, warm_start=True)
        self._take(engine)

    def recommend(
        self,
        userid: _Numbers,
        user_items: Any,
        N: int = 10,
        filter_already_liked_items: bool = True,
        filter_items: ArrayLike | None = None,
        recalculate_user: bool = False,
        items: ArrayLike | None = None,
    ) -> _Pair:
        """The best items for one user or many, by exact search.

        Args:
            userid: A user's number, or an array of them.
            user_items: The users' rows, one for each of `userid`; may be None where nothing is
                filtered or recalculated.
            N: How many; of fewer `items`, as many as they are.
            filter_already_liked_items: Leave out the items of `user_items`.
            filter_items: Items to leave out. Not together with `items`.
            recalculate_user: Solve the users from `user_items`.
            items: The only items to choose from.

        Returns:
            (ids, scores): (N,) or (m, N); ids -1 with the least float32 where there are no more.

        Raises:
            IndexError: If there is no such user or item.
            ValueError: If `user_items` is needed and missing, or has another number of rows.
        """
        rows = user_items
        if filter_already_liked_items or recalculate_user:
            rows = _rows(user_items, userid, "user_items", "users in userids")
        if items is not None:
            _not_both("items", "filter_items", filter_items, "recommend")
            N = min(N, np.size(items))
        found = _indexed(
            self._trained().recommend,
            userid,
            rows if filter_already_liked_items or recalculate_user else None,
            N,
            filter_already_liked_items,
            filter_items,
            items,
            recalculate_user,
        )
        return _padded(found, np.int32 if items is None else np.int64)

    def recommend_all(
        self,
        user_items: Any,
        N: int = 10,
        recalculate_user: bool = False,
        filter_already_liked_items: bool = True,
        filter_items: ArrayLike | None = None,
        users_items_offset: int = 0,
    ) -> _Array:
        """Deprecated: :meth:`recommend` with an array of users. The ids alone."""
        text = "recommend_all is deprecated. Use recommend with an array of userids instead"
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        users = np.arange(user_items.shape[0]) + users_items_offset
        options = (filter_already_liked_items, filter_items, recalculate_user)
        return self.recommend(users, user_items, N, *options)[0]

    def rank_items(
        self,
        userid: int,
        user_items: Any,
        selected_items: ArrayLike,
        recalculate_user: bool = False,
    ) -> _Pair:
        """Deprecated: :meth:`recommend` with `items`."""
        text = "rank_items is deprecated. Use recommend with the 'items' parameter instead"
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        return self.recommend(
            userid,
            user_items,
            recalculate_user=recalculate_user,
            items=selected_items,
            filter_already_liked_items=False,
        )

    def similar_items(
        self,
        itemid: _Numbers,
        N: int = 10,
        recalculate_item: bool = False,
        item_users: Any = None,
        filter_items: ArrayLike | None = None,
        items: ArrayLike | None = None,
    ) -> _Pair:
        """The items at the smallest angle to one item or many, itself among them, with cosines;
        arguments and results as those of :meth:`recommend`."""
        if items is not None:
            _not_both("items", "filter_items", filter_items, "similar_items")
        rows = None
        if recalculate_item:
            rows = _rows(item_users, itemid, "item_users", "items in itemids")
        found = _indexed(
            self._trained().similar_items,
            itemid,
            N,
            include_self=True,
            filter_items=filter_items,
            items=items,
            item_users=rows,
        )
        return _padded(found, np.int32 if items is None else np.int64)

    def similar_users(
        self,
        userid: _Numbers,
        N: int = 10,
        filter_users: ArrayLike | None = None,
        users: ArrayLike | None = None,
    ) -> _Pair:
        """The users at the smallest angle to one user or many, as :meth:`similar_items`."""
        if users is not None:
            _not_both("users", "filter_users", filter_users, "similar_users")
        found = _indexed(
            self._trained().similar_users,
            userid,
            N,
            include_self=True,
            filter_users=filter_users,
            users=users,
        )
        return _padded(found, np.int32 if users is None else np.int64)

    def explain(
        self, userid: int, user_items: Any, itemid: int, user_weights: Any = None, N: int = 10
    ) -> tuple[float, list[tuple[int, float]], Any]:
        """Why an item suits a user.

        Args:
            userid: A row of `user_items`.
            user_items: The matrix of all users.
            itemid: The item.
            user_weights: Taken and ignored; calls are quick without.
            N: How many contributions to list.

        Returns:
            (score, [(item, contribution), ...], None), largest contributions first.
        """
        row = user_items.tocsr()[[userid]]
        score, contributions = _indexed(self._trained().explain, 0, itemid, row, N)
        return score, contributions, None

    def recalculate_user(self, userid: _Numbers, user_items: Any) -> _Array:
        """Vectors of users solved from their rows: (factors,) or (m, factors)."""
        rows = _rows(user_items, userid, "user_items", "users in userids")
        factors = self._trained().fold_in(rows).astype(self.dtype)
        return factors[0] if np.isscalar(userid) else factors

    def recalculate_item(self, itemid: _Numbers, item_users: Any) -> _Array:
        """Vectors of items solved from who has them: (factors,) or (m, factors)."""
        rows = _rows(item_users, itemid, "item_users", "items in itemids")
        factors = self._trained().fold_in_items(rows).astype(self.dtype)
        return factors[0] if np.isscalar(itemid) else factors

    def partial_fit_users(self, userids: ArrayLike, user_items: Any) -> None:
        """Solves users from their rows and stores them; larger numbers than there are add users."""
        engine = self._trained()
        engine.partial_fit_users(
            userids, _rows(user_items, userids, "user_items", "users in userids")
        )
        self._take(engine)

    def partial_fit_items(self, itemids: ArrayLike, item_users: Any) -> None:
        """Solves items from who has them and stores them, as :meth:`partial_fit_users`."""
        engine = self._trained()
        engine.partial_fit_items(
            itemids, _rows(item_users, itemids, "item_users", "items in itemids")
        )
        self._take(engine)

    def to_gpu(self) -> None:
        """Refused: nearwood computes on the CPU."""
        raise ValueError("nearwood computes on the CPU: there is no model for the GPU")

    def save(self, fileobj_or_path: _File) -> None:
        """Writes an ``.npz`` file as implicit does, which implicit's class on the CPU loads too."""
        values = {name: getattr(self, name) for name in _SAVED}
        values["dtype"] = self.dtype.name
        values["user_factors"], values["item_factors"] = self._user_factors, self._item_factors
        np.savez(fileobj_or_path, **{k: v for k, v in values.items() if v is not None})

    @classmethod
    def load(cls, fileobj_or_path: _File) -> AlternatingLeastSquares:
        """Reads an ``.npz`` file that :meth:`save`, or implicit's, wrote."""
        if isinstance(fileobj_or_path, str) and not fileobj_or_path.endswith(".npz"):
            fileobj_or_path = fileobj_or_path + ".npz"
        model = cls()
        with np.load(fileobj_or_path, allow_pickle=False) as data:
            if "dtype" in data:
                model.dtype = np.dtype(str(data["dtype"]))
            for name in _SAVED:
                if name in data:
                    setattr(model, name, data[name].item())
            for name in ("user_factors", "item_factors"):
                if name in data:
                    setattr(model, name, data[name])
        return model

    def _kept(self, factors: ArrayLike | None) -> _Array | None:
        if factors is None:
            return None
        kept = np.array(factors, dtype=self.dtype)
        kept.flags.writeable = False
        return kept

    def _take(self, engine: _Engine) -> None:
        self.user_factors, self.item_factors = engine.user_factors, engine.item_factors
        self._engine = engine

    def _new_engine(self) -> _Engine:
        exact = not self.use_cg or "cg" not in SOLVERS
        return _Engine(
            self.factors,
            regularization=self.regularization,
            alpha=self.alpha,
            iterations=self.iterations,
            confidence="implicit",
            solver="cholesky" if exact else "cg",
            cg_steps=self.cg_steps,
            n_threads=_threads(self.num_threads),
        )

    def _trained(self) -> _Engine:
        if self._engine is None:
            if self._user_factors is None or self._item_factors is None:
                raise TypeError("the model is not trained yet: call fit first")
            self._engine = self._new_engine().set_factors(self._user_factors, self._item_factors)
        return self._engine

    def _start(self, shape: tuple[int, int]) -> _Pair:
        """The factors that implicit would start from, drawn in its order."""
        state = self.random_state
        if isinstance(state, np.random.RandomState):
            state = state.randint(2**31)
        random: Any = np.random.default_rng(state)
        sides = [(shape[0], self._user_factors, "user"), (shape[1], self._item_factors, "item")]
        start = []
        for n, given, name in sides:
            if given is None:
                given = random.random((n, self.factors), dtype=self.dtype) * 0.01
            if given.shape != (n, self.factors):
                raise ValueError(
                    f"{name}_factors have shape {given.shape}, expected {(n, self.factors)}: "
                    "set them to None to start anew"
                )
            start.append(given)
        return start[0], start[1]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for factors in (self._user_factors, self._item_factors):
            if factors is not None:
                factors.flags.writeable = False

    def _scaled(self, loss: float, user_items: Any) -> float:
        """implicit's loss: the squares completed, and a mean over the weights of all pairs."""
        total = float(abs(user_items).sum()) * self.alpha
        users, items = user_items.shape
        return float((loss + total) / (total + users * items - user_items.nnz))


def _rows(matrix: Any, ids: Any, name: str, what: str) -> Any:
    if not hasattr(matrix, "tocsr"):
        raise ValueError(f"{name} needs to be a CSR sparse matrix")
    if matrix.shape[0] != (1 if np.isscalar(ids) else np.size(ids)):
        raise ValueError(f"{name} must contain 1 row for every {what}")
    return matrix


def _not_both(one: str, other: str, given: Any, call: str) -> None:
    if given is not None and np.size(given):
        raise ValueError(f"Can't set both {one} and {other} in {call} call")


def _indexed(call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Numbers that name nothing are an IndexError, as numpy's are."""
    try:
        return call(*args, **options)
    except KeyError as error:
        raise IndexError(str(error)) from None


def _padded(found: _Pair, dtype: type) -> _Pair:
    ids, scores = found
    scores[ids < 0] = _NOTHING
    return ids.astype(dtype), scores
