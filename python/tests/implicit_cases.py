"""Models of both packages, trained alike."""

from __future__ import annotations

import os

# implicit warns of BLAS libraries that start threads of their own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import implicit
    import implicit.als
    import implicit.cpu.als

import nearwood.implicit

PACKAGES = {"implicit": implicit.cpu.als.AlternatingLeastSquares}
PACKAGES["nearwood"] = nearwood.implicit.als.AlternatingLeastSquares

USERS, ITEMS = 60, 40


def plays(users: int = USERS, items: int = ITEMS, seed: int = 0) -> sp.csr_matrix:
    """Two tastes, whole weights from 1 to 9; everybody has something."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), 8)
    item = rng.integers(items // 2, size=user.size) + (user % 2) * (items // 2)
    weight = rng.integers(1, 10, size=user.size).astype(np.float32)
    matrix = sp.csr_matrix((weight, (user, item)), shape=(users, items))
    matrix.sum_duplicates()
    return matrix


def made(Model: Any, **options: Any) -> Any:
    """A model that solves rows exactly, on one thread: those of implicit's wait by spinning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return Model(
            **{"factors": 6, "use_cg": False, "random_state": 3, "num_threads": 1, **options}
        )


def fitted(Model: Any, matrix: sp.csr_matrix | None = None, **options: Any) -> Any:
    model = made(Model, **options)
    model.fit(plays() if matrix is None else matrix, show_progress=False)
    return model


def alike(**options: Any) -> tuple[Any, Any]:
    """implicit's model and ours with the very factors of implicit's, whatever trained them."""
    theirs = fitted(PACKAGES["implicit"], **options)
    ours = made(PACKAGES["nearwood"], **options)
    ours.user_factors, ours.item_factors = theirs.user_factors, theirs.item_factors
    return theirs, ours
