"""Annoy's behaviour, held twice: by the package ``annoy`` itself and by ``nearwood.annoy``.

Tests that take ``Index`` run once against each; those that take ``both`` hold the answers side by
side. Where nearwood departs on purpose, ``test_annoy_departures.py`` states what each of them does.
"""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from annoy_cases import EVERYTHING, METRICS, PACKAGES, SERVED, filled, rows, same_neighbours, truth


@pytest.fixture(params=PACKAGES)
def Index(request: pytest.FixtureRequest) -> Any:
    return PACKAGES[request.param]


@pytest.fixture
def both() -> SimpleNamespace:
    return SimpleNamespace(**PACKAGES)


# --- making one


@pytest.mark.parametrize("metric", METRICS)
def test_made_with_a_length_and_a_metric(Index: Any, metric: str) -> None:
    for index in (Index(3, metric), Index(f=3, metric=metric)):
        assert (index.f, index.get_n_items(), index.get_n_trees()) == (3, 0, 0)
    assert not hasattr(index, "__len__")


def test_a_metric_left_out_warns_and_is_angular(Index: Any) -> None:
    with pytest.warns(FutureWarning, match="default argument for metric will be removed"):
        index = Index(2)
    for i, vector in enumerate([[1, 0], [0, 2]]):
        index.add_item(i, vector)
    assert index.get_distance(0, 1) == pytest.approx(2**0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Index(2, "angular")


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((3, "cosine"), ValueError),
        ((3, None), TypeError),
        ((), TypeError),
        (("a", "dot"), TypeError),
        ((3.0, "dot"), TypeError),
        ((2**31, "dot"), OverflowError),
    ],
)
def test_what_cannot_be_made(Index: Any, args: tuple[Any, ...], error: type) -> None:
    with pytest.raises(error) as raised:
        Index(*args)
    assert raised.type is error
    if error is ValueError:
        assert str(raised.value).startswith("No such metric")


# --- adding


def test_items_are_added_in_any_order_and_overwritten(Index: Any) -> None:
    index = Index(3, "euclidean")
    assert index.add_item(4, [1, 2, 3]) is None
    assert index.add_item(i=1, vector=(0.5, 0, 0)) is None
    index.add_item(1, [7, 8, 9])
    assert index.get_n_items() == 5
    assert index.get_item_vector(4) == [1.0, 2.0, 3.0]
    assert index.get_item_vector(1) == [7.0, 8.0, 9.0]
    assert index.get_item_vector(0) == [0.0, 0.0, 0.0], "a hole"


@pytest.mark.parametrize(
    "vector",
    [
        [1, 2.5, -3],
        (1, 2.5, -3),
        np.array([1, 2.5, -3]),
        np.array([1, 2.5, -3], dtype=np.float32),
        np.array([1, 2.5, -3], dtype=np.float16),
        np.array([1, 0, 2.5, 0, -3, 0], dtype=np.float32)[::2],
        {0: 1, 1: 2.5, 2: -3},
        [np.float32(1), np.float64(2.5), np.int8(-3)],
        [True, 2.5, -3],
    ],
    ids=lambda v: f"{type(v).__name__}-{getattr(v, 'dtype', '')}-{getattr(v, 'ndim', '')}",
)
def test_vectors_are_anything_with_a_length_and_numbers(Index: Any, vector: Any) -> None:
    index = Index(3, "euclidean")
    index.add_item(0, vector)
    assert index.get_item_vector(0) == [1.0, 2.5, -3.0]
    index.build(1)
    assert index.get_nns_by_vector(vector, 1, include_distances=True) == ([0], [0.0])


def test_numbers_are_kept_as_float32(Index: Any) -> None:
    index = Index(1, "euclidean")
    index.add_item(0, [0.1])
    assert index.get_item_vector(0) == [float(np.float32(0.1))]


