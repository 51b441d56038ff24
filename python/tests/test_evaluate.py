"""`evaluate`, `tune` and `Interactions.split`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import plays

import nearwood as nw

MEASURES = ["recall", "capped_recall", "precision", "ndcg", "map", "mrr", "hit_rate", "coverage"]


def entries(data: nw.Interactions) -> dict[tuple[object, object], float]:
    matrix = data.to_scipy().tocoo()
    users, items = data.user_ids[matrix.row], data.item_ids[matrix.col]
    return dict(zip(zip(users, items, strict=True), matrix.data, strict=True))


def test_split(data: nw.Interactions) -> None:
    whole = entries(data)
    for method, options in [("random", {"share": 0.3}), ("leave_k_out", {"k": 2})]:
        train, test = data.split(method, **options, seed=4)
        kept, held = entries(train), entries(test)
        assert {**kept, **held} == whole and not kept.keys() & held.keys()
        again = data.split(method, **options, seed=4)
        assert [entries(part) for part in again] == [kept, held]
        assert entries(data.split(method, **options, seed=5)[1]) != held
        assert train.shape == test.shape == data.shape
    assert test.nnz == 2 * data.shape[0] and train.users_left_whole == 0
    assert data.users_left_whole is None and test.users_left_whole is None
    few = nw.Interactions.from_columns([1, 1, 1, 2], [5, 6, 7, 5], times=[3, 1, 2, 9])
    train, test = few.split("user_time", k=1)
    assert train.users_left_whole == 1 and entries(test) == {(1, 5): 1}
    train, test = few.split("time", share=0.5)
    assert entries(test) == {(1, 5): 1, (2, 5): 1}
    assert test.times is not None and test.times.tolist() == [3, 9]
    for method, options, text in [
        ("last", {}, 'method is "last", expected "random"'),
        ("time", {}, "times is missing"),
        ("random", {"share": 1.0}, "share is 1"),
        ("leave_k_out", {"k": 0}, "k is 0"),
    ]:
        with pytest.raises(ValueError, match=text):
            data.split(method, **options)


def random_case(seed: int) -> tuple[sp.csr_array, sp.csr_array, np.ndarray, np.ndarray]:
    """(train, test, user factors, item factors) without ties."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(6, size=(40, 30))
    train, test = sp.csr_array(kind == 0, dtype="f4"), sp.csr_array(kind == 1, dtype="f4")
    return train, test, rng.normal(size=(40, 4)), rng.normal(size=(30, 4))


class Factors:
    """What another library's model looks like."""

    def __init__(self, users: np.ndarray, items: np.ndarray) -> None:
        self.user_factors, self.item_factors = users, items


@pytest.mark.parametrize("k", [1, 5, 30])
@pytest.mark.parametrize("seed", range(3))
def test_ndcg_is_that_of_scikit_learn(k: int, seed: int) -> None:
    from sklearn.metrics import average_precision_score, ndcg_score

    train, test, users, items = random_case(seed)
    found = nw.evaluate(Factors(users, items), train, test, k=[k, 30])
    scores = np.where(train.toarray() > 0, -1e9, users.astype("f4") @ items.astype("f4").T)
    asked = np.flatnonzero(test.toarray().sum(1))
    assert found["n_users"] == len(asked)
    wanted = test.toarray()
    gains = [ndcg_score(wanted[[u]], scores[[u]], k=k) for u in asked]
    assert found[f"ndcg@{k}"] == pytest.approx(np.mean(gains), abs=1e-9)
    # Over the whole catalogue, average precision is theirs too.
    precisions = [average_precision_score(wanted[u], scores[u]) for u in asked]
    assert found["map@30"] == pytest.approx(np.mean(precisions), abs=1e-9)


