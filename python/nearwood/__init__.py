"""Interactions in, recommendations out; vectors in, neighbours out; one memory-mapped file between.

>>> import numpy as np, nearwood as nw
>>> index = nw.Index.build(np.eye(3, dtype=np.float32), metric="dot", ids=["a", "b", "c"])
>>> ids, products = index.search([0, 2, 1], k=2)
>>> ids.tolist(), products.tolist()
(['b', 'c'], [2.0, 1.0])
"""

from nearwood._core import (
    SOLVERS,
    AlternatingLeastSquares,
    Filter,
    Index,
    Interactions,
    Recommender,
    __version__,
    evaluate,
    report,
    tune,
)
from nearwood._errors import FormatError, UnknownIdError, UnknownIdWarning
from nearwood._metric import Metric
from nearwood.frames import to_frame

__all__ = [
    "SOLVERS",
    "AlternatingLeastSquares",
    "Filter",
    "FormatError",
    "Index",
    "Interactions",
    "Metric",
    "Recommender",
    "UnknownIdError",
    "UnknownIdWarning",
    "__version__",
    "evaluate",
    "report",
    "to_frame",
    "tune",
]