@pytest.mark.parametrize(
    ("args", "error", "text"),
    [
        ((-1, [1, 2, 3]), IndexError, "Item index can not be negative"),
        ((0, [1, 2]), IndexError, "Vector has wrong length (expected 3, got 2)"),
        ((0, []), IndexError, "Vector has wrong length (expected 3, got 0)"),
        ((0, ["a", 2, 3]), TypeError, "must be real number, not str"),
        ((0, [None, 2, 3]), TypeError, "must be real number, not NoneType"),
        ((0, "abc"), TypeError, "must be real number, not str"),
        ((0, 5), TypeError, "object of type 'int' has no len()"),
        ((0, iter([1, 2, 3])), TypeError, "has no len()"),
        ((0, {1: 1, 2: 2, 3: 3}), KeyError, "0"),
        ((0.5, [1, 2, 3]), TypeError, "cannot be interpreted as an integer"),
        (("a", [1, 2, 3]), TypeError, "cannot be interpreted as an integer"),
        ((2**31, [1, 2, 3]), OverflowError, "greater than maximum"),
        ((-(2**31) - 1, [1, 2, 3]), OverflowError, "less than minimum"),
        ((0,), TypeError, "vector"),
    ],
)
def test_what_cannot_be_added(Index: Any, args: tuple[Any, ...], error: type, text: str) -> None:
    index = Index(3, "angular")
    index.add_item(0, [1, 1, 1])
    with pytest.raises(error) as raised:
        index.add_item(*args)
    assert raised.type is error
    assert text in str(raised.value)
    assert (index.get_n_items(), index.get_item_vector(0)) == (1, [1.0, 1.0, 1.0])


# --- building


def test_build_and_unbuild(Index: Any) -> None:
    index = filled(Index, rows(200, 4), "euclidean", trees=None)
    assert index.get_n_trees() == 0
    assert index.build(n_trees=5, n_jobs=2) is True
    assert index.get_n_trees() == 5
    with pytest.raises(Exception, match="You can't build a built index") as raised:
        index.build(5)
    assert raised.type is Exception
    assert index.unbuild() is True
    assert (index.get_n_trees(), index.get_nns_by_item(0, 3)) == (0, [])
    index.add_item(200, [9, 9, 9, 9])
    index.add_item(0, [9, 9, 9, 8])
    assert index.build(7) is True
    assert (index.get_n_items(), index.get_n_trees()) == (201, 7)
    assert index.get_nns_by_item(0, 2, EVERYTHING) == [0, 200]


def test_minus_one_tree_is_the_library_s_choice(Index: Any) -> None:
    index = filled(Index, rows(50, 4), "angular", trees=None)
    assert index.build(-1) is True
    assert index.get_n_trees() >= 1


@pytest.mark.parametrize("args", [(), ("a",), (1.5,), (1, "a"), (1, 2, 3)])
def test_what_is_no_number_of_trees(Index: Any, args: tuple[Any, ...]) -> None:
    index = filled(Index, rows(5, 4), "angular", trees=None)
    with pytest.raises(TypeError):
        index.build(*args)


def test_nothing_is_found_before_the_build(Index: Any) -> None:
    index = filled(Index, rows(5, 4), "angular", trees=None)
    assert index.get_nns_by_item(0, 3) == []
    assert index.get_nns_by_item(0, 3, include_distances=True) == ([], [])
    assert index.get_nns_by_vector([1, 2, 3, 4], 3) == []
    assert index.get_nns_by_vector([1, 2, 3, 4], 3, -1, True) == ([], [])
    with pytest.raises(IndexError):
        index.get_nns_by_vector([1, 2], 3)
    with pytest.raises(IndexError):
        index.get_nns_by_item(5, 3)


def test_an_index_without_items_finds_nothing(Index: Any) -> None:
    index = Index(2, "dot")
    assert index.build(3) is True
    assert (index.get_n_items(), index.get_n_trees()) == (0, 3)
    assert index.get_nns_by_vector([1, 2], 3, -1, True) == ([], [])
    with pytest.raises(Exception, match="can't build a built index"):
        index.build(1)


# --- searching


