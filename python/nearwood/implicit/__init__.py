"""A drop-in for the package ``implicit``: replace ``import implicit`` by
``import nearwood.implicit as implicit``, or ``from implicit.als import AlternatingLeastSquares`` by
``from nearwood.implicit.als import AlternatingLeastSquares``.

Calls, defaults, shapes and the objective are implicit 0.7.3's; beneath is nearwood's trainer. What
differs, and why, is in ``docs/from-implicit.md``.

>>> import scipy.sparse as sp, nearwood.implicit as implicit
>>> plays = sp.csr_matrix([[3, 1, 0], [2, 0, 0], [0, 0, 5]])
>>> model = implicit.als.AlternatingLeastSquares(factors=2, random_state=0)
>>> model.fit(plays, show_progress=False)
>>> ids, scores = model.recommend(1, plays[1], N=2)
>>> int(ids[0])
1
"""

from nearwood.implicit import als, evaluation, nearest_neighbours
from nearwood.implicit.als import AlternatingLeastSquares

__all__ = ["AlternatingLeastSquares", "als", "evaluation", "nearest_neighbours"]