def test_every_kind_of_model_gets_the_same_figures(data: nw.Interactions) -> None:
    train, test = data.split("leave_k_out", k=2)
    model = nw.AlternatingLeastSquares(factors=4, regularization=0.1).fit(train, progress=False)
    found = nw.evaluate(model, train, test, k=[5, 10], baselines=True)
    assert {f"{m}@{k}" for m in MEASURES for k in (5, 10)} <= set(found)
    assert found["n_users"] == 120 and found["users_without_test"] == 0
    for name in ("popularity", "item_knn"):
        assert set(found[name]) == {f"{m}@{k}" for m in MEASURES for k in (5, 10)}
    del found["popularity"], found["item_knn"]
    assert nw.evaluate(model, None, test, k=[5, 10], n_threads=1) == found
    same = Factors(model.user_factors, model.item_factors)
    assert nw.evaluate(same, train.to_scipy(), test.to_scipy(), k=[5, 10]) == found
    lists, _ = model.recommend(np.arange(120), N=10)
    assert nw.evaluate(lists, train, test, k=[5, 10]) == found
    # A file read apart has its own numbers: ids decide.
    matrix = test.to_scipy().tocoo()
    rows, columns = test.user_ids[matrix.row[::-1]], test.item_ids[matrix.col[::-1]]
    apart = nw.Interactions.from_columns(rows, columns)
    assert nw.evaluate(model, train, apart, k=[5, 10]) == found


def test_a_recommender_is_measured_as_it_serves(data: nw.Interactions) -> None:
    train, test = data.split("leave_k_out", k=2)
    rec = nw.Recommender.fit(train, factors=4, weighting="raw", progress=False)
    exact = nw.evaluate(rec, None, test, exact=True)
    assert nw.evaluate(rec, train, test, exact=True) == exact
    assert nw.evaluate(rec, None, test, recall=1.0) == pytest.approx(exact)
    assert nw.evaluate(rec, None, test)["recall@20"] > 0.8 * exact["recall@20"]
    lists, _ = rec.recommend_all(k=20, exact=True)
    held = entries(test)
    hits = [sum((u, i) in held for i in row) / 2 for u, row in zip(rec.users, lists, strict=True)]
    assert exact["recall@20"] == pytest.approx(np.mean(hits))
    odd = nw.Interactions.from_columns(["u0", "nobody"], ["nothing", "i1"])
    with pytest.warns(UserWarning, match="1 of its 2 users are unknown, such as .nobody."):
        found = nw.evaluate(rec, None, odd)
    assert (found["unknown_users"], found["unknown_items"], found["entries_dropped"]) == (1, 1, 2)
    assert found["n_users"] == 0 and found["ndcg@20"] == 0


def test_include_seen_wants_what_one_has() -> None:
    plays = sp.csr_array([[1, 1, 0], [0, 1, 1]])
    model = nw.AlternatingLeastSquares(factors=2).fit(plays, progress=False)
    with pytest.raises(ValueError, match="the model has 4 of 4 test entries in its own history"):
        nw.evaluate(model, plays, plays)
    foreign = Factors(model.user_factors, model.item_factors)
    with pytest.warns(UserWarning, match="all of its 4 interactions are in the training"):
        assert nw.evaluate(foreign, plays, plays)["entries_seen"] == 4
    found = nw.evaluate(model, plays, plays, k=2, include_seen=True)
    assert found["entries_seen"] == 0 and found["recall@2"] == 1


def test_evaluations_that_are_refused() -> None:
    train, test, users, items = random_case(0)
    model = Factors(users, items)
    cases: list[tuple[tuple, dict, type, str]] = [
        ((model, train, test), {"k": 0}, ValueError, "k is .0., expected"),
        ((model, train, test), {"k": []}, ValueError, "at least one number"),
        ((model, None, test), {}, ValueError, "train is None, expected the interactions"),
        ((model, train, test[:5]), {}, ValueError, "users in the test is 5, expected 40"),
        ((Factors(users[:3], items), train, test), {}, ValueError, "user_factors is 12"),
        ((np.zeros((3, 5), int), train, test), {}, ValueError, "number of lists is 3"),
        ((np.zeros((40, 5)), train, test), {}, TypeError, "expected a trained model"),
        ((None, train, test), {}, TypeError, "expected a trained model"),
        ((model, train, users), {}, TypeError, "expected a scipy sparse matrix"),
        ((nw.AlternatingLeastSquares(), train, test), {}, RuntimeError, "not trained yet"),
    ]
    for args, options, error, text in cases:
        with pytest.raises(error, match=text):
            nw.evaluate(*args, **options)