@pytest.mark.parametrize("metric", SERVED)
@pytest.mark.parametrize(("n", "f", "step"), [(1, 3, 1), (9, 40, 1), (40, 8, 3), (1500, 12, 2)])
def test_neighbours_are_the_true_ones(Index: Any, metric: str, n: int, f: int, step: int) -> None:
    vectors = rows(n, f, metric)
    index = filled(Index, vectors, metric, step)
    numbers = np.arange(0, n, step)
    assert index.get_n_items() == numbers[-1] + 1
    for i in numbers[:: max(len(numbers) // 5, 1)].tolist():
        ids, distances = index.get_nns_by_item(i, 7, EVERYTHING, include_distances=True)
        expected = truth(vectors[numbers], vectors[i], metric)
        order = np.sort(-expected if metric == "dot" else expected)[:7]
        told = -np.array(distances) if metric == "dot" else np.array(distances)
        # Annoy takes the root of what float32 holds of 2 - 2 cos.
        np.testing.assert_allclose(told, order, rtol=1e-4, atol=1e-3)
        own = truth(vectors[ids], vectors[i], metric)
        np.testing.assert_allclose(distances, own, rtol=1e-4, atol=1e-3)
        assert len(set(ids)) == len(ids) and set(ids) <= set(numbers.tolist())
        query = vectors[i].tolist()
        assert index.get_nns_by_vector(query, 7, EVERYTHING, True) == (ids, distances)
        assert index.get_nns_by_vector(vectors[i], 7, EVERYTHING) == ids
        if metric != "dot":
            assert i in ids and distances[0] == pytest.approx(0, abs=1e-3), "itself included"


def test_results_are_lists_of_int_and_float(Index: Any) -> None:
    index = filled(Index, rows(30, 4), "euclidean")
    found = index.get_nns_by_item(i=3, n=5, search_k=-1, include_distances=True)
    assert type(found) is tuple and [type(part) for part in found] == [list, list]
    assert {type(i) for i in found[0]} == {int} and {type(d) for d in found[1]} == {float}
    assert all(d == float(np.float32(d)) for d in found[1])
    found = index.get_nns_by_vector(vector=[0, 0, 0, 1], n=5, search_k=-1, include_distances=0)
    assert type(found) is list and {type(i) for i in found} == {int}
    vector = index.get_item_vector(3)
    assert type(vector) is list and {type(x) for x in vector} == {float}
    assert type(index.get_distance(0, 1)) is float
    assert type(index.get_n_items()) is int and type(index.get_n_trees()) is int


@pytest.mark.parametrize("metric", SERVED)
def test_ties_break_by_number(Index: Any, metric: str) -> None:
    index = Index(2, metric)
    for i in (5, 3, 9, 1, 7):
        index.add_item(i, [1, 1])
    index.add_item(0, [0, 1])
    index.build(4)
    assert index.get_nns_by_vector([1, 1], 5, EVERYTHING) == [1, 3, 5, 7, 9]


def test_how_many_come(Index: Any) -> None:
    index = filled(Index, rows(30, 4), "angular", step=3)
    assert index.get_nns_by_item(0, 0) == []
    assert len(index.get_nns_by_item(0, 1)) == 1
    for n in (10, 11, 1000, 2**31 - 1, -1):
        assert sorted(index.get_nns_by_item(0, n, EVERYTHING)) == list(range(0, 30, 3))
    for search_k in (-1, -2, 30, EVERYTHING):
        assert index.get_nns_by_item(0, 4, search_k)[0] == 0


def test_a_hole_is_a_vector_of_zeros(Index: Any) -> None:
    index = Index(2, "euclidean")
    index.add_item(3, [3, 4])
    index.add_item(2, [0, 1])
    index.build(2)
    assert index.get_item_vector(0) == [0.0, 0.0]
    assert index.get_distance(1, 3) == 5.0
    assert index.get_nns_by_item(1, 9, EVERYTHING, True) == ([2, 3], [1.0, 5.0])


@pytest.mark.parametrize("metric", METRICS)
def test_distances_are_annoy_s(Index: Any, metric: str) -> None:
    vectors = rows(12, 6, metric)
    index = filled(Index, vectors, metric, trees=None)
    for i, j in [(0, 1), (3, 11), (11, 3), (5, 5)]:
        expected = truth(vectors[[j]], vectors[i], metric)[0]
        assert index.get_distance(i, j) == pytest.approx(expected, rel=1e-4, abs=1e-3)


def test_distances_of_hand(Index: Any) -> None:
    cases: list[tuple[str, list[float], list[float], float]] = [
        ("angular", [1, 0], [0, 5], 2**0.5),
        ("angular", [1, 0], [-2, 0], 2.0),
        ("angular", [0, 0], [1, 0], 2**0.5),
        ("angular", [0, 0], [0, 0], 2**0.5),
        ("euclidean", [0, 0], [3, 4], 5.0),
        ("manhattan", [0, 0], [3, -4], 7.0),
        ("hamming", [0.4, 0.5], [0.6, -9], 1.0),
        ("dot", [2, 3], [-1, 4], 10.0),
    ]
    for metric, x, y, expected in cases:
        index = Index(2, metric)
        index.add_item(0, x)
        index.add_item(1, y)
        assert index.get_distance(0, 1) == pytest.approx(expected), (metric, x, y)


def test_hamming_keeps_what_is_above_a_half(Index: Any) -> None:
    index = Index(4, "hamming")
    index.add_item(0, [0.5, 0.51, 7, -7])
    assert index.get_item_vector(0) == [0.0, 1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda x: x.get_nns_by_item(-1, 1), IndexError),
        (lambda x: x.get_nns_by_item(30, 1), IndexError),
        (lambda x: x.get_nns_by_item(0), TypeError),
        (lambda x: x.get_nns_by_item(0.0, 1), TypeError),
        (lambda x: x.get_nns_by_item(0, "a"), TypeError),
        (lambda x: x.get_nns_by_item(0, 1, "a"), TypeError),
        (lambda x: x.get_nns_by_item(0, 1, 1, "a"), TypeError),
        (lambda x: x.get_nns_by_item(0, 2**31), OverflowError),
        (lambda x: x.get_nns_by_vector([1, 2, 3], 1), IndexError),
        (lambda x: x.get_nns_by_vector([1, 2, 3, "a"], 1), TypeError),
        (lambda x: x.get_nns_by_vector([1, 2, 3, 4]), TypeError),
        (lambda x: x.get_nns_by_vector(7, 1), TypeError),
        (lambda x: x.get_nns_by_vector([1, 2, 3, 4], 1, include_distances=None), TypeError),
        (lambda x: x.get_item_vector(-1), IndexError),
        (lambda x: x.get_item_vector(30), IndexError),
        (lambda x: x.get_item_vector("a"), TypeError),
        (lambda x: x.get_item_vector(i=0), TypeError),
        (lambda x: x.get_distance(0, 30), IndexError),
        (lambda x: x.get_distance(-1, 0), IndexError),
        (lambda x: x.get_distance(0), TypeError),
        (lambda x: x.get_distance(i=0, j=1), TypeError),
        (lambda x: x.verbose(), TypeError),
        (lambda x: x.verbose("a"), TypeError),
        (lambda x: x.set_seed("a"), TypeError),
        (lambda x: x.set_seed(2**40), OverflowError),
        (lambda x: x.load(7), TypeError),
        (lambda x: x.save(7), TypeError),
        (lambda x: x.save("x", prefault="a"), TypeError),
        (lambda x: x.on_disk_build(7), TypeError),
        (lambda x: len(x), TypeError),
        (lambda x: pickle.dumps(x), TypeError),
    ],
)
def test_wrong_calls_raise_alike(Index: Any, call: Any, error: type) -> None:
    index = filled(Index, rows(30, 4), "angular")
    with pytest.raises(error) as raised:
        call(index)
    assert raised.type is error


