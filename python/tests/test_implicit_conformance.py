"""implicit's behaviour, held twice: by the package ``implicit`` itself and by
``nearwood.implicit``.

Tests that take ``Model`` run once against each; the others hold the answers of both side by side.
Where nearwood departs on purpose, ``test_implicit_departures.py`` states what each of them does.
"""

from __future__ import annotations

import inspect
import io
import pickle
import re
from pathlib import Path
from typing import Any

import implicit
import implicit.als
import implicit.evaluation
import numpy as np
import pytest
import scipy.sparse as sp
from implicit_cases import ITEMS, PACKAGES, USERS, alike, fitted, made, plays

import nearwood as nw
import nearwood.implicit


@pytest.fixture(params=PACKAGES)
def Model(request: pytest.FixtureRequest) -> Any:
    return PACKAGES[request.param]


def near(got: Any, expected: Any, tolerance: float = 2e-4) -> None:
    size = float(np.abs(expected).max())
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * size)


def same(theirs: tuple[Any, Any], ours: tuple[Any, Any]) -> None:
    """The same ids, scores, shapes and dtypes; neighbours of nearly one score may change places."""
    for their, our in zip(theirs, ours, strict=True):
        assert (our.shape, our.dtype) == (their.shape, their.dtype)
    near(ours[1], theirs[1], 1e-4)
    swapped = ours[0] != theirs[0]
    assert swapped.mean() < 0.1, (theirs, ours)


# --- signatures and attributes


def parameters(call: Any) -> list[tuple[str, Any]]:
    return [(p.name, p.default) for p in inspect.signature(call).parameters.values()]


def test_the_constructor_has_implicits_arguments_and_defaults() -> None:
    theirs = dict(parameters(implicit.als.AlternatingLeastSquares))
    ours = parameters(nearwood.implicit.als.AlternatingLeastSquares)
    assert [name for name, _ in ours] == list(theirs), "the order too"
    assert dict(ours) == {**theirs, "use_gpu": False}


@pytest.mark.parametrize(
    "name",
    [
        *("fit", "recommend", "recommend_all", "rank_items", "similar_items", "similar_users"),
        *("explain", "recalculate_user", "recalculate_item"),
        *("partial_fit_users", "partial_fit_items", "save", "load"),
    ],
)
def test_every_method_has_implicits_arguments_and_defaults(name: str) -> None:
    theirs, ours = (parameters(getattr(Model, name)) for Model in PACKAGES.values())
    assert ours == theirs


def test_paths_of_import() -> None:
    from nearwood.implicit import AlternatingLeastSquares
    from nearwood.implicit.als import AlternatingLeastSquares as again

    assert AlternatingLeastSquares is again is nearwood.implicit.als.AlternatingLeastSquares


def test_attributes(Model: Any) -> None:
    model = made(Model, iterations=4, alpha=2.0, num_threads=0)
    assert model.user_factors is None and model.item_factors is None
    values = (model.factors, model.iterations, model.alpha, model.dtype, model.cg_steps)
    assert values == (6, 4, 2.0, np.float32, 3)
    assert (model.regularization, model.num_threads, model.use_cg) == (0.01, 0, False)
    assert model.fit(plays(), show_progress=False) is None
    assert model.user_factors.shape == (USERS, 6) and model.item_factors.shape == (ITEMS, 6)
    assert model.user_factors.dtype == model.item_factors.dtype == np.float32
    model.iterations = 1
    model.fit(plays(), show_progress=False)


# --- training


@pytest.mark.parametrize("alpha", [1.0, 10.0])
@pytest.mark.parametrize("regularization", [0.01, 1.0])
def test_an_epoch_from_the_same_start_gives_the_same_factors(
    alpha: float, regularization: float
) -> None:
    """implicit solves the users first, ours the items last but one: after an epoch the items are
    the same, and our users are those that implicit solves next."""
    rng = np.random.default_rng(1)
    start = rng.random((USERS, 6), dtype=np.float32), rng.random((ITEMS, 6), dtype=np.float32)
    models = []
    for Model in PACKAGES.values():
        model = made(Model, iterations=1, alpha=alpha, regularization=regularization)
        model.user_factors, model.item_factors = start[0].copy(), start[1].copy()
        model.fit(plays(), show_progress=False)
        models.append(model)
    theirs, ours = models
    near(ours.item_factors, theirs.item_factors)
    near(ours.user_factors, theirs.recalculate_user(np.arange(USERS), plays()))