def test_a_model_trained_on_the_test_is_refused(data: nw.Interactions, tmp_path: Path) -> None:
    train, test = data.split("leave_k_out", k=2)
    rec = nw.Recommender.fit(data, factors=4, progress=False)
    model = nw.AlternatingLeastSquares(4).fit(data, progress=False)
    told = f"has {test.nnz} of {test.nnz} test entries in its own history: it was trained on the"
    for ranks in (rec, model):
        for part in (train, None):
            with pytest.raises(ValueError, match=told):
                nw.evaluate(ranks, part, test)
            with pytest.raises(ValueError, match="trained on the test"):
                nw.evaluate(ranks, train, test, include_seen=True)
    with pytest.raises(ValueError, match=told):
        nw.evaluate(rec, train, test, exact=True)
    with pytest.raises(ValueError, match=told):
        nw.report(rec, tmp_path / "r.html", speed=False, test=test)
    # A part of it: measured, with a word.
    half, _ = data.split("random", share=0.02, seed=1)
    rec = nw.Recommender.fit(train, factors=4, progress=False)
    both = nw.Interactions.from_columns(
        [*test.user_ids[test.to_scipy().tocoo().row], "u0"],
        [*test.item_ids[test.to_scipy().tocoo().col], rec.seen("u0")[0]],
    )
    with pytest.warns(UserWarning, match=f"1 of {test.nnz + 1} test entries are in the training"):
        assert nw.evaluate(rec, None, both)["entries_seen"] == 1
    assert half.nnz > train.nnz


def test_a_test_without_anything_to_find_says_why(data: nw.Interactions, tmp_path: Path) -> None:
    rec = nw.Recommender.fit(data, factors=4, progress=False)
    model = nw.AlternatingLeastSquares(4).fit(data, progress=False)
    none = nw.Interactions.from_columns([], [])
    other = nw.Interactions.from_columns(["U0", "U1"], ["i0", "i1"])
    zero = nw.Interactions.from_columns(["u0"], ["i59"], [0.0])
    for test, says in [
        (none, "it has no interactions"),
        (other, "2 of its 2 users are unknown, such as .U0., and all of its 2 items are known"),
        (zero, "none of its 1 interactions has a weight above 0"),
    ]:
        for ranks in (rec, model):
            with pytest.warns(UserWarning, match=says):
                found = nw.evaluate(ranks, None, test)
            assert found["n_users"] == 0
        with pytest.warns(UserWarning, match=says):
            nw.report(rec, tmp_path / "r.html", speed=False, test=test)
    kept = nw.AlternatingLeastSquares(4).set_factors(model.user_factors, model.item_factors)
    with pytest.raises(ValueError, match="train is None, expected"):
        nw.evaluate(kept, None, zero)


def test_a_models_numbers_are_those_of_its_own_data(data: nw.Interactions) -> None:
    train, test = data.split("leave_k_out", k=2)
    model = nw.AlternatingLeastSquares(4).fit(train, progress=False)
    found = nw.evaluate(model, train, test)
    matrix = train.to_scipy().tocoo()
    rows, columns = train.user_ids[matrix.row[::-1]], train.item_ids[matrix.col[::-1]]
    reread = nw.Interactions.from_columns(rows, columns)
    assert reread.user_ids.tolist() != train.user_ids.tolist()
    assert nw.evaluate(model, reread, test) == found


def test_splits_that_hold_out_nothing_say_so() -> None:
    same = nw.Interactions.from_columns([1, 1, 2], [5, 6, 5], times=[3, 3, 3])
    for method, options in [("leave_k_out", {"k": 2}), ("random", {"share": 0.1})]:
        with pytest.warns(UserWarning, match=f'split by "{method}" holds out nothing'):
            assert same.split(method, **options)[1].nnz == 0
    with pytest.raises(ValueError):
        same.split("time")


def test_validation_is_matched_and_must_hold_something(data: nw.Interactions) -> None:
    train, held = data.split("leave_k_out", k=1)
    matrix = held.to_scipy().tocoo()
    rows, columns = held.user_ids[matrix.row[::-1]], held.item_ids[matrix.col[::-1]]
    reread = nw.Interactions.from_columns(rows, columns)

    def fit(validation: Any) -> nw.AlternatingLeastSquares:
        model = nw.AlternatingLeastSquares(4, iterations=3)
        return model.fit(train, progress=False, validation=validation)

    assert fit(reread).validation_history == fit(held).validation_history
    more = nw.Interactions.from_columns([*rows, "nobody"], [*columns, "i1"])
    with pytest.warns(UserWarning, match=f"1 of {held.nnz + 1} entries of validation are left out"):
        assert fit(more).validation_history == fit(held).validation_history
    unknown = nw.Interactions.from_columns(["a", "b"], ["x", "y"])
    with (
        pytest.warns(UserWarning, match="2 of 2 entries"),
        pytest.raises(ValueError, match="validation is without entries, expected entries"),
    ):
        fit(unknown)
    with pytest.raises(ValueError, match="that the training has too"):
        fit(train)