def test_the_rest_of_the_calls(Index: Any, capfd: pytest.CaptureFixture[str]) -> None:
    index = Index(2, "angular")
    assert index.verbose(False) is True and index.verbose(0) is True
    assert index.set_seed(42) is None and index.set_seed(-1) is None
    assert index.unload() is True
    assert capfd.readouterr().out == ""


# --- files


def test_saved_and_loaded(Index: Any, tmp_path: Path) -> None:
    vectors = rows(400, 6)
    index = filled(Index, vectors, "euclidean", step=2)
    before = index.get_nns_by_item(10, 5, EVERYTHING, True)
    path = str(tmp_path / "t")
    assert index.save(path) is True
    fresh = Index(6, "euclidean")
    assert fresh.load(fn=path, prefault=True) is True
    for loaded in (index, fresh):
        assert (loaded.get_n_items(), loaded.get_n_trees()) == (399, 10)
        assert loaded.get_nns_by_item(10, 5, EVERYTHING, True) == before
        assert loaded.get_item_vector(10) == vectors[10].tolist()
        assert loaded.get_item_vector(11) == [0.0] * 6
        for call, text in [
            (lambda x: x.add_item(0, [0] * 6), "You can't add an item to a loaded index"),
            (lambda x: x.build(1), "You can't build a loaded index"),
            (lambda x: x.unbuild(), "You can't unbuild a loaded index"),
        ]:
            with pytest.raises(Exception, match=text) as raised:
                call(loaded)
            assert raised.type is Exception
    assert fresh.save(str(tmp_path / "again")) is True
    assert fresh.unload() is True
    assert (fresh.get_n_items(), fresh.get_n_trees()) == (0, 0)
    with pytest.raises(IndexError):
        fresh.get_item_vector(0)


