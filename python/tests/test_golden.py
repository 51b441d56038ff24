"""Every operation on every kept file: that an earlier version wrote it is no reason to fail."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import nearwood as nw

GOLDEN = Path(__file__).parents[2] / "tests" / "golden"
FILES = sorted(GOLDEN.rglob("*.nw"))
MODELS = {"model.nw", "half.nw"}
INDEXES = [f for f in FILES if f.name not in MODELS and f.name != "recommender.nw"]


def named(path: Path) -> str:
    return str(path.relative_to(GOLDEN))


def test_files_of_every_version_are_there():
    assert len(FILES) >= 36
    assert {f.parent.name for f in FILES} >= {"1.0", "1.1", "1.2", "golden"}


def ask(index: nw.Index) -> None:
    """Asks everything of an index; exact answers are compared with each other."""
    ids = list(index.ids)
    vectors = index.vectors(ids)
    found, far = index.search_exact(vectors, k=3)
    again, distances = index.search(vectors, k=3, recall=1.0)
    assert np.array_equal(np.asarray(found), np.asarray(again))
    assert np.array_equal(far, distances)
    by_code = index.search(vectors, k=3, budget=len(index))
    assert np.isfinite(by_code[1]).all()
    assert index.recall(vectors, k=3, budget=len(index)) > 0.5
    assert len(index.radius(vectors[0], float(far[0, -1]))[0]) >= 1
    assert np.asarray(index.search_ids(ids[:4], k=2)[0]).shape == (4, 2)
    only = index.search(vectors[:2], k=5, filter=ids[:3])
    assert {x for row in np.asarray(only[0]).tolist() for x in row} <= {*ids[:3], -1, None, ""}
    assert index.recall_curve(k=2)
    assert index.info()
    assert index._repr_html_()
    assert index.find(str(ids[0])) == ids[0]
    assert ids[0] in index


@pytest.mark.parametrize("path", INDEXES, ids=named)
def test_every_operation_on_an_index(path: Path, tmp_path: Path):
    nw.Index.verify(path)
    index = nw.Index.open(path, verify=True)
    ask(index)
    more = index.append_trees(1)
    fewer = more.drop_trees([more.trees[-1]])
    other = more.drop_trees(more.trees[:-1])
    both = nw.Index.merge([fewer, other])
    assert both.to_bytes() == more.to_bytes()
    copies = [more, fewer, other, both, pickle.loads(pickle.dumps(index))]
    copies.append(nw.Index.from_bytes(index.to_bytes()))
    index.save(tmp_path / "copy.nw")
    assert (tmp_path / "copy.nw").read_bytes() == path.read_bytes()
    copies.append(index.append_trees(1, path=tmp_path / "more.nw"))
    for number, copy in enumerate(copies):
        copy.save(tmp_path / f"{number}.nw")
        nw.Index.verify(tmp_path / f"{number}.nw")
        ask(copy)
        assert np.array_equal(copy.vectors(list(index.ids)), index.vectors(list(index.ids)))
        assert list(copy.ids) == list(index.ids)
        assert copy.labels == index.labels
    nw.report(index, tmp_path / "report.html", speed=False, n_threads=1)
    assert (tmp_path / "report.html").stat().st_size > 1000


@pytest.mark.parametrize("path", [f for f in FILES if f.name == "recommender.nw"], ids=named)
def test_every_operation_on_a_recommender(path: Path, tmp_path: Path):
    nw.Recommender.verify(path)
    rec = nw.Recommender.open(path)
    ask(nw.Index.open(path))
    for copy in (rec, pickle.loads(pickle.dumps(rec)), nw.Recommender.from_bytes(rec.to_bytes())):
        users, items = list(copy.users), list(copy.items)
        assert len(copy.recommend(users[0], k=3)[0]) > 0
        assert len(copy.recommend(users, k=3)[0]) == len(users)
        assert len(copy.similar(items[0], k=3)[0]) == 3
        assert len(copy.recommend_all(k=3)[0]) == len(users)
        assert copy.recommend_all(k=3, out=tmp_path / "all.csv") > 0
        copy.recommend_for({items[0]: 1.0}, k=2)
        assert copy.info()
        assert copy._repr_html_()
    rec.save(tmp_path / "copy.nw")
    assert (tmp_path / "copy.nw").read_bytes() == path.read_bytes()
    nw.report(rec, tmp_path / "report.html", speed=False, n_threads=1)


@pytest.mark.parametrize("path", [f for f in FILES if f.name in MODELS], ids=named)
def test_every_operation_on_a_model(path: Path, tmp_path: Path):
    model = nw.AlternatingLeastSquares.load(path)
    copy = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copy.item_factors, model.item_factors)
    assert model.similar_items(0, N=2)
    copy.save(tmp_path / "copy.nw")
    again = nw.AlternatingLeastSquares.load(tmp_path / "copy.nw")
    assert np.array_equal(again.user_factors, model.user_factors)
