"""`nearwood.AlternatingLeastSquares`."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import plays

import nearwood as nw


@pytest.fixture(scope="module")
def matrix() -> sp.csr_matrix:
    user, item, weight = plays()
    # User 120 and item 60 have nothing.
    return sp.csr_matrix((weight, (user, item)), shape=(121, 61))


@pytest.fixture(scope="module")
def model(matrix: sp.csr_matrix) -> nw.AlternatingLeastSquares:
    return nw.AlternatingLeastSquares(factors=8, iterations=6).fit(matrix, progress=False)


def test_shapes(model: nw.AlternatingLeastSquares) -> None:
    assert model.user_factors.shape == (121, 8) and model.item_factors.shape == (61, 8)
    assert model.user_factors.dtype == model.item_factors.dtype == np.float32
    assert not model.user_factors[120].any() and not model.item_factors[60].any()
    assert len(model.loss_history) == 6
    assert model.loss_history == sorted(model.loss_history, reverse=True)
    assert repr(model).startswith("AlternatingLeastSquares(factors=8, regularization=0.01,")


def test_every_matrix_trains_the_same(
    matrix: sp.csr_matrix, model: nw.AlternatingLeastSquares
) -> None:
    kinds = [matrix.tocoo(), matrix.tocsc(), sp.csr_array(matrix), matrix.astype(np.float64)]
    for same in [*kinds, nw.Interactions.from_matrix(matrix)]:
        again = nw.AlternatingLeastSquares(factors=8, iterations=6).fit(same, progress=False)
        assert (again.item_factors == model.item_factors).all()


def test_threads_and_seed(matrix: sp.csr_matrix, model: nw.AlternatingLeastSquares) -> None:
    for n_threads in (1, 3):
        again = nw.AlternatingLeastSquares(8, iterations=6, n_threads=n_threads).fit(matrix)
        assert (again.user_factors == model.user_factors).all()
    other = nw.AlternatingLeastSquares(8, iterations=6, random_state=1).fit(matrix)
    assert (other.user_factors != model.user_factors).any()


def test_folding_in_gives_the_stored_vectors(
    matrix: sp.csr_matrix, model: nw.AlternatingLeastSquares
) -> None:
    np.testing.assert_allclose(model.fold_in(matrix), model.user_factors, atol=1e-5)
    np.testing.assert_allclose(model.fold_in(matrix[3:5]), model.user_factors[3:5], atol=1e-5)
    assert model.fold_in(matrix[:0]).shape == (0, 8)
    with pytest.raises(ValueError, match="columns"):
        model.fold_in(matrix[:, :5])


def test_recommend_is_exact(matrix: sp.csr_matrix, model: nw.AlternatingLeastSquares) -> None:
    scores = model.user_factors @ model.item_factors.T
    ids, got = model.recommend(7, N=10)
    assert ids.shape == got.shape == (10,) and ids.dtype == np.int64 and got.dtype == np.float32
    liked = matrix[7].indices
    assert not set(ids) & set(liked)
    free = np.setdiff1d(np.arange(61), liked)
    wanted = free[np.argsort(-scores[7, free], kind="stable")][:10]
    assert ids.tolist() == wanted.tolist()
    np.testing.assert_allclose(got, scores[7, wanted], rtol=1e-4, atol=1e-5)
    many, _ = model.recommend([7, 8], N=10)
    assert many.shape == (2, 10) and many[0].tolist() == ids.tolist()
    assert model.recommend(np.arange(3), N=4)[0].shape == (3, 4)
    with_liked, _ = model.recommend(7, N=61, filter_already_liked_items=False)
    assert sorted(with_liked) == list(range(-1, 60)), "nothing is known of item 60"


def test_recommend_with_filters(matrix: sp.csr_matrix, model: nw.AlternatingLeastSquares) -> None:
    ids, _ = model.recommend(7, N=5)
    without, _ = model.recommend(7, N=5, filter_items=ids[:2])
    assert without[:3].tolist() == ids[2:].tolist()
    only, scores = model.recommend(7, N=3, items=ids[1:3], filter_items=[int(ids[1])])
    assert only.tolist() == [ids[2], -1, -1] and scores[1:].tolist() == [-np.inf, -np.inf]
    nothing = sp.csr_matrix((1, 61))
    all_free, _ = model.recommend(7, nothing, N=61)
    assert sorted(all_free) == list(range(-1, 60))
    none, scores = model.recommend(120, N=2)
    assert none.tolist() == [-1, -1] and np.isneginf(scores).all(), "no history, no items"


def test_recalculated_users(matrix: sp.csr_matrix, model: nw.AlternatingLeastSquares) -> None:
    stored = model.recommend([5, 6], N=4)
    fresh = model.recommend([5, 6], matrix[5:7], N=4, recalculate_user=True)
    assert (stored[0] == fresh[0]).all()
    swapped = model.recommend([5, 6], matrix[[6, 5]], N=4, recalculate_user=True)
    assert (swapped[0] == stored[0][::-1]).all()
    with pytest.raises(ValueError, match="needs user_items"):
        model.recommend(5, recalculate_user=True)
    with pytest.raises(ValueError, match="user_items has 3 rows, expected 2"):
        model.recommend([5, 6], matrix[:3])


def test_similar(model: nw.AlternatingLeastSquares) -> None:
    for factors, similar in (
        (model.item_factors, model.similar_items),
        (model.user_factors, model.similar_users),
    ):
        norms = np.linalg.norm(factors, axis=1)
        cosines = factors @ factors[4] / np.maximum(norms * norms[4], 1e-12)
        ids, scores = similar(4, N=5)
        order = [i for i in np.argsort(-cosines, kind="stable") if i != 4][:5]
        assert ids.tolist() == order
        np.testing.assert_allclose(scores, cosines[order], atol=1e-5)
        assert similar([4, 5], N=3)[0].shape == (2, 3)
    ids, scores = model.similar_items(60, N=2)
    assert ids.tolist() == [-1, -1] and np.isneginf(scores).all()


def test_numbers_that_name_nothing(model: nw.AlternatingLeastSquares) -> None:
    calls = [
        (lambda: model.recommend(121), "no user 121"),
        (lambda: model.recommend(-1), "-1"),
        (lambda: model.similar_items(61), "no item 61"),
        (lambda: model.similar_users([0, 500]), "no user 500"),
        (lambda: model.recommend(0, items=[99]), "no item 99"),
    ]
    for call, text in calls:
        with pytest.raises(KeyError, match=text):
            call()
    for call in (lambda: model.recommend(0, N=0), lambda: model.similar_items(0, N=0)):
        with pytest.raises(ValueError, match="N is 0"):
            call()
    with pytest.raises(ValueError, match="expected at most 65536: no more than 61 can be found"):
        model.recommend(0, N=2**45)


def test_callback_and_progress(matrix: sp.csr_matrix) -> None:
    losses: list[float] = []
    steps: list[tuple[int, int]] = []

    def stop_after_three(iteration: int, loss: float) -> bool:
        losses.append(loss)
        return iteration == 3

    model = nw.AlternatingLeastSquares(4, iterations=9)
    model.fit(matrix, callback=stop_after_three, progress=lambda d, t: steps.append((d, t)))
    assert model.loss_history == losses and len(losses) == 3
    assert steps == [(1, 9), (2, 9), (3, 9)]

    def fail(iteration: int, loss: float) -> None:
        raise LookupError(f"at {iteration}")

    before = model.item_factors
    with pytest.raises(LookupError, match="at 1"):
        model.fit(matrix, callback=fail)
    assert (model.item_factors == before).all(), "a training that fails changes nothing"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"factors": 0}, "factors is 0"),
        ({"factors": -2}, "factors is -2"),
        ({"regularization": -1.0}, "regularization is -1"),
        ({"alpha": 0.0}, "alpha is 0"),
        ({"iterations": 0}, "iterations is 0"),
        ({"confidence": "hkv"}, "confidence is"),
        ({"solver": "magic"}, "solver is"),
        ({"unobserved_weight": 0.5, "confidence": "spark"}, "unobserved_weight is 0.5"),
        ({"regularization_scaling": 2.0}, "regularization_scaling is 2"),
    ],
)
def test_parameters_that_are_refused(options: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        nw.AlternatingLeastSquares(**options)


def test_matrices_that_are_refused() -> None:
    model = nw.AlternatingLeastSquares(4)
    for empty in (sp.csr_matrix((3, 3)), sp.csr_matrix((0, 3)), sp.csr_matrix((3, 0))):
        with pytest.raises(ValueError, match="needs at least one of each"):
            model.fit(empty)
    with pytest.raises(ValueError, match="row 1, column 0 is NaN"):
        model.fit(sp.csr_matrix([[1.0, 0.0], [np.nan, 1.0]]))
    with pytest.raises(TypeError, match="expected a scipy sparse matrix"):
        model.fit(np.eye(3))
    with pytest.raises(RuntimeError, match="call fit first"):
        model.recommend(0)
    with pytest.raises(RuntimeError, match="call fit first"):
        _ = model.user_factors