def test_what_cannot_be_saved_or_loaded(Index: Any, tmp_path: Path) -> None:
    index = filled(Index, rows(10, 4), "angular", trees=None)
    with pytest.raises(OSError, match="You can't save an index that hasn't been built"):
        index.save(str(tmp_path / "t"))
    index.build(1)
    with pytest.raises(OSError):
        index.save(str(tmp_path / "none" / "t"))
    (tmp_path / "empty").touch()
    (tmp_path / "odd").write_bytes(b"12345")
    for name in ("missing", "empty", "odd"):
        with pytest.raises(OSError):
            Index(4, "angular").load(str(tmp_path / name))


def test_built_on_disk(Index: Any, tmp_path: Path) -> None:
    path = tmp_path / "t"
    index = Index(3, "euclidean")
    assert index.on_disk_build(fn=str(path)) is True
    for i in range(60):
        index.add_item(i, [i, 0, 0])
    assert index.build(2) is True
    assert index.get_nns_by_item(30, 1) == [30]
    assert index.save(str(path)) is True
    fresh = Index(3, "euclidean")
    fresh.load(str(path))
    assert (fresh.get_n_items(), fresh.get_item_vector(59)) == (60, [59.0, 0.0, 0.0])
    with pytest.raises(OSError):
        Index(3, "euclidean").on_disk_build(str(tmp_path / "none" / "t"))


# --- side by side


@pytest.mark.parametrize("metric", SERVED)
@pytest.mark.parametrize(("n", "f", "step"), [(6, 8, 1), (30, 40, 4), (2000, 16, 1), (900, 20, 5)])
def test_answers_side_by_side(
    both: SimpleNamespace, metric: str, n: int, f: int, step: int
) -> None:
    vectors = rows(n, f, metric, seed=1)
    theirs, ours = (filled(Index, vectors, metric, step) for Index in (both.annoy, both.nearwood))
    assert theirs.get_n_items() == ours.get_n_items()
    assert theirs.get_n_trees() == ours.get_n_trees()
    for query in rows(20, f, metric, seed=2):
        same_neighbours(theirs, ours, vectors, query, metric)


@pytest.mark.parametrize("metric", SERVED)
def test_search_k_finds_at_least_as_much(both: SimpleNamespace, metric: str) -> None:
    f = 64 if metric == "hamming" else 16
    vectors = rows(4000, f, metric, seed=3)
    theirs, ours = (filled(Index, vectors, metric) for Index in (both.annoy, both.nearwood))
    queries = rows(40, f, metric, seed=4)
    # Of equal distances anything counts, as in ann-benchmarks.
    sign = -1 if metric == "dot" else 1
    exact = [sign * truth(vectors, query, metric) for query in queries]
    last = [np.sort(distances)[9] + 1e-5 for distances in exact]

    def found(index: Any, search_k: int) -> int:
        answers = [index.get_nns_by_vector(query, 10, search_k) for query in queries]
        near = (exact[q][ids] <= last[q] for q, ids in enumerate(answers))
        return sum(int(hits.sum()) for hits in near)

    for search_k in (-1, 50, 400, 2000, 8000):
        assert found(ours, search_k) >= found(theirs, search_k), search_k
    assert found(ours, -1) >= 0.9 * 400


def test_the_document_s_python_runs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "from-annoy.md").read_text(encoding="utf-8")
    code = text.split("```python\n")[1].split("```")[0]
    found: dict[str, Any] = {}
    for source in (code, code.replace("from nearwood.annoy import", "from annoy import")):
        exec(compile(source, "from-annoy.md", "exec"), found)
        assert found["ids"] == [0, 2]