def test_negative_weights_are_dislikes_in_both() -> None:
    matrix = plays()
    matrix.data[::7] *= -1
    theirs, ours = (fitted(Model, matrix, iterations=2) for Model in PACKAGES.values())
    near(ours.item_factors, theirs.item_factors, 1e-3)


@pytest.mark.parametrize("solver", nw.SOLVERS)
def test_every_solver_has_the_same_fixed_point(solver: str) -> None:
    """A training of implicit's that has come to rest is at rest in ours."""
    theirs = fitted(PACKAGES["implicit"], iterations=1000, regularization=2.0)
    ours = nw.AlternatingLeastSquares(
        6, iterations=30, regularization=2.0, confidence="implicit", solver=solver
    )
    ours.set_factors(np.zeros((USERS, 6)), theirs.item_factors)
    ours.fit(plays(), progress=False, warm_start=True)
    near(ours.item_factors, theirs.item_factors, 5e-3)
    near(ours.user_factors, theirs.user_factors, 5e-3)


def test_the_same_random_state_gives_the_same_model() -> None:
    for state in (7, 0):
        theirs, ours = (
            fitted(Model, random_state=state, iterations=3) for Model in PACKAGES.values()
        )
        near(ours.item_factors, theirs.item_factors, 1e-3)
    states = [np.random.default_rng(5), np.random.default_rng(5)]
    theirs, ours = (
        fitted(Model, random_state=state, iterations=1)
        for Model, state in zip(PACKAGES.values(), states, strict=True)
    )
    near(ours.item_factors, theirs.item_factors, 1e-3)


def test_a_second_fit_goes_on_from_the_first(Model: Any) -> None:
    twice, once = fitted(Model, iterations=2), fitted(Model, iterations=4)
    twice.fit(plays(), show_progress=False)
    near(twice.item_factors, once.item_factors, 2e-3)


def test_the_loss_is_implicits() -> None:
    losses: list[float] = []
    ours = made(PACKAGES["nearwood"], iterations=3, alpha=2.0, calculate_training_loss=True)
    ours.fit(plays(), show_progress=False, callback=lambda i, s, loss: losses.append(loss))
    calculate = implicit.cpu.als.calculate_loss
    confidence = (2.0 * plays()).astype(np.float32)
    users, items = (np.array(f) for f in (ours.user_factors, ours.item_factors))
    assert losses[-1] == pytest.approx(calculate(confidence, users, items, 0.01), rel=1e-4)


@pytest.mark.parametrize("told", [False, True])
def test_callbacks_get_iteration_seconds_and_loss(Model: Any, told: bool) -> None:
    calls: list[tuple[Any, ...]] = []
    model = made(Model, iterations=3, calculate_training_loss=told)
    model.fit(plays(), show_progress=False, callback=lambda *args: calls.append(args) or True)
    assert [call[0] for call in calls] == [0, 1, 2], "what it returns does not matter"
    assert all(isinstance(call[1], float) and call[1] >= 0 for call in calls)
    assert all((call[2] is not None) == told for call in calls)
    calls.clear()
    model.fit_callback = lambda *args: calls.append(args)
    model.fit(plays(), show_progress=False)
    assert len(calls) == 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64, "float64"])
def test_factors_have_the_dtype_asked_for(Model: Any, dtype: Any) -> None:
    model = fitted(Model, dtype=dtype, iterations=1)
    assert model.dtype == model.user_factors.dtype == model.item_factors.dtype == np.dtype(dtype)
    assert model.recalculate_user(0, plays()[0]).dtype == np.dtype(dtype)


