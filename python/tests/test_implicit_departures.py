"""Where ``nearwood.implicit`` departs from ``implicit`` on purpose: what each of the two does.

The table of docs/from-implicit.md, row by row.
"""

from __future__ import annotations

import warnings
from typing import Any

import implicit
import implicit.als
import implicit.evaluation
import numpy as np
import pytest
import scipy.sparse as sp
from implicit_cases import ITEMS, PACKAGES, USERS, alike, fitted, made, plays

import nearwood.implicit

LEAST = -np.finfo(np.float32).max
implicit_als = PACKAGES["implicit"]
nearwood_als = PACKAGES["nearwood"]


def test_liked_and_filtered_items_never_come_up() -> None:
    """implicit lists them last, with the least float32 for a score."""
    theirs, ours = alike()
    row = plays()[4]
    ids, scores = theirs.recommend(4, row, N=ITEMS)
    assert set(row.indices) <= set(ids) and (scores[-row.nnz :] == LEAST).all()
    ids, scores = ours.recommend(4, row, N=ITEMS)
    assert not set(row.indices) & set(ids)
    assert (ids[-row.nnz :] == -1).all() and (scores[-row.nnz :] == LEAST).all()
    chosen = row.indices[:3].tolist()
    assert set(theirs.recommend(4, row, items=chosen)[0]) == set(chosen)
    assert (ours.recommend(4, row, items=chosen)[0] == -1).all()


def test_more_than_there_are() -> None:
    """implicit fills up with item 0 at a score of 0, in recommend and in similar_items."""
    theirs, ours = alike()
    free = {"filter_already_liked_items": False}
    for call in (
        lambda m: m.recommend(4, None, N=ITEMS + 3, **free),
        lambda m: m.similar_items(4, N=ITEMS + 3),
    ):
        ids, scores = call(theirs)
        assert ids[-3:].tolist() == [0, 0, 0] and scores[-3:].tolist() == [0, 0, 0]
        ids, scores = call(ours)
        assert ids[-3:].tolist() == [-1, -1, -1] and (scores[-3:] == LEAST).all()
    assert theirs.similar_items(4, N=3, items=[5, 7])[0][2] in (5, 7), "one of them twice"
    assert ours.similar_items(4, N=3, items=[5, 7])[0][2] == -1


def test_nobody_knows_anything_about_them() -> None:
    """Without entries they have the zero vector: implicit answers with any rows, at 0."""
    matrix = plays()
    matrix.data[: matrix.indptr[1]] = 0
    matrix.eliminate_zeros()
    theirs, ours = (fitted(Model, matrix) for Model in PACKAGES.values())
    assert not theirs.user_factors[0].any() and not ours.user_factors[0].any()
    ids, scores = theirs.recommend(0, matrix[0], N=3)
    assert len(set(ids)) == 3 and (ids >= 0).all() and not scores.any()
    assert ours.recommend(0, matrix[0], N=3)[0].tolist() == [-1] * 3
    assert not theirs.similar_users(0, N=3)[1].any()
    assert ours.similar_users(0, N=3)[0].tolist() == [-1] * 3


def test_nothing_is_known_about_an_item_without_entries() -> None:
    """implicit lists it at a score of 0, before known items with a negative score."""
    matrix = plays().tolil()
    matrix[:, 7] = 0
    matrix = matrix.tocsr()
    theirs, ours = (fitted(Model, matrix) for Model in PACKAGES.values())
    free = {"filter_already_liked_items": False}
    assert 7 in theirs.recommend(4, None, N=ITEMS, **free)[0]
    ids, _ = ours.recommend(4, None, N=ITEMS, **free)
    assert 7 not in ids and ids[-1] == -1
    assert ours.recommend(4, None, items=[7], **free)[0].tolist() == [-1]
    assert not theirs.similar_items(7, N=3)[1].any()
    assert ours.similar_items(7, N=3)[0].tolist() == [-1] * 3
    assert 7 not in ours.similar_items(4, N=ITEMS)[0]


