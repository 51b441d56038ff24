"""`nearwood.Recommender`: the one artefact."""

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


def test_it_recommends_what_fits_the_taste(rec: nw.Recommender, data: nw.Interactions) -> None:
    assert repr(rec) == "Recommender(120 users, 60 items, 8 factors)"
    for user in ("u0", "u1"):
        ids, scores = rec.recommend(user, k=5)
        assert ids.shape == scores.shape == (5,) and ids.dtype == object
        assert scores.dtype == np.float32 and (np.diff(scores) <= 0).all()
        assert not set(ids) & set(rec.seen(user))
        taste = int(user[1:]) % 2
        assert np.mean([int(i[1:]) // 30 == taste for i in ids]) >= 0.8
    again, _ = rec.recommend("u0", k=60, include_seen=True, exact=True)
    assert set(again) == set(rec.items)


def test_scores_are_inner_products(rec: nw.Recommender) -> None:
    users, items = rec.users.tolist(), rec.items.tolist()
    scores = rec.user_factors @ rec.item_factors.T
    ids, got = rec.recommend("u5", k=8, exact=True)
    row = scores[users.index("u5")]
    np.testing.assert_allclose(got, [row[items.index(i)] for i in ids], rtol=1e-4)
    seen = {items.index(i) for i in rec.seen("u5")}
    wanted = [i for i in np.argsort(-row, kind="stable") if i not in seen][:8]
    assert ids.tolist() == [items[i] for i in wanted]


def test_many_users(rec: nw.Recommender) -> None:
    ids, scores = rec.recommend(["u3", "u4", "u3"], k=4)
    assert ids.shape == scores.shape == (3, 4)
    for row, user in enumerate(["u3", "u4", "u3"]):
        assert ids[row].tolist() == rec.recommend(user, k=4)[0].tolist()
    all_ids, all_scores = rec.recommend_all(k=4, exact=True)
    assert all_ids.shape == (120, 4) and all_scores.dtype == np.float32
    place = rec.users.tolist().index("u4")
    assert all_ids[place].tolist() == rec.recommend("u4", k=4, exact=True)[0].tolist()
    some = rec.users[[7, 3, 7]]
    some_ids, _ = rec.recommend_all(k=4, users=some, exact=True)
    assert (some_ids == all_ids[[7, 3, 7]]).all()
    allowed = rec.items[:10]
    filtered, _ = rec.recommend(["u3", "u4"], k=20, filter=allowed)
    assert set(filtered.ravel()) - {None} <= set(allowed)


def test_recommending_to_all_into_a_file(tmp_path: Path, rec: nw.Recommender) -> None:
    import pyarrow.parquet as pq

    seen: list[tuple[int, int]] = []
    out = tmp_path / "recs.parquet"
    rows = rec.recommend_all(k=5, out=out, progress=lambda d, t: seen.append((d, t)))
    table = pq.read_table(out)
    assert rows == table.num_rows == 600 and seen == [(120, 120)]
    assert table.column_names == ["user", "item", "rank", "score"]
    ids, scores = rec.recommend_all(k=5)
    assert table["user"].to_pylist() == rec.users.repeat(5).tolist()
    assert table["item"].to_pylist() == ids.ravel().tolist()
    np.testing.assert_array_equal(table["score"].to_numpy(), scores.ravel())
    assert rec.recommend_all(k=2, out=str(tmp_path / "r.csv")) == 240
    with pytest.raises(ValueError, match='extension "xyz"'):
        rec.recommend_all(out=tmp_path / "r.xyz")
    with pytest.raises(FileNotFoundError):
        rec.recommend_all(out=tmp_path / "no" / "r.csv")

    def fail(done: int, total: int) -> None:
        raise LookupError

    before = out.read_bytes()
    with pytest.raises(LookupError):
        rec.recommend_all(k=5, out=out, progress=fail)
    assert out.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.csv", "recs.parquet"]


def test_similar_by_id_and_by_name(rec: nw.Recommender) -> None:
    ids, distances = rec.similar("i3", k=6)
    named, _ = rec.similar("Song i3", k=6)
    assert ids.tolist() == named.tolist() and "i3" not in ids
    assert np.mean([int(i[1:]) < 30 for i in ids]) >= 0.8
    factors = rec.item_factors
    items = rec.items.tolist()
    a, b = factors[items.index("i3")], factors[items.index(ids[0])]
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert distances[0] == pytest.approx(1 - cosine, abs=1e-5)
    assert rec.find("Song i7") == "i7" and rec.label("i7") == "Song i7"
    assert rec.similar("i3", k=3, filter=["i5", "i3"])[0].tolist() == ["i5", None, None]


def test_somebody_new(rec: nw.Recommender) -> None:
    history = {"i1": 9.0, "i2": 4.0, "i5": 1.0}
    ids, _ = rec.recommend_for(history, k=5)
    assert not set(ids) & set(history)
    assert np.mean([int(i[1:]) < 30 for i in ids]) >= 0.8
    pairs, _ = rec.recommend_for([("i5", 1.0), ("i1", 5.0), ("i2", 4.0), ("i1", 4.0)], k=5)
    assert pairs.tolist() == ids.tolist()
    ones, _ = rec.recommend_for(["i1", "i2"], k=5)
    assert ones.tolist() == rec.recommend_for({"i1": 1, "i2": 1}, k=5)[0].tolist()
    assert rec.recommend_for([], k=2)[0].tolist() == [None, None]
    assert "i1" in rec.recommend_for(history, k=60, include_seen=True, exact=True)[0]


def test_folding_in_gives_the_stored_vectors(rec: nw.Recommender, data: nw.Interactions) -> None:
    rows = data.to_scipy()
    items = data.item_ids
    for user in (0, 3, 119):
        row = rows[[user]].tocoo()
        history = dict(zip(items[row.coords[1]], row.data.tolist(), strict=True))
        np.testing.assert_allclose(rec.fold_in(history), rec.user_factors[user], atol=1e-5)


def test_what_is_not_there(rec: nw.Recommender) -> None:
    calls = [
        (lambda: rec.recommend("nobody"), 'no user "nobody"'),
        (lambda: rec.recommend(["u1", "nobody"]), 'no user "nobody"'),
        (lambda: rec.recommend(7), "no user 7"),
        (lambda: rec.seen("x"), 'no user "x"'),
        (lambda: rec.similar("nothing"), "no item nothing"),
        (lambda: rec.recommend_for(["nothing"]), 'no id "nothing"'),
        (lambda: rec.label("nothing"), 'no id "nothing"'),
    ]
    for call, text in calls:
        with pytest.raises(KeyError, match=text):
            call()
    refused = [
        (lambda: rec.recommend("u1", k=0), "k is 0"),
        (lambda: rec.recommend("u1", exact=True, recall=0.5), "at most one"),
        (lambda: rec.recommend("u1", recall=-1.0), "recall is -1"),
        (lambda: rec.recommend("u1", filter=np.ones(3, bool)), "mask has 3 values, expected 60"),
        (lambda: rec.recommend_for({"i1": float("nan")}), "NaN"),
    ]
    for call, text in refused:
        with pytest.raises(ValueError, match=text):
            call()


def test_a_user_without_history_gets_no_items() -> None:
    user, item, weight = plays()
    matrix = sp.csr_matrix((weight, (user, item)), shape=(121, 60))
    rec = nw.Recommender.fit(matrix, factors=4, progress=False)
    ids, scores = rec.recommend(120, k=3)
    assert ids.dtype == np.int64 and ids.tolist() == [-1] * 3 and np.isneginf(scores).all()
    many, _ = rec.recommend([0, 120], k=3)
    assert (many[0] >= 0).all() and (many[1] == -1).all()


def test_a_job_that_was_ended_is_gone_on_with(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    users, items = np.arange(9_000).repeat(3), random.integers(60, size=27_000)
    rec = nw.Recommender.fit(nw.Interactions.from_columns(users, items), factors=4, iterations=1)
    out = tmp_path / "recs.parquet"
    asked = {"k": 3, "users": rec.users[::-1], "exact": True}
    calls: list[int] = []

    def stop(done: int, total: int) -> None:
        calls.append(done)
        if done > 5_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rec.recommend_all(out=out, progress=stop, **asked)
    assert calls == [4096, 8192] and not out.exists()
    assert (tmp_path / "recs.parquet.parts").is_dir()
    with pytest.raises(ValueError, match="parts of another job"):
        rec.recommend_all(out=out, resume=True, **{**asked, "k": 4})
    assert rec.recommend_all(out=out, resume=True, n_threads=1, **asked) == 27_000
    whole = tmp_path / "whole.parquet"
    rec.recommend_all(out=whole, **asked)
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["recs.parquet", "whole.parquet"]
    with pytest.raises(KeyError):
        rec.recommend_all(users=[1, -7])


def test_files_and_copies(tmp_path: Path, rec: nw.Recommender) -> None:
    path = tmp_path / "music.nw"
    rec.save(path)
    nw.Recommender.verify(path)
    wanted = rec.recommend_all(k=5)
    for other in (
        nw.Recommender.open(path),
        nw.Recommender.open(str(path), prefault=True, verify=True),
        nw.Recommender.from_bytes(rec.to_bytes()),
        pickle.loads(pickle.dumps(rec)),
        copy.copy(rec),
        copy.deepcopy(rec),
    ):
        got = other.recommend_all(k=5)
        assert (got[0] == wanted[0]).all() and (got[1] == wanted[1]).all()
        assert other.loss_history == rec.loss_history and other.params == rec.params
    content = path.read_bytes()
    for damaged in (content[:-9], content[:70], b"", b"no" * 99):
        path.write_bytes(damaged)
        with pytest.raises(nw.FormatError):
            nw.Recommender.open(path)
    nw.Index.build(np.eye(3)).save(path)
    with pytest.raises(nw.FormatError, match="expected recommender"):
        nw.Recommender.open(path)
    with pytest.raises(FileNotFoundError):
        nw.Recommender.open(tmp_path / "none.nw")


def test_options_of_the_training(data: nw.Interactions) -> None:
    seen: list[tuple[int, float]] = []
    rec = nw.Recommender.fit(
        data,
        factors=5,
        weighting="bm25",
        item_names=[f"song {i}" for i in range(60)],
        regularization=0.5,
        alpha=2.0,
        iterations=4,
        unobserved_weight=0.2,
        regularization_scaling=0.5,
        random_state=3,
        callback=lambda i, loss: seen.append((i, loss)),
    )
    assert [i for i, _ in seen] == [1, 2, 3, 4] and [x for _, x in seen] == rec.loss_history
    params = rec.params
    assert params["factors"] == 5 and params["random_state"] == 3 and params["iterations"] == 4
    assert params["alpha"] == 2 and params["regularization"] == 0.5
    info = rec.info()
    assert info["n_users"] == 120 and info["n"] == 60 and info["training"]["weighting"] == "bm25"
    assert rec.label(data.item_ids[7]) == "song 7"
    some = nw.Recommender.fit(data, factors=2, item_names={"i1": "One"}, iterations=1)
    assert some.label("i1") == "One" and some.label("i2") == "i2"
    with pytest.raises(ValueError, match="item_names has 1 names, expected 60"):
        nw.Recommender.fit(data, item_names=["x"], iterations=1)
    with pytest.raises(ValueError, match="weighting is"):
        nw.Recommender.fit(data, weighting="x")
    with pytest.raises(ValueError, match="at least one of each"):
        nw.Recommender.fit(sp.csr_matrix((2, 2)))


def test_the_same_seed_gives_the_same_file(data: nw.Interactions) -> None:
    files = {
        nw.Recommender.fit(data, factors=6, iterations=3, n_threads=n).to_bytes() for n in (1, 2, 4)
    }
    assert len(files) == 1


def test_real_plays(real_data: Path) -> None:
    folder = real_data / "lastfm"
    data = nw.Interactions.read(
        folder / "user_artists.dat", user="userID", item="artistID", weight="weight"
    )
    rec = nw.Recommender.fit(data, factors=32, iterations=5)
    ids, scores = rec.recommend_all(k=10)
    exact, _ = rec.recommend_all(k=10, exact=True)
    shared = [len(set(a) & set(b)) / 10 for a, b in zip(ids, exact, strict=True)]
    assert np.mean(shared) >= 0.9 and np.isfinite(scores).all()


def test_params_are_the_arguments(data: nw.Interactions) -> None:
    options: dict[str, Any] = {
        "factors": 5,
        "weighting": "normalized:0.3",
        "regularization": 0.3,
        "unobserved_weight": 0.1,
        "solver": "cg",
        "cg_steps": 2,
        "iterations": 2,
        "random_state": 7,
    }
    rec = nw.Recommender.fit(data, **options, progress=False)
    assert rec.params == {**rec.params, **options}, "0.3 and not 0.30000001192092896"
    again = nw.Recommender.fit(data, **rec.params, progress=False)
    assert again.to_bytes() == rec.to_bytes()
    model = nw.AlternatingLeastSquares(4, regularization=0.3, random_state=2, n_threads=1)
    assert model.params["regularization"] == 0.3 and model.params["random_state"] == 2
    assert nw.AlternatingLeastSquares(**model.params).params == model.params


@pytest.fixture(scope="module")
def sparse() -> nw.Recommender:
    """Items 0, 5, 10, ... without entries, 1, 6, 11, ... with weights of 0."""
    user, item, weight = plays()
    keep = item % 5 != 0
    weight = np.where(item % 5 == 1, 0, weight)[keep]
    matrix = sp.csr_matrix((weight, (user[keep], item[keep])), shape=(120, 60))
    return nw.Recommender.fit(matrix, factors=8, progress=False)


def test_items_without_a_vector_are_no_answers(sparse: nw.Recommender, tmp_path: Path) -> None:
    known = {i for i in range(60) if i % 5 > 1}
    for options in ({}, {"exact": True}, {"recall": 1.0}):
        for item in (0, 1, 55):
            ids, distances = sparse.similar(item, k=5, **options)
            assert (ids == -1).all() and np.isinf(distances).all()
        for item in known:
            ids, _ = sparse.similar(item, k=60, **options)
            assert set(ids) == (known - {item}) | {-1}
        lists, scores = sparse.recommend_all(k=60, **options)
        assert set(np.unique(lists)) == known | {-1} and (scores < 0).any()
        assert (lists[3] == sparse.recommend(3, k=60, **options)[0]).all()
        ids, _ = sparse.recommend_for({2: 3.0, 7: 1.0}, k=60, **options)
        assert set(ids) == (known - {2, 7}) | {-1}
        assert set(sparse.recommend_for([0, 1], k=5, **options)[0]) == {-1}
        ids, _ = sparse.recommend(3, k=9, filter=[0, 1, 5], **options)
        assert (ids == -1).all()
    rows = sparse.recommend_all(k=60, out=tmp_path / "r.csv", include_seen=True)
    table = np.loadtxt(tmp_path / "r.csv", delimiter=",", skiprows=1)
    assert rows == len(table) and set(table[:, 1].astype(int)) == known


def test_weights_that_cannot_be_trained_on_are_told_by_ids() -> None:
    columns = (["ann", "ann", "bob", "bob"], ["x", "y", "x", "y"], [1, 2, -1, 3])
    data = nw.Interactions.from_columns(*columns)
    told = 'the weight of user "bob", item "x" is -1'
    with pytest.raises(ValueError, match=f"{told}, which log1p makes -0.69.* above -0.2 "):
        nw.Recommender.fit(data, factors=2, progress=False)
    for weighting, says in [("raw", ", expected above -0.2"), ("bm25", ", expected 0 or more")]:
        with pytest.raises(ValueError, match=told + says):
            nw.Recommender.fit(data, factors=2, weighting=weighting, progress=False)
    with pytest.raises(ValueError, match=told):
        nw.AlternatingLeastSquares(2).fit(data, progress=False)
    with pytest.raises(ValueError, match="the weight of row 1, column 0 is -1, expected"):
        nw.AlternatingLeastSquares(2).fit(data.to_scipy(), progress=False)
    with pytest.raises(ValueError, match=told):
        data.weighted("bm25")
    rec = nw.Recommender.fit(
        data, factors=2, confidence="spark", unobserved_weight=1, progress=False
    )
    assert len(rec.recommend_for({"x": -1})[0])
    good = nw.Interactions.from_columns(*columns[:2])
    rec = nw.Recommender.fit(good, factors=2, progress=False)
    with pytest.raises(ValueError, match=r'the weight of item "x" is -5, which log1p makes -1.79'):
        rec.recommend_for({"y": 1, "x": -5})
    with pytest.raises(ValueError, match=r"choose confidence .implicit. or .spark."):
        rec.fold_in([("x", -5)])


def test_empty_ids_are_refused_everywhere(tmp_path: Path) -> None:
    import polars as pl

    users, items = ["ann", ""], ["x", "y"]
    told = "row 1 has an empty id"
    with pytest.raises(ValueError, match=told):
        nw.Interactions.from_columns(users, items)
    frame = pl.DataFrame({"user": users, "item": items})
    with pytest.raises(ValueError, match=told):
        nw.Interactions.from_frame(frame, user="user", item="item")
    skipped = nw.Interactions.from_frame(frame, user="user", item="item", errors="skip")
    assert skipped.n_skipped == 1 and skipped.user_ids.tolist() == ["ann"]
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_csv(tmp_path / "t.csv")
    for name in ("t.parquet", "t.csv"):
        with pytest.raises(ValueError, match="empty"):
            nw.Interactions.read(tmp_path / name, user="user", item="item")
    with pytest.raises(ValueError, match=told):
        nw.Interactions.from_matrix(sp.csr_matrix(np.eye(2)), user_ids=users)


def test_odd_ids_are_read_back_from_what_is_written(tmp_path: Path) -> None:
    items = ["a\nb", "c\r\nd", 'say "x"', "tab\tbed", "com,ma", "semi;colon", "é", "00"]
    users = ['"u"', "v\nw", "x,y", "z"]
    pairs = [(user, item) for user in users[:2] for item in items]
    pairs += [(user, item) for user in users[2:] for item in items[::3]]
    data = nw.Interactions.from_columns(*zip(*pairs, strict=True))
    rec = nw.Recommender.fit(data, factors=2, progress=False)
    for name in ("r.csv", "r.parquet"):
        rec.recommend_all(k=8, out=tmp_path / name, include_seen=True)
        read = nw.Interactions.read(tmp_path / name, user="user", item="item")
        assert set(read.user_ids) == set(users) and set(read.item_ids) == set(items), name
        assert read.nnz == len(users) * len(items)