# --- asking


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"N": 5, "filter_already_liked_items": False},
        {"N": 7, "filter_items": [1, 2, 30]},
        {"N": 7, "filter_items": np.array([1, 2, 30])},
        {"N": 4, "recalculate_user": True},
        {"N": 20, "items": [30, 2, 7, 11], "filter_already_liked_items": False},
        {"N": 2, "items": np.array([30, 2, 7, 11]), "filter_already_liked_items": False},
    ],
)
def test_recommend(options: dict[str, Any]) -> None:
    theirs, ours = alike()
    matrix = plays()
    if "filter_items" in options and isinstance(options["filter_items"], np.ndarray):
        same(
            theirs.recommend([4, 9], matrix[[4, 9]], **options),
            ours.recommend([4, 9], matrix[[4, 9]], **options),
        )
    for user in (4, np.int64(4), [4], [4, 9, 4], np.arange(USERS)):
        rows = matrix[user] if not np.isscalar(user) else matrix[int(user)]
        same(theirs.recommend(user, rows, **options), ours.recommend(user, rows, **options))


def test_recommend_without_rows() -> None:
    theirs, ours = alike()
    options = {"filter_already_liked_items": False}
    same(theirs.recommend(3, None, **options), ours.recommend(3, None, **options))
    empty = ours.recommend([], plays()[:0], N=4)
    same_shape = theirs.recommend([], plays()[:0], N=4)
    assert [a.shape for a in empty] == [a.shape for a in same_shape] == [(0, 4), (0, 4)]


@pytest.mark.parametrize(
    "options",
    [{}, {"N": 3}, {"N": 3, "filter_items": [0, 5, 9]}, {"N": 3, "items": [5, 1, 2, 30]}],
)
def test_similar_items(options: dict[str, Any]) -> None:
    theirs, ours = alike()
    for item in (3, [3], [3, 35, 3]):
        same(theirs.similar_items(item, **options), ours.similar_items(item, **options))
    columns = plays().T.tocsr()
    options = {**options, "recalculate_item": True}
    for item in (3, [3, 35]):
        given = columns[item]
        same(
            theirs.similar_items(item, item_users=given, **options),
            ours.similar_items(item, item_users=given, **options),
        )


@pytest.mark.parametrize(
    "options",
    [{}, {"N": 3}, {"N": 3, "filter_users": [0, 5, 9]}, {"N": 3, "users": [5, 1, 2, 30]}],
)
def test_similar_users(options: dict[str, Any]) -> None:
    theirs, ours = alike()
    for user in (3, [3], [3, 35, 3]):
        same(theirs.similar_users(user, **options), ours.similar_users(user, **options))


@pytest.mark.parametrize("alpha", [1.0, 4.0])
def test_explain(alpha: float) -> None:
    theirs, ours = alike(alpha=alpha)
    matrix = plays()
    matrix.data[5::9] *= -1
    for user, item in ((0, 7), (13, 39)):
        score, contributions, _ = theirs.explain(user, matrix, item, N=4)
        got, listed, weights = ours.explain(user, matrix, item, N=4)
        assert got == pytest.approx(score, rel=1e-3, abs=1e-4)
        assert [i for i, _ in listed] == [i for i, _ in contributions]
        near([c for _, c in listed], [c for _, c in contributions], 1e-3)
        assert ours.explain(user, matrix, item, weights, 4)[:2] == (got, listed)


def test_recalculated_rows() -> None:
    theirs, ours = alike(alpha=3.0)
    matrix, columns = plays(), plays().T.tocsr()
    for ids in (4, [4, 7]):
        for call, rows in (("recalculate_user", matrix), ("recalculate_item", columns)):
            expected = getattr(theirs, call)(ids, rows[ids])
            got = getattr(ours, call)(ids, rows[ids])
            assert got.shape == expected.shape and got.dtype == expected.dtype
            near(got, expected)