def test_tune_leaves_out_what_the_weights_do_not_suit(data: nw.Interactions) -> None:
    user, item, weight = plays()
    weight[7] = -30
    stars = nw.Interactions.from_columns(user, item, weight)
    options = {**SEARCH, "weighting": None, "factors": 4, "iterations": 2}
    for confidence in ("implicit", "spark"):
        with pytest.warns(UserWarning, match="the weighting bm25 is left out: the weight of user "):
            found = nw.tune(stars, **options, confidence=confidence)
        assert {trial["weighting"] for trial in found["trials"]} <= {"raw", "log1p", "normalized"}
        assert list(found["left_out"]) == ["bm25"]
        with pytest.raises(ValueError, match=r"expected 0 or more by the weighting .bm25."):
            nw.tune(stars, **{**options, "weighting": "bm25"}, confidence=confidence)
    with pytest.raises(ValueError, match=r"choose confidence .implicit. or .spark."):
        nw.tune(stars, **options)
    found = nw.tune(data, **{**SEARCH, "trials": 1, "refine": 0})
    assert all(len(str(value)) < 9 for value in found["params"].values()), found["params"]


SEARCH: dict[str, Any] = {
    "factors": (2, 8),
    "weighting": ["raw", "log1p"],
    "iterations": 5,
    "metric": "recall@5",
    "trials": 3,
    "refine": 2,
    "validation": 0.2,
    "random_state": 3,
    "progress": False,
}


def table(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [{k: v for k, v in trial.items() if k != "seconds"} for trial in found["trials"]]


def test_tune_goes_on_where_it_was(data: nw.Interactions, tmp_path: Path) -> None:
    whole = nw.tune(data, **SEARCH)
    assert len(whole["trials"]) == 5 and whole["resumed"] == 0
    assert whole["best"] == whole["trials"][0] and whole["metric"] == "recall@5"
    scores = [trial["score"] for trial in whole["trials"]]
    assert scores == sorted(scores, reverse=True)
    journal = tmp_path / "trials.jsonl"

    def stop(done: int, total: int) -> None:
        assert total == 5
        if done == 2:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        nw.tune(data, journal=journal, **{**SEARCH, "progress": stop})
    assert len(journal.read_text().splitlines()) == 3
    resumed = nw.tune(data, journal=journal, **SEARCH, n_threads=1)
    assert resumed["resumed"] == 2 and table(resumed) == table(whole)
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [line["trial"] for line in lines[1:]] == [0, 1, 2, 3, 4]
    rec = nw.Recommender.fit(data, **resumed["params"], progress=False)
    assert rec.params["factors"] == whole["best"]["factors"]
    assert rec.params["iterations"] == whole["best"]["epochs"]
    with pytest.raises(nw.FormatError, match="another search: its random_state is 3, not 4"):
        nw.tune(data, journal=journal, **{**SEARCH, "random_state": 4})


def test_searches_that_are_refused(data: nw.Interactions) -> None:
    cases: list[tuple[dict, type, str]] = [
        ({"metric": "auc@3"}, ValueError, 'such as "ndcg@20"'),
        ({"alpha": "x"}, TypeError, "alpha is 'x', expected a number or a pair"),
        ({"alpha": (0, 1)}, ValueError, "alpha is 0..1, expected finite numbers"),
        ({"weighting": "tfidf"}, ValueError, 'weighting is "tfidf"'),
        ({"confidence": "hkv"}, ValueError, 'confidence is "hkv"'),
        ({"validation": 0.0}, ValueError, "share is 0"),
        ({"trials": 0}, ValueError, "trials is 0"),
    ]
    for options, error, text in cases:
        with pytest.raises(error, match=text):
            nw.tune(data, **{**SEARCH, **options})
