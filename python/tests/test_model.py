"""`nearwood.AlternatingLeastSquares` after its training, for every solver."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import plays

import nearwood as nw


@pytest.fixture(scope="module")
def matrix() -> sp.csr_matrix:
    user, item, weight = plays()
    return sp.csr_matrix((weight, (user, item)), shape=(121, 61))


def made(solver: str = "auto", **options: Any) -> nw.AlternatingLeastSquares:
    return nw.AlternatingLeastSquares(8, **{"iterations": 6, "solver": solver, **options})


@pytest.fixture(params=nw.SOLVERS, scope="module")
def model(request: pytest.FixtureRequest, matrix: sp.csr_matrix) -> nw.AlternatingLeastSquares:
    return made(request.param).fit(matrix, progress=False)


def near(got: Any, expected: Any, tolerance: float = 1e-4) -> None:
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def test_solvers_are_named() -> None:
    assert nw.SOLVERS[:2] == ("auto", "cholesky")
    for solver in nw.SOLVERS:
        assert made(solver).params["solver"] == solver


def test_everybody_at_once_is_each_alone(model: nw.AlternatingLeastSquares) -> None:
    ids, scores = model.recommend_all(N=7)
    assert ids.shape == scores.shape == (121, 7) and ids.dtype == np.int64
    some = model.recommend(np.arange(121), N=7)
    assert (ids == some[0]).all() and (scores == some[1]).all()
    for user in (0, 50, 120):
        assert (model.recommend(user, N=7)[0] == ids[user]).all()
    assert (ids[120] == -1).all(), "no history, no items"
    only = model.recommend_all(N=3, items=[4, 50], filter_items=[4])[0]
    assert set(np.unique(only)) <= {-1, 50}
    free = model.recommend_all(N=61, filter_already_liked_items=False)[0]
    assert sorted(free[0]) == list(range(-1, 60)), "nothing is known of item 60"


def test_many_users_are_answered_in_blocks() -> None:
    user = np.arange(9000)
    wide = sp.csr_matrix((np.ones(9000), (user, user % 30)), shape=(9000, 31))
    model = nw.AlternatingLeastSquares(4, iterations=1).fit(wide, progress=False)
    ids, _ = model.recommend_all(N=2)
    picked = np.array([0, 4095, 4096, 8999])
    assert (ids[picked] == model.recommend(picked, N=2)[0]).all()


def test_similar_with_filters(model: nw.AlternatingLeastSquares, matrix: sp.csr_matrix) -> None:
    ids, _ = model.similar_items(4, N=6)
    with_self, own = model.similar_items(4, N=7, include_self=True)
    assert with_self[0] == 4 and own[0] == pytest.approx(1) and (with_self[1:] == ids).all()
    assert (model.similar_items(4, N=4, filter_items=ids[:2])[0] == ids[2:]).all()
    assert model.similar_items(4, N=3, items=ids[[5, 1]])[0].tolist() == [ids[1], ids[5], -1]
    fresh = model.similar_items([4, 5], N=3, item_users=matrix.T.tocsr()[[4, 5]])
    assert fresh[0].shape == (2, 3) and 4 not in fresh[0][0]
    ids, _ = model.similar_users(4, N=6)
    assert (model.similar_users(4, N=4, filter_users=ids[:2])[0] == ids[2:]).all()
    assert model.similar_users(4, N=2, users=ids[3:5])[0].tolist() == ids[3:5].tolist()
    assert model.similar_users(4, N=1, include_self=True)[0].tolist() == [4]
    with pytest.raises(KeyError, match="no user 900"):
        model.similar_users(4, users=[900])
    with pytest.raises(ValueError, match="item_users has 1 rows, expected 2"):
        model.similar_items([4, 5], item_users=matrix.T.tocsr()[[4]])


def test_explain(model: nw.AlternatingLeastSquares, matrix: sp.csr_matrix) -> None:
    for user, item in ((3, 40), (8, 2)):
        score, parts = model.explain(user, item, N=100)
        vector = model.fold_in(matrix[user])[0]
        assert score == pytest.approx(float(vector @ model.item_factors[item]), rel=0.02, abs=0.01)
        assert sum(part for _, part in parts) == pytest.approx(score)
        assert sorted(i for i, _ in parts) == matrix[user].indices.tolist()
        assert [c for _, c in parts] == sorted((c for _, c in parts), reverse=True)
        assert model.explain(user, item, matrix[user], N=2) == (score, parts[:2])
    assert model.explain(120, 3) == (0.0, [])
    for call in (lambda: model.explain(121, 0), lambda: model.explain(0, 61)):
        with pytest.raises(KeyError):
            call()
    with pytest.raises(KeyError, match="-1"):
        model.explain(-1, 0)
    with pytest.raises(ValueError, match="user_items has 2 rows, expected 1"):
        model.explain(0, 0, matrix[:2])


def test_users_and_items_come(model: nw.AlternatingLeastSquares, matrix: sp.csr_matrix) -> None:
    grown = copy.copy(model)
    grown.partial_fit_users([123, 2], matrix[[7, 8]])
    assert grown.user_factors.shape == (124, 8) and model.user_factors.shape == (121, 8)
    near(grown.user_factors[[123, 2]], model.fold_in(matrix[[7, 8]]))
    assert not grown.user_factors[121:123].any()
    ids, _ = grown.recommend(123, N=61)
    assert not set(matrix[7].indices) & set(ids), "their rows are known too"
    assert grown.explain(2, 5)[1] == grown.explain(2, 5, matrix[8])[1]
    columns = sp.csr_matrix(([2.0, 3.0], ([0, 0], [7, 123])), shape=(1, 124))
    grown.partial_fit_items([61], columns)
    near(grown.item_factors[61:], grown.fold_in_items(columns))
    assert 61 not in grown.recommend(123, N=62)[0] and 61 in grown.recommend(9, N=62)[0]
    for call in (
        lambda: grown.partial_fit_users([1, 2], matrix[[7]]),
        lambda: grown.partial_fit_users([1], matrix[[7]]),
        lambda: grown.partial_fit_items([1], columns[:, :9]),
        lambda: grown.partial_fit_users([-1], sp.csr_matrix((1, 62))),
    ):
        with pytest.raises(ValueError):
            call()
    assert grown.user_factors.shape == (124, 8)


def test_users_and_items_go(model: nw.AlternatingLeastSquares, matrix: sp.csr_matrix) -> None:
    less = copy.deepcopy(model)
    less.remove_users(np.array([0, 50]))
    assert (less.user_factors == np.delete(model.user_factors, [0, 50], axis=0)).all()
    assert (less.recommend(0)[0] == model.recommend(1)[0]).all()
    less.remove_items([0])
    assert (less.item_factors == model.item_factors[1:]).all()
    liked = matrix[1].indices
    assert not set(liked - 1) & set(less.recommend(0, N=60)[0])
    less.remove_users([])
    for call in (
        lambda: less.remove_users([119]),
        lambda: less.remove_items(np.arange(60)),
    ):
        with pytest.raises(ValueError):
            call()
    assert (less.user_factors.shape[0], less.item_factors.shape[0]) == (119, 60)


def test_a_night(model: nw.AlternatingLeastSquares, matrix: sp.csr_matrix) -> None:
    """New users and items arrive, and the training goes on from yesterday's."""
    today = sp.csr_matrix(matrix)
    today.resize((125, 64))
    today = today.tolil()
    today[121:125, 5] = 3
    today[:9, 62] = 2
    today = today.tocsr()
    solver, few = model.params["solver"], {"iterations": 2}
    warm = made(solver, **few).set_factors(model.user_factors, model.item_factors)
    warm.fit(today, progress=False, warm_start=True)
    cold = made(solver, **few).fit(today, progress=False)
    assert warm.loss_history[0] < cold.loss_history[0]
    assert warm.user_factors.shape == (125, 8) and warm.item_factors.shape == (64, 8)
    assert warm.user_factors[121:].any(axis=1).all() and warm.item_factors[62].any()
    again = copy.copy(model).fit(matrix, progress=False, warm_start=True)
    # Solvers that take steps find yesterday's users again only nearly.
    assert again.loss_history[0] <= model.loss_history[-1] + 0.01 * abs(model.loss_history[-1])
    with pytest.raises(ValueError, match="remove_items"):
        warm.fit(matrix, warm_start=True)
    with pytest.raises(RuntimeError, match="call fit first"):
        made().fit(matrix, warm_start=True)