def test_partial_fits() -> None:
    theirs, ours = alike()
    matrix, columns = plays(), plays().T.tocsr()
    for model in (theirs, ours):
        assert model.partial_fit_users([3, USERS + 2], matrix[[5, 6]]) is None
    near(ours.user_factors, theirs.user_factors)
    assert ours.user_factors.shape == (USERS + 3, 6)
    theirs, ours = alike()
    for model in (theirs, ours):
        assert model.partial_fit_items(np.array([3, ITEMS + 1]), columns[[5, 6]]) is None
    near(ours.item_factors, theirs.item_factors)
    wide = sp.csr_matrix((1, ITEMS + 2), dtype=np.float32)
    ids, _ = ours.recommend(0, wide, N=5)
    assert ids.shape == (5,)


# --- what is refused


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda m: m.recommend(0, None), ValueError),
        (lambda m: m.recommend(0, np.ones((1, ITEMS))), ValueError),
        (lambda m: m.recommend(0, plays()[:2]), ValueError),
        (lambda m: m.recommend([0, 1], plays()[:1]), ValueError),
        (lambda m: m.recommend(0, None, recalculate_user=True), ValueError),
        (lambda m: m.recommend(0, plays()[0], items=[1], filter_items=[2]), ValueError),
        (lambda m: m.recommend(USERS, plays()[0]), IndexError),
        (lambda m: m.recommend([0, USERS], plays()[:2]), IndexError),
        (lambda m: m.recommend(0, plays()[0], items=[ITEMS]), IndexError),
        (lambda m: m.similar_items(ITEMS), IndexError),
        (lambda m: m.similar_users([USERS]), IndexError),
        (lambda m: m.similar_items(0, items=[1], filter_items=[2]), ValueError),
        (lambda m: m.similar_users(0, users=[1], filter_users=[2]), ValueError),
        (lambda m: m.partial_fit_users([0], plays()[:2]), ValueError),
        (lambda m: m.partial_fit_items([0], plays().T.tocsr()[:2]), ValueError),
        (lambda m: m.recalculate_user([0], plays()[:2]), ValueError),
        (lambda m: m.explain(0, plays(), ITEMS), IndexError),
        (lambda m: m.to_gpu(), ValueError),
    ],
)
def test_what_is_refused(Model: Any, call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call(fitted(Model, iterations=1))


def test_an_untrained_model_answers_nothing(Model: Any) -> None:
    with pytest.raises(TypeError):
        made(Model).recommend(0, plays()[0])


def test_deprecated_calls_warn_and_answer() -> None:
    theirs, ours = alike()
    matrix = plays()
    for call in (
        lambda m: m.rank_items(0, matrix[0], [3, 1, 9]),
        lambda m: (m.recommend_all(matrix, N=4, filter_already_liked_items=False),) * 2,
    ):
        answers = []
        for model in (theirs, ours):
            with pytest.warns(DeprecationWarning, match="is deprecated"):
                answers.append(call(model))
        assert (answers[0][0] == answers[1][0]).mean() > 0.9
        assert answers[0][0].dtype == answers[1][0].dtype


# --- files


@pytest.mark.parametrize("writer", PACKAGES)
@pytest.mark.parametrize("reader", PACKAGES)
def test_each_reads_the_others_files(writer: str, reader: str, tmp_path: Path) -> None:
    options = {"alpha": 2.5, "regularization": 0.2, "iterations": 2, "num_threads": 1}
    model = fitted(PACKAGES[writer], **options)
    model.save(str(tmp_path / "model.npz"))
    held = io.BytesIO()
    model.save(held)
    held.seek(0)
    for file in (
        str(tmp_path / "model.npz"),
        str(tmp_path / "model"),
        tmp_path / "model.npz",
        held,
    ):
        again = PACKAGES[reader].load(file)
        assert type(again) is PACKAGES[reader]
        assert (again.item_factors == model.item_factors).all()
        assert (again.user_factors == model.user_factors).all()
        for name in (*options, "factors", "use_cg", "random_state", "dtype", "cg_steps"):
            assert getattr(again, name) == getattr(model, name), name
        same(model.recommend(3, plays()[3], N=4), again.recommend(3, plays()[3], N=4))


def test_saving_a_model_before_its_training(Model: Any, tmp_path: Path) -> None:
    made(Model, random_state=None).save(str(tmp_path / "m.npz"))
    again = Model.load(str(tmp_path / "m.npz"))
    assert again.user_factors is None and again.random_state is None
    with pytest.raises(FileNotFoundError):
        Model.load(str(tmp_path / "none"))


def test_models_are_pickled(Model: Any) -> None:
    model = fitted(Model, iterations=1)
    again = pickle.loads(pickle.dumps(model))
    same(model.recommend(3, plays()[3]), again.recommend(3, plays()[3]))


# --- beside the model

BOTH = (implicit, nearwood.implicit)


@pytest.mark.parametrize("share", [0.8, 0.3])
def test_train_test_split(share: float) -> None:
    matrix = plays()
    matrix.data[::5] *= -1
    theirs, ours = (p.evaluation.train_test_split(matrix, share, 3) for p in BOTH)
    for their, our in zip(theirs, ours, strict=True):
        assert type(our) is type(their) and our.dtype == their.dtype
        assert our.shape == their.shape and (our != their).nnz == 0 and our.nnz == their.nnz


def test_leave_k_out_split() -> None:
    matrix = plays()
    for package in BOTH:
        train, test = package.evaluation.leave_k_out_split(matrix, 2, random_state=3)
        assert ((train + test) != matrix).nnz == 0 and train.multiply(test).nnz == 0
        assert set(np.diff(test.indptr)) == {2} and train.dtype == test.dtype == matrix.dtype
        for arguments in ((0,), (1, 1.0), (1, -0.1)):
            with pytest.raises(ValueError):
                package.evaluation.leave_k_out_split(matrix, *arguments)


def test_measures() -> None:
    train, test = implicit.evaluation.train_test_split(plays(), 0.6, 1)
    model = fitted(PACKAGES["implicit"], train, iterations=3)
    calls = ("precision_at_k", "mean_average_precision_at_k", "ndcg_at_k", "AUC_at_k")
    for k in (1, 5, 12):
        theirs, ours = (
            p.evaluation.ranking_metrics_at_k(model, train, test, K=k, show_progress=False)
            for p in BOTH
        )
        assert ours.keys() == theirs.keys() and 0 < ours["ndcg"] < 1
        for name, value in theirs.items():
            assert ours[name] == pytest.approx(value, rel=1e-9), name
        for call, value in zip(calls, theirs.values(), strict=True):
            measure = getattr(nearwood.implicit.evaluation, call)
            assert measure(model, train, test, K=k) == pytest.approx(value, rel=1e-9)


def test_weights() -> None:
    matrix = plays()
    for call in (
        lambda p, m: p.nearest_neighbours.tfidf_weight(m),
        lambda p, m: p.nearest_neighbours.bm25_weight(m),
        lambda p, m: p.nearest_neighbours.bm25_weight(m, K1=1.2, B=0.75),
    ):
        for given in (matrix, matrix.tocoo(), matrix.T):
            theirs, ours = (call(package, given) for package in BOTH)
            assert type(ours) is type(theirs) and ours.dtype == theirs.dtype
            near(ours.toarray(), theirs.toarray(), 1e-6)


def test_what_the_page_shows_runs_with_both() -> None:
    page = Path(__file__).parents[2] / "docs" / "from-implicit.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    answers = []
    for package in ("nearwood.implicit as implicit", "implicit.als"):
        names: dict[str, Any] = {}
        exec(code.replace("nearwood.implicit as implicit", package), names)
        answers.append(int(names["ids"][0]))
    assert answers == [1, 1]


def test_implicit_takes_what_to_scipy_gives() -> None:
    matrix = nw.Interactions.from_matrix(plays()).to_scipy()
    assert isinstance(matrix, sp.csr_matrix) and not isinstance(matrix, sp.sparray)
    assert matrix.indices.dtype == matrix.indptr.dtype == np.int32
    for Model in PACKAGES.values():
        model = fitted(Model, matrix, iterations=2)
        ids, _ = model.recommend(np.arange(USERS), matrix, N=5)
        assert ids.shape == (USERS, 5)