def test_measures_that_mean_nothing_say_so() -> None:
    """implicit measures 0 without a word, or what the training gave away."""
    train, test = implicit.evaluation.train_test_split(plays(), 0.6, 1)
    theirs, ours = (fitted(Model, plays()) for Model in PACKAGES.values())
    measures = (implicit.evaluation, nearwood.implicit.evaluation)
    quiet = {"show_progress": False}
    assert measures[0].ranking_metrics_at_k(theirs, train, test, **quiet)["map"] > 0.5
    with pytest.warns(UserWarning, match=f"was trained on {test.nnz} of {test.nnz} entries"):
        measures[1].ranking_metrics_at_k(ours, train, test)
    ours = fitted(nearwood_als, train)
    with pytest.warns(UserWarning, match="are in train_user_items, .*: every figure is 0"):
        assert measures[1].precision_at_k(ours, train, train) == 0
    nothing = sp.csr_matrix(train.shape, dtype=np.float32)
    with pytest.warns(UserWarning, match="test_user_items has no entries: every figure is 0"):
        assert measures[1].ndcg_at_k(ours, train, nothing) == 0
    assert measures[1].ndcg_at_k(ours, train, test) > 0


def test_numbers_below_zero() -> None:
    """implicit counts some from the end, as numpy does."""
    theirs, ours = alike()
    row = plays()[USERS - 1]
    assert theirs.recommend(-1, row)[0].shape == (10,)
    with pytest.raises(IndexError, match="-1"):
        ours.recommend(-1, row)


def test_what_n_may_be() -> None:
    theirs, ours = alike()
    with pytest.raises(IndexError):
        theirs.recommend(0, plays()[0], N=0)
    with pytest.raises(ValueError, match="N is 0"):
        ours.recommend(0, plays()[0], N=0)