def test_early_stopping(matrix: sp.csr_matrix) -> None:
    losses: list[float] = []
    model = made(iterations=40)
    model.fit(
        matrix,
        progress=False,
        validation=0.25,
        patience=2,
        metric="recall@10",
        callback=lambda i, loss: losses.append(loss),
    )
    measured = model.validation_history
    best = int(np.argmax(measured)) + 1
    assert len(measured) == len(losses) < 40 and len(measured) == best + 2
    assert model.loss_history == losses[:best], "those of the epoch that was kept"
    short = made(iterations=best).fit(matrix, progress=False, validation=0.25, patience=0)
    assert len(short.validation_history) == best
    assert not set(matrix[5].indices) & set(model.recommend(5, N=61)[0]), "held-out ones are liked"
    again = made(iterations=40).fit(
        matrix, progress=False, validation=0.25, patience=2, metric="recall@10"
    )
    assert (again.item_factors == model.item_factors).all()


def test_validation_by_a_matrix(matrix: sp.csr_matrix) -> None:
    held = sp.random(121, 61, 0.05, format="csr", random_state=1)
    held.data[:] = 1
    model = made(iterations=3).fit(matrix, progress=False, validation=held, metric="recall@5")
    last = made(iterations=len(model.loss_history)).fit(matrix, progress=False)
    near(model.item_factors, last.item_factors, 0)
    ids, _ = last.recommend_all(N=5)
    shares = [
        len(set(ids[user]) & set(row.indices)) / min(5, row.nnz)
        for user, row in enumerate(held)
        if row.nnz
    ]
    assert max(model.validation_history) == pytest.approx(np.mean(shares), abs=1e-6)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"validation": 1.5}, "validation is 1.5"),
        ({"validation": sp.csr_matrix((121, 61))}, "validation is without entries"),
        ({"validation": sp.eye(5, format="csr")}, "shape of the validation"),
        ({"metric": "auc"}, "metric is"),
        ({"patience": -1}, "patience is -1"),
    ],
)
def test_validations_that_are_refused(
    matrix: sp.csr_matrix, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        made().fit(matrix, **options)


def equal(a: nw.AlternatingLeastSquares, b: nw.AlternatingLeastSquares) -> None:
    assert (a.user_factors == b.user_factors).all() and (a.item_factors == b.item_factors).all()
    assert a.loss_history == b.loss_history
    for one, other in zip(a.recommend_all(N=4), b.recommend_all(N=4), strict=True):
        assert (one == other).all()


def test_copies(model: nw.AlternatingLeastSquares) -> None:
    for again in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
        equal(model, again)
        assert again.params == model.params
    threads = made(n_threads=2, random_state=5)
    assert pickle.loads(pickle.dumps(threads)).params == threads.params
    with pytest.raises(RuntimeError, match="call fit first"):
        copy.copy(threads).recommend(0)


def test_files(model: nw.AlternatingLeastSquares, matrix: sp.csr_matrix, tmp_path: Path) -> None:
    path = tmp_path / "model.nw"
    model.save(path)
    equal(model, nw.AlternatingLeastSquares.load(path))
    again = nw.AlternatingLeastSquares.load(str(path), n_threads=1)
    assert again.params == {**model.params, "n_threads": 1}
    whole = path.stat().st_size
    model.save(path, storage="float16")
    half = nw.AlternatingLeastSquares.load(path)
    assert path.stat().st_size < whole
    near(half.item_factors, model.item_factors, 2e-3)
    model.save(path, interactions=False)
    bare = nw.AlternatingLeastSquares.load(path)
    assert (bare.recommend(3, matrix[3])[0] == model.recommend(3)[0]).all()
    with pytest.raises(ValueError, match="float16"):
        model.save(path, storage="int8")
    bare = path.read_bytes()
    for damaged in (bare[:-64], bare[:300] + b"\x77" + bare[301:], b"", b"x" * 200):
        path.write_bytes(damaged)
        with pytest.raises(nw.FormatError):
            nw.AlternatingLeastSquares.load(path)
    with pytest.raises(FileNotFoundError):
        nw.AlternatingLeastSquares.load(tmp_path / "none")
    nw.Index.build(np.eye(4)).save(path)
    with pytest.raises(nw.FormatError, match="a whole index, expected model"):
        nw.AlternatingLeastSquares.load(path)


def test_factors_from_elsewhere(matrix: sp.csr_matrix) -> None:
    trained = made().fit(matrix, progress=False)
    again = made().set_factors(trained.user_factors, trained.item_factors, matrix)
    assert (again.recommend_all()[0] == trained.recommend_all()[0]).all()
    bare = made().set_factors(trained.user_factors.astype(float), trained.item_factors)
    assert bare.loss_history == []
    assert sorted(bare.recommend(0, N=61)[0]) == list(range(-1, 60)), "item 60 has no vector"
    for users, items, text in (
        (np.ones((3, 7)), np.ones((3, 8)), "user_factors have 7 columns, expected 8"),
        (np.ones((0, 8)), np.ones((3, 8)), "factors of the users is 0"),
        (np.full((3, 8), np.nan), np.ones((3, 8)), "row 0, column 0 is NaN"),
        (np.ones(8), np.ones((3, 8)), "1 dimensions"),
    ):
        with pytest.raises(ValueError, match=text):
            made().set_factors(users, items)
    with pytest.raises(ValueError, match="user_items has 121 rows, expected 3"):
        made().set_factors(np.ones((3, 8)), np.ones((61, 8)), matrix)


def test_a_night_in_another_order() -> None:
    """Yesterday's vectors are found by id, and not by place."""
    user, item, weight = plays()
    names = np.array([f"i{i}" for i in item])
    yesterday = nw.Interactions.from_columns(user, names, weight)
    model = made(iterations=8).fit(yesterday, progress=False)
    last = model.loss_history[-1]
    order = np.random.default_rng(5).permutation(len(user))
    today = nw.Interactions.from_columns(user[order], names[order], weight[order])
    assert today.item_ids.tolist() != yesterday.item_ids.tolist()
    warm = copy.copy(model).fit(today, progress=False, warm_start=True)
    assert warm.loss_history[0] <= last + 1e-3 * abs(last)
    assert warm.loss_history[0] < made().fit(today, progress=False).loss_history[0]
    # New items start from nothing, gone ones are dropped with a word.
    kept = names != "i3"
    more = nw.Interactions.from_columns([*user[kept], 5], [*names[kept], "new"])
    with pytest.warns(UserWarning, match="1 of the model's 60 items are not in user_items"):
        warm = copy.copy(model).fit(more, progress=False, warm_start=True)
    assert warm.item_factors.shape == (60, 8) and warm.item_factors[-1].any()
    nothing = nw.Interactions.from_columns([1], ["z"])
    with pytest.raises(ValueError, match="none of the 1 items is the model's"):
        copy.copy(model).fit(nothing, progress=False, warm_start=True)
    for fitted, data in [(model, yesterday.to_scipy()), (made().fit(yesterday.to_scipy()), today)]:
        with pytest.raises(ValueError, match="expected ids on both sides, or a matrix"):
            copy.copy(fitted).fit(data, progress=False, warm_start=True)
    # Who was taken out is gone by id as well.
    less = copy.copy(model)
    less.remove_items([0, 1])
    ids = np.delete(yesterday.item_ids, [0, 1])
    again = nw.Interactions.from_columns(user[np.isin(names, ids)], names[np.isin(names, ids)])
    less.fit(again, progress=False, warm_start=True)


def test_rows_of_interactions_are_found_by_id() -> None:
    user, item, weight = plays()
    names = np.array([f"i{i}" for i in item])
    model = made().fit(nw.Interactions.from_columns(user, names, weight), progress=False)
    mine = user == 7
    row = nw.Interactions.from_columns(user[mine][::-1], names[mine][::-1], weight[mine][::-1])
    near(model.fold_in(row)[0], model.user_factors[7])
    ids, _ = model.recommend(7, N=5)
    assert (model.recommend(7, row, N=5)[0] == ids).all()
    score, why = model.explain(7, int(ids[0]), row)
    expected, reasons = model.explain(7, int(ids[0]))
    assert score == pytest.approx(expected) and [i for i, _ in why] == [i for i, _ in reasons]
    same = copy.copy(model)
    same.partial_fit_users([7], row)
    near(same.user_factors, model.user_factors)
    dislike = nw.Interactions.from_columns(["ann"], ["i5"], [-9.0])
    for call in (model.fold_in, lambda rows: same.partial_fit_users([7], rows)):
        with pytest.raises(ValueError, match='the weight of user "ann", item "i5" is -9, exp'):
            call(dislike)
    with pytest.raises(ValueError, match="an item of the rows is z, expected one that the model"):
        model.fold_in(nw.Interactions.from_columns([1], ["z"]))


def test_an_item_without_entries_is_no_answer(model: nw.AlternatingLeastSquares) -> None:
    ids, _ = model.similar_items(60, N=3)
    assert (ids == -1).all()
    assert 60 not in model.similar_items(np.arange(60), N=61)[0]
    assert 60 not in model.recommend_all(N=61)[0]
    assert (model.recommend(0, N=2, items=[60])[0] == -1).all()
    assert model.explain(0, 60) == (0.0, [])
