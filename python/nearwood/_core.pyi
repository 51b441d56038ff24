"""The extension module: what is documented here is used through ``nearwood``."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, SupportsIndex, TypeAlias, final, overload
from uuid import UUID

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Buffer, Self

__all__ = [
    "SOLVERS",
    "AlternatingLeastSquares",
    "AnnoyForest",
    "AnnoyItems",
    "Filter",
    "Index",
    "Interactions",
    "Recommender",
    "__version__",
    "evaluate",
    "implicit_leave_out",
    "implicit_ranked",
    "implicit_weights",
    "report",
    "run_cli",
    "tune",
]
__version__: str
SOLVERS: tuple[str, ...]

_Path: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
_Id: TypeAlias = SupportsIndex | str | bytes | UUID | Decimal
#: Ids that are asked for or allowed: an array, a column, a list, a set, a generator, or one id.
_Several: TypeAlias = ArrayLike | Iterable[Any] | _Id
_Ids: TypeAlias = NDArray[Any]
_Floats: TypeAlias = NDArray[np.float32]
_Pair: TypeAlias = tuple[_Ids, _Floats]
_Filter: TypeAlias = _Several | Filter | None
_OnUnknown: TypeAlias = Literal["raise", "skip"]
_Progress: TypeAlias = bool | Callable[[int, int], object] | None
_Callback: TypeAlias = Callable[[int, float], object] | None
_Metric: TypeAlias = Literal[
    "euclidean", "l2", "angular", "cosine", "dot", "ip", "manhattan", "l1", "hamming"
]
_Storage: TypeAlias = Literal["float32", "float16", "int8"]
_Weighting: TypeAlias = Literal["raw", "log1p", "bm25", "normalized"]
_OnBadRows: TypeAlias = Literal["raise", "skip"]
_Confidence: TypeAlias = Literal["ials", "implicit", "spark"]
_Solver: TypeAlias = Literal["auto", "cholesky", "cg", "block"]
_Ranked: TypeAlias = tuple[NDArray[np.int64], _Floats]

def implicit_weights(
    matrix: Any, k1: float | None = None, b: float | None = None
) -> NDArray[np.float64]: ...
def implicit_leave_out(matrix: Any, k: int, train_only: float, seed: int) -> NDArray[np.bool_]: ...
def implicit_ranked(
    rankings: ArrayLike, k: int, held: Any
) -> tuple[float, float, float, float]: ...

_Span: TypeAlias = float | tuple[float, float] | None

def evaluate(
    model: Any,
    train: Any,
    test: Any,
    k: int | Sequence[int] = 20,
    *,
    baselines: bool = False,
    recall: float | None = None,
    exact: bool = False,
    include_seen: bool = False,
    seed: int = 0,
    n_threads: int | None = None,
) -> dict[str, Any]: ...
def report(
    source: _Path | Index | Recommender,
    out: _Path,
    *,
    queries: ArrayLike | None = None,
    speed: bool = True,
    test: Any = None,
    k: int | Sequence[int] = 20,
    items: int = 2000,
    title: str | None = None,
    seed: int = 0,
    n_threads: int | None = None,
) -> None: ...
def tune(
    data: Any,
    *,
    factors: _Span = None,
    unobserved_weight: _Span = None,
    regularization: _Span = None,
    regularization_scaling: _Span = None,
    alpha: _Span = None,
    weighting: _Weighting | str | Sequence[str] | None = None,
    confidence: _Confidence | str = "ials",
    solver: _Solver | str = "auto",
    iterations: int = 40,
    metric: str = "ndcg@20",
    trials: int = 30,
    refine: int = 15,
    validation: float = 0.1,
    users: int = 10000,
    patience: int = 3,
    journal: _Path | None = None,
    random_state: int = 0,
    n_threads: int | None = None,
    progress: _Progress = True,
) -> dict[str, Any]: ...
def run_cli(command: Sequence[str], args: Sequence[str]) -> int: ...

@final
class Filter:
    def __new__(cls, allowed: _Several | Filter) -> Self: ...
    def __len__(self) -> int: ...
    def __copy__(self) -> Filter: ...
    def __deepcopy__(self, _memo: object) -> Filter: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Index:
    @staticmethod
    def build(
        vectors: ArrayLike,
        metric: _Metric | str = "euclidean",
        *,
        packed: bool = False,
        dim: int | None = None,
        storage: _Storage | str = "float32",
        ids: ArrayLike | None = None,
        labels: Mapping[Any, str] | Iterable[str] | None = None,
        n_trees: int | None = None,
        leaf_size: int | None = None,
        seed: int = 0,
        n_threads: int | None = None,
        progress: _Progress = False,
        calibration_queries: ArrayLike | None = None,
        path: _Path | None = None,
        first_tree: int = 0,
        graph: bool | None = None,
        memory_limit: int | None = None,
    ) -> Index: ...
    @staticmethod
    def open(
        path: _Path,
        *,
        prefault: bool = False,
        lock: bool = False,
        verify: bool = False,
        in_memory: bool = False,
    ) -> Index: ...
    @staticmethod
    def merge(
        indexes: Sequence[Index],
        *,
        calibration_queries: ArrayLike | None = None,
        n_threads: int | None = None,
        progress: _Progress = False,
        path: _Path | None = None,
    ) -> Index: ...
    def append_trees(
        self,
        n: int,
        *,
        calibration_queries: ArrayLike | None = None,
        n_threads: int | None = None,
        progress: _Progress = False,
        path: _Path | None = None,
    ) -> Index: ...
    def drop_trees(
        self,
        numbers: Sequence[int],
        *,
        calibration_queries: ArrayLike | None = None,
        n_threads: int | None = None,
        progress: _Progress = False,
        path: _Path | None = None,
    ) -> Index: ...
    @property
    def trees(self) -> list[int]: ...
    @staticmethod
    def from_bytes(data: Buffer) -> Index: ...
    @staticmethod
    def verify(path: _Path) -> None: ...
    def save(self, path: _Path) -> None: ...
    def to_bytes(self) -> bytes: ...
    @overload
    def search(
        self,
        queries: ArrayLike,
        k: int = 10,
        *,
        recall: float | None = None,
        budget: int | None = None,
        filter: _Filter = None,
        n_threads: int | None = None,
        return_exact: Literal[False] = False,
    ) -> _Pair: ...
    @overload
    def search(
        self,
        queries: ArrayLike,
        k: int = 10,
        *,
        recall: float | None = None,
        budget: int | None = None,
        filter: _Filter = None,
        n_threads: int | None = None,
        return_exact: Literal[True],
    ) -> tuple[_Ids, _Floats, Any]: ...
    @overload
    def radius(
        self,
        queries: ArrayLike,
        r: float,
        *,
        recall: float | None = None,
        budget: int | None = None,
        filter: _Filter = None,
        n_threads: int | None = None,
        return_exact: Literal[False] = False,
    ) -> _Pair | list[_Pair]: ...
    @overload
    def radius(
        self,
        queries: ArrayLike,
        r: float,
        *,
        recall: float | None = None,
        budget: int | None = None,
        filter: _Filter = None,
        n_threads: int | None = None,
        return_exact: Literal[True],
    ) -> tuple[_Ids, _Floats, bool] | list[tuple[_Ids, _Floats, bool]]: ...
    def search_exact(
        self,
        queries: ArrayLike,
        k: int = 10,
        *,
        filter: _Filter = None,
        n_threads: int | None = None,
    ) -> _Pair: ...
    def search_ids(
        self,
        ids: _Several,
        k: int = 10,
        *,
        include_self: bool = False,
        recall: float | None = None,
        budget: int | None = None,
        filter: _Filter = None,
        n_threads: int | None = None,
    ) -> _Pair: ...
    def recall(
        self,
        queries: ArrayLike,
        k: int = 10,
        *,
        recall: float | None = None,
        budget: int | None = None,
        filter: _Filter = None,
        n_threads: int | None = None,
    ) -> float: ...
    def is_far(self, queries: ArrayLike, distances: ArrayLike) -> bool | NDArray[np.bool_]: ...
    def recall_curve(
        self,
        queries: ArrayLike | None = None,
        k: int = 10,
        *,
        budgets: int | Sequence[int] | None = None,
        n_threads: int | None = None,
    ) -> dict[str, Any]: ...
    def vector(self, id: _Id) -> _Floats: ...
    def vectors(self, ids: _Several) -> _Floats: ...
    def find(self, name: str) -> int | str: ...
    def label(self, id: _Id) -> str | None: ...
    def info(self) -> dict[str, Any]: ...
    @property
    def metric(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def has_graph(self) -> bool: ...
    @property
    def n_trees(self) -> int: ...
    @property
    def ids(self) -> _Ids: ...
    @property
    def labels(self) -> list[str] | None: ...
    def _repr_html_(self) -> str: ...
    def __len__(self) -> int: ...
    def __contains__(self, id: object, /) -> bool: ...
    def __copy__(self) -> Index: ...
    def __deepcopy__(self, _memo: object) -> Index: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Interactions:
    @staticmethod
    def from_frame(
        table: Any,
        *,
        user: str | int,
        item: str | int,
        weight: str | int | None = None,
        time: str | int | None = None,
        errors: _OnBadRows = "raise",
    ) -> Interactions: ...
    @staticmethod
    def from_columns(
        users: ArrayLike,
        items: ArrayLike,
        weights: ArrayLike | None = None,
        times: ArrayLike | None = None,
    ) -> Interactions: ...
    @staticmethod
    def from_matrix(
        matrix: Any, *, user_ids: ArrayLike | None = None, item_ids: ArrayLike | None = None
    ) -> Interactions: ...
    @staticmethod
    def read(
        path: _Path | Sequence[_Path],
        *,
        user: str | int | None = None,
        item: str | int | None = None,
        weight: str | int | None = None,
        time: str | int | None = None,
        format: Literal["table", "csv", "tsv", "lists", "parquet", "arrow", "feather", "ipc"]
        | None = None,
        errors: _OnBadRows = "raise",
        delimiter: str | None = None,
        quote: str | None = None,
        header: bool | None = None,
        encoding: str | None = None,
        keep_null_ids: bool = False,
    ) -> Interactions: ...
    def weighted(
        self,
        weighting: _Weighting | str,
        *,
        half_life: float | str | timedelta | np.timedelta64 | None = None,
        now: int | datetime | None = None,
    ) -> Interactions: ...
    def decayed(
        self,
        half_life: float | str | timedelta | np.timedelta64,
        now: int | datetime | None = None,
    ) -> Interactions: ...
    @property
    def n_skipped(self) -> int: ...
    @property
    def skipped(self) -> list[str]: ...
    def split(
        self,
        method: Literal["random", "leave_k_out", "user_time", "time"] | str = "random",
        *,
        share: float = 0.2,
        k: int = 1,
        seed: int = 0,
    ) -> tuple[Interactions, Interactions]: ...
    @property
    def users_left_whole(self) -> int | None: ...
    def to_scipy(self) -> Any: ...
    @property
    def matrix(self) -> tuple[NDArray[np.int64], NDArray[Any], _Floats]: ...
    @property
    def times(self) -> NDArray[np.int64] | None: ...
    @property
    def user_ids(self) -> _Ids: ...
    @property
    def item_ids(self) -> _Ids: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def nnz(self) -> int: ...
    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...
    def _repr_html_(self) -> str: ...

@final
class AlternatingLeastSquares:
    def __new__(
        cls,
        factors: int = 64,
        *,
        regularization: float = 0.01,
        alpha: float = 1.0,
        iterations: int = 15,
        confidence: _Confidence | str = "ials",
        unobserved_weight: float = 1.0,
        regularization_scaling: float = 0.0,
        solver: _Solver | str = "auto",
        cg_steps: int = 3,
        random_state: int = 0,
        n_threads: int | None = None,
    ) -> Self: ...
    def fit(
        self,
        user_items: Any,
        *,
        progress: _Progress = True,
        callback: _Callback = None,
        warm_start: bool = False,
        validation: Any = None,
        patience: int = 3,
        metric: str = "ndcg@20",
    ) -> Self: ...
    def set_factors(
        self, user_factors: ArrayLike, item_factors: ArrayLike, user_items: Any = None
    ) -> Self: ...
    def fold_in(self, user_items: Any) -> _Floats: ...
    def fold_in_items(self, item_users: Any) -> _Floats: ...
    def recommend(
        self,
        userid: _Several,
        user_items: Any = None,
        N: int = 10,
        filter_already_liked_items: bool = True,
        filter_items: _Several | None = None,
        items: _Several | None = None,
        recalculate_user: bool = False,
    ) -> _Ranked: ...
    def recommend_all(
        self,
        N: int = 10,
        *,
        filter_already_liked_items: bool = True,
        filter_items: _Several | None = None,
        items: _Several | None = None,
    ) -> _Ranked: ...
    def explain(
        self, userid: SupportsIndex, itemid: SupportsIndex, user_items: Any = None, N: int = 10
    ) -> tuple[float, list[tuple[int, float]]]: ...
    def similar_items(
        self,
        itemid: _Several,
        N: int = 10,
        *,
        include_self: bool = False,
        filter_items: _Several | None = None,
        items: _Several | None = None,
        item_users: Any = None,
    ) -> _Ranked: ...
    def similar_users(
        self,
        userid: _Several,
        N: int = 10,
        *,
        include_self: bool = False,
        filter_users: _Several | None = None,
        users: _Several | None = None,
    ) -> _Ranked: ...
    def partial_fit_users(self, userids: _Several, user_items: Any) -> None: ...
    def partial_fit_items(self, itemids: _Several, item_users: Any) -> None: ...
    def remove_users(self, userids: _Several) -> None: ...
    def remove_items(self, itemids: _Several) -> None: ...
    def save(
        self,
        path: _Path,
        *,
        storage: Literal["float32", "float16"] | str = "float32",
        interactions: bool = True,
    ) -> None: ...
    @staticmethod
    def load(path: _Path, *, n_threads: int | None = None) -> AlternatingLeastSquares: ...
    def _trained_on(self, user_items: Any) -> int: ...
    @staticmethod
    def _restore(params: str, file: bytes | None = None) -> AlternatingLeastSquares: ...
    def _repr_html_(self) -> str: ...
    def __copy__(self) -> AlternatingLeastSquares: ...
    def __deepcopy__(self, _memo: object) -> AlternatingLeastSquares: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    @property
    def params(self) -> dict[str, Any]: ...
    @property
    def validation_history(self) -> list[float]: ...
    @property
    def user_factors(self) -> _Floats: ...
    @property
    def item_factors(self) -> _Floats: ...
    @property
    def loss_history(self) -> list[float]: ...

@final
class AnnoyItems:
    def __new__(cls, f: int, metric: str) -> Self: ...
    def set(self, i: int, vector: Any) -> None: ...
    def check(self, vector: Any) -> None: ...
    def vector(self, i: int) -> list[float]: ...
    def distance(self, i: int, j: int) -> float: ...
    def build(
        self, n_trees: int | None, n_threads: int | None, seed: int, verbose: bool
    ) -> AnnoyForest: ...
    def __len__(self) -> int: ...

@final
class AnnoyForest:
    @staticmethod
    def open(path: _Path, f: int, metric: str, prefault: bool, verbose: bool) -> AnnoyForest: ...
    def save(self, path: _Path) -> None: ...
    def search(
        self, vector: Any, n: int | None, search_k: int | None, include_distances: bool
    ) -> Any: ...
    def search_item(
        self, i: int, n: int | None, search_k: int | None, include_distances: bool
    ) -> Any: ...
    def vector(self, i: int) -> list[float]: ...
    def distance(self, i: int, j: int) -> float: ...
    def items(self) -> AnnoyItems: ...
    @property
    def n_items(self) -> int: ...
    @property
    def n_trees(self) -> int: ...

_History: TypeAlias = Mapping[Any, float] | Iterable[Any] | _Id

@final
class Recommender:
    @staticmethod
    def fit(
        data: Any,
        factors: int = 64,
        *,
        weighting: _Weighting | str = "log1p",
        item_names: Mapping[Any, str] | Iterable[str] | None = None,
        regularization: float = 1.0,
        alpha: float = 1.0,
        iterations: int = 15,
        confidence: _Confidence | str = "ials",
        unobserved_weight: float = 0.2,
        regularization_scaling: float = 0.0,
        solver: _Solver | str = "auto",
        cg_steps: int = 3,
        random_state: int = 0,
        n_threads: int | None = None,
        progress: _Progress = True,
        callback: _Callback = None,
    ) -> Recommender: ...
    @staticmethod
    def open(
        path: _Path, *, prefault: bool = False, verify: bool = False, in_memory: bool = False
    ) -> Recommender: ...
    @staticmethod
    def from_bytes(data: Buffer) -> Recommender: ...
    @staticmethod
    def verify(path: _Path) -> None: ...
    def save(self, path: _Path) -> None: ...
    def to_bytes(self) -> bytes: ...
    def recommend(
        self,
        user: _Several,
        k: int = 20,
        *,
        include_seen: bool = False,
        recall: float | None = None,
        exact: bool = False,
        filter: _Filter = None,
        n_threads: int | None = None,
        unknown: _OnUnknown | str = "raise",
    ) -> _Pair: ...
    @overload
    def recommend_all(
        self,
        k: int = 20,
        out: None = None,
        *,
        users: _Several | None = None,
        include_seen: bool = False,
        recall: float | None = None,
        exact: bool = False,
        filter: _Filter = None,
        n_threads: int | None = None,
        resume: bool = False,
        progress: _Progress = False,
        unknown: _OnUnknown | str = "raise",
    ) -> _Pair: ...
    @overload
    def recommend_all(
        self,
        k: int = 20,
        *,
        out: _Path,
        users: _Several | None = None,
        include_seen: bool = False,
        recall: float | None = None,
        exact: bool = False,
        filter: _Filter = None,
        n_threads: int | None = None,
        resume: bool = False,
        progress: _Progress = False,
        unknown: _OnUnknown | str = "raise",
    ) -> int: ...
    def similar(
        self,
        item: _Id,
        k: int = 10,
        *,
        recall: float | None = None,
        exact: bool = False,
        filter: _Filter = None,
    ) -> _Pair: ...
    def recommend_for(
        self,
        history: _History,
        k: int = 20,
        *,
        include_seen: bool = False,
        recall: float | None = None,
        exact: bool = False,
        filter: _Filter = None,
        unknown: _OnUnknown | str = "raise",
    ) -> _Pair: ...
    def fold_in(self, history: _History, *, unknown: _OnUnknown | str = "raise") -> _Floats: ...
    def seen(self, user: _Id) -> _Ids: ...
    def find(self, name: str) -> int | str: ...
    def label(self, item: _Id) -> str | None: ...
    def info(self) -> dict[str, Any]: ...
    @property
    def user_factors(self) -> _Floats: ...
    @property
    def item_factors(self) -> _Floats: ...
    @property
    def users(self) -> _Ids: ...
    @property
    def items(self) -> _Ids: ...
    @property
    def loss_history(self) -> list[float]: ...
    @property
    def params(self) -> dict[str, Any]: ...
    def _repr_html_(self) -> str: ...
    def __copy__(self) -> Recommender: ...
    def __deepcopy__(self, _memo: object) -> Recommender: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
