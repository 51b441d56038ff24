"""`Index.recall_curve` and `report`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import nearwood as nw


def embedded(page: Path) -> dict:
    text = page.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_a_curve_is_what_recall_measures(index: nw.Index, vectors: np.ndarray) -> None:
    queries = vectors[:100] + 0.1
    curve = index.recall_curve(queries, k=5, budgets=[50, 3000])
    assert (curve["k"], curve["n_queries"], curve["queries"]) == (5, 100, "given")
    assert [step["budget"] for step in curve["steps"]] == [50, 3000]
    assert [step["asked"] for step in curve["asked"]] == [0.9, 0.95, 0.99]
    assert curve["exact"]["recall"] == 1.0
    for step in curve["steps"]:
        assert step["queries_per_second"] == pytest.approx(1e6 / step["microseconds"])
        # A batch's codes are more precise than a single search's, which a curve measures.
        whole = index.recall(queries, k=5, budget=step["budget"])
        assert step["recall"] == pytest.approx(whole, abs=0.1)
    drawn = index.recall_curve(k=5)
    assert drawn["queries"] == "stored" and 200 <= drawn["n_queries"] <= 600
    assert len(drawn["steps"]) > 5


def test_a_curve_refuses_what_it_cannot_measure(index: nw.Index) -> None:
    for queries, text in [
        (np.zeros((0, 24)), "queries is no row, expected at least one row"),
        (np.zeros(24), r"expected 2, \(m, d\)"),
        (np.zeros((2, 3)), "3"),
    ]:
        with pytest.raises(ValueError, match=text):
            index.recall_curve(queries)
    with pytest.raises(ValueError, match="budget is 0"):
        index.recall_curve(budgets=[0])


def test_a_page_of_each_source(
    index: nw.Index, rec: nw.Recommender, vectors: np.ndarray, tmp_path: Path
) -> None:
    out = tmp_path / "page.html"
    nw.report(index, out, queries=vectors[:20], items=100, title="Vectors")
    text = out.read_text(encoding="utf-8")
    assert "<title>Vectors · nearwood</title>" in text and "Measured with 20 queries" in text
    assert embedded(out)["n"] == 100
    nw.report(rec, out, items=10)
    text = out.read_text(encoding="utf-8")
    assert (
        "The 10 items that most users have" in text
        and "users of the recommender, one after" in text
    )
    once, again = tmp_path / "once.html", tmp_path / "again.html"
    for page in (once, again):
        nw.report(index, page, speed=False)
    assert once.read_bytes() == again.read_bytes()
    assert "was not measured for this page" in once.read_text(encoding="utf-8")
    rec.save(tmp_path / "music.nw")
    nw.report(tmp_path / "music.nw", str(out), items=10)
    assert "<title>music.nw · nearwood</title>" in out.read_text(encoding="utf-8")
    data = embedded(out)
    first = data["ids"][0]
    ids, distances = rec.similar(first, k=10)
    assert [data["names"][item] for item in data["near"][0]] == [f"Song {i}" for i in ids]
    assert data["far"][0] == pytest.approx(distances.tolist(), rel=1e-3, abs=1e-6)


def test_metrics_on_a_page_are_those_of_evaluate(data: nw.Interactions, tmp_path: Path) -> None:
    train, test = data.split("leave_k_out", k=2, seed=1)
    rec = nw.Recommender.fit(train, factors=8, progress=False)
    out = tmp_path / "page.html"
    nw.report(rec, out, test=test, k=[5, 10])
    found = nw.evaluate(rec, None, test, k=[5, 10], baselines=True)
    page = out.read_text(encoding="utf-8")
    for name in ["ndcg@5", "recall@10", "coverage@10"]:
        popular = found["popularity"][name]
        assert f"{name}</th><td>{found[name]:.4f}</td><td>{popular:.4f}</td>" in page


def test_a_page_is_refused(index: nw.Index, data: nw.Interactions, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    with pytest.raises(ValueError, match="items is 0, expected 1 to 5000"):
        nw.report(index, out, items=0)
    with pytest.raises(ValueError, match="test measures a recommender's lists"):
        nw.report(index, out, test=data)
    with pytest.raises(ValueError, match="and speed is False"):
        nw.report(index, out, queries=np.zeros((2, 24)), speed=False)
    with pytest.raises(FileNotFoundError):
        nw.report(tmp_path / "nowhere.nw", out)
    model = nw.AlternatingLeastSquares(factors=4, iterations=2).fit(data, progress=False)
    model.save(tmp_path / "model.nw")
    with pytest.raises(nw.FormatError, match="the file is a whole model"):
        nw.report(tmp_path / "model.nw", out)
    assert not out.exists()