def test_any_sparse_matrix_is_taken() -> None:
    theirs, ours = alike()
    matrix = plays()
    for other in (matrix[0].tocoo(), sp.csr_array(matrix[[0]]), matrix[0].tocsc()):
        with pytest.raises(ValueError, match="CSR"):
            theirs.recommend(0, other)
        assert (ours.recommend(0, other)[0] == ours.recommend(0, matrix[0])[0]).all()
    with pytest.warns(Warning, match="expects CSR input"):
        fitted(implicit_als, matrix.tocoo(), iterations=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = fitted(nearwood_als, matrix.tocoo(), iterations=1)
    assert (again.item_factors == fitted(nearwood_als, iterations=1).item_factors).all()


def test_no_advice_on_blas_threads() -> None:
    """implicit warns where OpenBLAS starts threads; nearwood has no BLAS."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nearwood.implicit.als.AlternatingLeastSquares()


def test_data_that_cannot_be_trained_on() -> None:
    matrix = plays()
    matrix.data[3] = np.nan
    with pytest.raises(Exception, match="NaN encountered in factors"):
        fitted(implicit_als, matrix)
    with pytest.raises(ValueError, match=r"the weight of row 0, column \d+ is NaN"):
        fitted(nearwood_als, matrix)
    nothing = sp.csr_matrix((3, 4), dtype=np.float32)
    assert fitted(implicit_als, nothing).user_factors.shape == (3, 6)
    with pytest.raises(ValueError, match="needs at least one of each"):
        fitted(nearwood_als, nothing)
    with pytest.raises(AttributeError):
        fitted(implicit_als, np.eye(4))
    with pytest.raises(TypeError, match="expected a scipy sparse matrix"):
        fitted(nearwood_als, np.eye(4))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"factors": 0}, "factors is 0"),
        ({"iterations": 0}, "iterations is 0"),
        ({"regularization": -0.001}, "regularization is -0.001"),
        ({"alpha": 0.0}, "alpha is 0"),
    ],
)
def test_parameters_without_sense(options: dict[str, Any], text: str) -> None:
    """implicit trains, or ends in an error of LAPACK."""
    with pytest.raises(ValueError, match=text):
        fitted(nearwood_als, **options)


def test_an_interrupted_or_refused_training_changes_nothing() -> None:
    for Model, kept in ((implicit_als, False), (nearwood_als, True)):
        model = fitted(Model, iterations=1)
        before = model.item_factors.copy()

        def stop(*_: object) -> None:
            raise LookupError

        with pytest.raises(LookupError):
            model.fit(plays(seed=1), show_progress=False, callback=stop)
        assert (model.item_factors == before).all() == kept


def test_no_gpu() -> None:
    with pytest.raises(ValueError, match="on the CPU"):
        nearwood.implicit.als.AlternatingLeastSquares(use_gpu=True)


def test_factors_are_replaced_as_a_whole() -> None:
    """implicit's arrays may be written to; ours would not notice, so they are read-only."""
    theirs, ours = alike()
    theirs.item_factors = theirs.item_factors.copy()
    theirs.item_factors[3] = 0
    with pytest.raises(ValueError, match="read-only"):
        ours.item_factors[3] = 0
    changed = ours.item_factors.copy()
    changed[3] = 0
    ours.item_factors = changed
    assert 3 not in ours.similar_items(4, N=ITEMS)[0]


def test_factors_that_are_set_must_fit() -> None:
    for shape in ((USERS - 1, 6), (USERS, 5)):
        ours = made(nearwood_als)
        ours.user_factors = np.ones(shape)
        with pytest.raises(ValueError, match="user_factors have shape"):
            ours.fit(plays(), show_progress=False)


def test_double_precision_is_one_of_the_arrays() -> None:
    """implicit computes in float64 then; we compute in float32 and convert."""
    ours = fitted(nearwood_als, dtype=np.float64)
    assert (ours.item_factors == ours.item_factors.astype(np.float32)).all()
    with pytest.raises(ValueError, match="dtype is float16"):
        made(nearwood_als, dtype=np.float16)


def test_the_class_is_a_class() -> None:
    """``implicit.als.AlternatingLeastSquares`` is a function without ``load``."""
    assert not hasattr(implicit.als.AlternatingLeastSquares, "load")
    assert isinstance(nearwood.implicit.als.AlternatingLeastSquares, type)


def test_the_weights_of_an_explanation() -> None:
    theirs, ours = alike()
    assert isinstance(theirs.explain(0, plays(), 1)[2], tuple)
    assert ours.explain(0, plays(), 1)[2] is None


def test_a_random_state_object() -> None:
    """implicit calls a method that numpy does not have."""
    with pytest.raises(AttributeError):
        fitted(implicit_als, random_state=np.random.RandomState(1))
    assert fitted(nearwood_als, random_state=np.random.RandomState(1)).user_factors is not None


def test_the_users_are_those_of_the_items() -> None:
    """A training of ours ends with the users, so that solving one anew changes nothing."""
    matrix = plays()
    theirs, ours = (fitted(Model, iterations=1) for Model in PACKAGES.values())
    gaps = [
        np.abs(m.recalculate_user(np.arange(USERS), matrix) - m.user_factors).max()
        for m in (theirs, ours)
    ]
    assert gaps[0] > 0.01 and gaps[1] < 1e-4


def test_a_split_that_leaves_k_out_is_repeatable() -> None:
    """implicit draws from numpy's global state, whatever the seed."""
    for package, repeats in ((implicit, False), (nearwood.implicit, True)):
        splits = [package.evaluation.leave_k_out_split(plays(), 2, 0.0, 7)[1] for _ in range(2)]
        assert ((splits[0] != splits[1]).nnz == 0) is repeats


def test_a_split_with_users_who_only_train() -> None:
    """implicit loses entries of the others and holds some out twice."""
    matrix = plays()
    for package, whole in ((implicit, False), (nearwood.implicit, True)):
        train, test = package.evaluation.leave_k_out_split(matrix, 2, 0.5, 3)
        assert set(np.diff(test.indptr)) == {0, 2} and (np.diff(test.indptr) > 0).sum() == 30
        assert (((train + test) != matrix).nnz == 0) is whole
