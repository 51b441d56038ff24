"""`nearwood.Index`: building, searching, saving."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
from conftest import clustered, truth

import nearwood as nw

METRICS = ["euclidean", "angular", "dot", "manhattan", "hamming"]


@pytest.mark.parametrize("metric", METRICS)
def test_exact_search_agrees_with_numpy(metric: str) -> None:
    vectors, queries = clustered(500, 17), clustered(20, 17, seed=1)
    index = nw.Index.build(vectors, metric=metric)
    ids, distances = index.search_exact(queries, k=7)
    assert ids.shape == distances.shape == (20, 7)
    assert ids.dtype == np.int64 and distances.dtype == np.float32
    np.testing.assert_allclose(distances, truth(vectors, queries, 7, metric), rtol=1e-4, atol=1e-4)
    one_ids, one_distances = index.search_exact(queries[3], k=7)
    assert one_ids.tolist() == ids[3].tolist()
    np.testing.assert_allclose(one_distances, distances[3], rtol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_recall_at_the_default_is_at_least_nine_tenths(metric: str) -> None:
    vectors, queries = clustered(20000, 32), clustered(200, 32, seed=1)
    index = nw.Index.build(vectors, metric=metric)
    last = truth(vectors, queries, 10, metric)[:, -1:]
    distances = index.search(queries, k=10)[1]
    near = distances >= last - 1e-3 if metric == "dot" else distances <= last + 1e-3
    found = near.mean()
    assert found >= 0.9
    assert abs(index.recall(queries, k=10) - found) < 0.02
    assert index.recall(queries, k=10, budget=20) < index.recall(queries, k=10, budget=15000)
    assert index.recall(queries, recall=1.0) == 1.0


def test_a_batch_answers_as_single_queries_do(vectors: np.ndarray, index: nw.Index) -> None:
    queries = clustered(40, 24, seed=2)
    for options in ({}, {"recall": 0.8}, {"budget": 500}, {"n_threads": 1}):
        ids, distances = index.search(queries, 5, **options)
        for row, query in enumerate(queries):
            one = index.search(query, 5, **options)
            assert one[0].tolist() == ids[row].tolist()
            assert one[1].tolist() == distances[row].tolist()


def test_a_long_batch_is_parted_and_joined(vectors: np.ndarray) -> None:
    index = nw.Index.build(vectors[:, :4])
    queries = np.tile(vectors[:, :4], (3, 1))
    ids, _ = index.search(queries, 2, budget=300)
    assert ids.shape == (9000, 2)
    assert (ids[:3000] == ids[6000:]).all()
    assert (ids[:3000] == index.search(queries[:3000], 2, budget=300)[0]).all()


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "uint8", "int8", "int64"])
@pytest.mark.parametrize("layout", ["C", "F", "strided", "reversed", "list"])
def test_every_dtype_and_layout(dtype: str, layout: str) -> None:
    rng = np.random.default_rng(3)
    plain = rng.integers(0, 100, size=(60, 8)).astype(dtype)
    wanted = nw.Index.build(plain.astype(np.float32)).to_bytes()
    wide = np.zeros((120, 16), dtype=dtype)
    wide[::2, ::2] = plain
    given = {
        "C": plain,
        "F": np.asfortranarray(plain),
        "strided": wide[::2, ::2],
        "reversed": np.ascontiguousarray(plain[::-1])[::-1],
        "list": plain.tolist(),
    }[layout]
    index = nw.Index.build(given)
    assert index.to_bytes() == wanted
    query = given[5]
    assert index.search(query, 1)[0].tolist() == [5]
    assert index.search(given, 1)[0].shape == (60, 1)


def test_other_buffers_and_frames() -> None:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    plain = clustered(30, 4)
    wanted = nw.Index.build(plain).to_bytes()
    frame = pd.DataFrame(plain)
    assert nw.Index.build(frame).to_bytes() == wanted
    assert nw.Index.build(pl.DataFrame(plain)).to_bytes() == wanted
    assert nw.Index.build(memoryview(plain)).to_bytes() == wanted
    series = pl.Series("v", plain.tolist(), dtype=pl.Array(pl.Float32, 4))
    assert nw.Index.build(series.to_numpy()).to_bytes() == wanted
    tensor = pa.Tensor.from_numpy(plain)
    assert nw.Index.build(tensor).to_bytes() == wanted


@pytest.mark.parametrize(
    ("vectors", "text"),
    [
        (np.zeros(5), r"1 dimensions, shape \(5,\): expected 2"),
        (np.zeros((2, 3, 4)), r"3 dimensions, shape \(2, 3, 4\)"),
        (np.zeros((0, 4)), "no vectors"),
        (np.zeros((4, 0)), "dimension 0"),
        ([], "1 dimensions"),
        ([[0, np.nan]], "row 0, column 1 is NaN"),
        ([[0, 1], [np.inf, 1]], "row 1, column 0 is inf"),
        ([[0, 1e300]], "row 0, column 1 is inf"),
    ],
)
def test_vectors_that_cannot_be_indexed(vectors: object, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        nw.Index.build(vectors)


@pytest.mark.parametrize("vectors", ["text", [["a", "b"]], np.zeros((2, 2), "M8[s]"), None, 1j])
def test_what_is_not_numbers(vectors: object) -> None:
    with pytest.raises(TypeError, match="expected numbers"):
        nw.Index.build(vectors)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"metric": "jaccard"}, r'expected "euclidean" \("l2"\), "angular" \("cosine"\), "dot"'),
        ({"ids": [1, 2]}, "got 2 ids for 3 rows"),
        ({"ids": [1, 2, 1]}, "id 1 is given twice"),
        ({"ids": [1, -1, 2]}, "row 1 has id -1"),
        ({"ids": ["a", 1, "b"]}, "either integers or strings"),
        ({"ids": [1.5, 2, 3]}, "row 0 is 1.5"),
        ({"ids": np.zeros(3)}, "either integers or strings"),
        ({"ids": np.zeros((3, 1), int)}, "2 dimensions"),
        ({"ids": np.array([1, 2, 2**63], np.uint64)}, "ids are at most"),
        ({"ids": [None, "a", "b"]}, "row 0 is None"),
        ({"labels": ["a"]}, "labels has 1 names, expected 3"),
        ({"n_trees": 0}, "n_trees is 0"),
        ({"n_trees": -1}, "n_trees is -1, expected 0 or more"),
        ({"leaf_size": 1}, "leaf_size is 1"),
        ({"calibration_queries": np.zeros((4, 3))}, "3 columns, expected 2"),
    ],
)
def test_arguments_that_are_refused(options: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        nw.Index.build(np.eye(3, 2), **options)


def test_questions_that_are_refused(index: nw.Index) -> None:
    query = np.zeros(24, np.float32)
    cases = [
        ((query,), {"k": 0}, "k is 0"),
        ((query, -3), {}, "k is -3"),
        ((query[:5],), {}, "the query has 5 values"),
        ((np.zeros((2, 5)),), {}, r"shape \(2, 5\), expected \(24,\) or \(m, 24\)"),
        ((np.zeros((1, 1, 24)),), {}, r"shape \(1, 1, 24\)"),
        ((np.full(24, np.nan),), {}, "query 0 has NaN in column 0"),
        ((np.full((2, 24), np.inf),), {}, "has inf"),
        ((query,), {"recall": 0.0}, "recall is 0"),
        ((query,), {"recall": 1.5}, "recall is 1.5, expected above 0, at most 1"),
        ((query,), {"recall": float("nan")}, "recall is NaN"),
        ((query,), {"budget": 0}, "budget is 0"),
        ((query,), {"budget": 5, "recall": 0.5}, "at most one"),
        ((query,), {"filter": np.ones(7, bool)}, "mask has 7 values, expected 3000"),
        ((query,), {"filter": ["a"]}, "filter's ids are strings"),
        ((query,), {"k": 2**40}, "k is"),
    ]
    for args, options, text in cases:
        with pytest.raises(ValueError, match=text):
            index.search(*args, **options)
    with pytest.raises(TypeError):
        index.search("text")
    with pytest.raises(TypeError):
        index.search(query, 1.5)


def test_an_empty_batch_gives_empty_arrays(index: nw.Index) -> None:
    ids, distances = index.search(np.zeros((0, 24), np.float32), k=3)
    assert ids.shape == distances.shape == (0, 3)
    assert index.search_ids([], k=3)[0].shape == (0, 3)


@pytest.mark.parametrize("metric", METRICS)
def test_too_few_results_are_filled(metric: str) -> None:
    far = -np.inf if metric == "dot" else np.inf
    index = nw.Index.build(np.eye(3), metric=metric)
    ids, distances = index.search(np.ones(3), k=5)
    assert sorted(ids[:3].tolist()) == [0, 1, 2]
    assert ids[3:].tolist() == [-1, -1] and distances[3:].tolist() == [far, far]
    named = nw.Index.build(np.eye(3), metric=metric, ids=list("abc"))
    for queries in (np.ones(3), np.ones((2, 3))):
        ids, distances = named.search(queries, k=4)
        assert ids.dtype == object and ids[..., 3].tolist() in (None, [None, None])
        assert np.all(distances[..., 3] == far)


def test_filters(vectors: np.ndarray, index: nw.Index) -> None:
    query = vectors[11]
    mask = np.zeros(len(index), bool)
    mask[[5, 11, 17, 2999]] = True
    wanted = index.search(query, k=6, filter=mask)[0]
    assert wanted[0] == 11 and set(wanted[:4]) == {5, 11, 17, 2999}
    assert wanted[4:].tolist() == [-1, -1]
    for same in ([5, 11, 17, 2999], np.array([5, 11, 17, 2999], np.uint16), nw.Filter(mask)):
        for _ in range(2):
            assert index.search(query, k=6, filter=same)[0].tolist() == wanted.tolist()
    unknown = nw.Filter([11, 10**9])
    assert len(unknown) == 2
    assert index.search(query, k=2, filter=unknown)[0].tolist() == [11, -1]
    assert index.search_exact(query, k=2, filter=unknown)[0].tolist() == [11, -1]
    assert index.search(query, k=1, filter=[])[0].tolist() == [-1]
    other = nw.Index.build(np.eye(24), ids=range(100, 124))
    shared = nw.Filter([11, 103])
    assert other.search(query, k=2, filter=shared)[0].tolist() == [103, -1]
    assert index.search(query, k=2, filter=shared)[0].tolist() == [11, 103]
    half = np.arange(len(index)) % 2 == 0
    ids, distances = index.search(vectors[:50], k=10, filter=half)
    assert (ids % 2 == 0).all() and np.isfinite(distances).all()


@pytest.mark.parametrize(
    "ids",
    [
        [7, -5, 9],
        (7, -5, 9),
        np.array([7, -5, 9], np.int8),
        np.array([7, 200, 9], np.uint8),
        np.array([7, 2**40, 9], np.uint64),
        np.array([7, 8, 9], object),
        range(3),
    ],
)
def test_integer_ids(ids: object) -> None:
    index = nw.Index.build(np.eye(3), ids=ids)
    wanted = [int(i) for i in ids]
    assert index.ids.dtype == np.int64 and index.ids.tolist() == wanted
    assert all(i in index and np.int64(i) in index for i in wanted)
    assert "7" not in index and 12345 not in index and 1.5 not in index and None not in index
    np.testing.assert_array_equal(index.vector(wanted[1]), [0, 1, 0])
    np.testing.assert_array_equal(index.vectors(wanted[::-1]), np.eye(3)[::-1])
    assert index.search(np.eye(3)[2], 1)[0].tolist() == wanted[2:]


def test_string_ids() -> None:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    names = ["é", "b", "7"]
    kinds = [
        names,
        np.array(names),
        np.array(names, object),
        pd.Index(names),
        pd.Series(names),
        pl.Series(names),
        pa.array(names),
    ]
    for ids in kinds:
        index = nw.Index.build(np.eye(3), ids=ids)
        assert index.ids.dtype == object and index.ids.tolist() == names
        assert "é" in index and 7 not in index
        found, _ = index.search_ids("b", k=2)
        assert found.shape == (2,) and set(found) == {"é", "7"}
        assert index.search_ids(ids, k=1, include_self=True)[0].tolist() == [["é"], ["b"], ["7"]]


def test_unknown_ids_are_key_errors_for_people(index: nw.Index) -> None:
    calls = [
        lambda: index.vector(10**6),
        lambda: index.vectors([1, 10**6]),
        lambda: index.search_ids(10**6),
        lambda: index.search_ids([10**6]),
        lambda: index.label(10**6),
    ]
    for call in calls:
        with pytest.raises(KeyError) as caught:
            call()
        assert isinstance(caught.value, nw.UnknownIdError)
        assert str(caught.value) == "there is no id 1000000: the 3000 ids are integers"
    with pytest.raises(KeyError, match="no item nobody"):
        index.find("nobody")
    with pytest.raises(KeyError, match='no id "x"'):
        index.vector("x")
    with pytest.raises(TypeError, match="expected int or str"):
        index.vector(1.5)


def test_neighbours_of_ids_leave_themselves_out(vectors: np.ndarray, index: nw.Index) -> None:
    ids, _ = index.search_ids([3, 4], k=5, recall=1.0)
    assert ids.shape == (2, 5) and 3 not in ids[0] and 4 not in ids[1]
    with_self, _ = index.search_ids(3, k=6, include_self=True, recall=1.0)
    assert with_self[0] == 3 and with_self[1:].tolist() == ids[0].tolist()
    only = index.search_ids(np.int32(3), k=2, filter=[3, 9])[0]
    assert only.tolist() == [9, -1]


def test_labels() -> None:
    index = nw.Index.build(np.eye(3), ids=[1, 2, 3], labels=["one", "twin", "twin"])
    assert index.labels == ["one", "twin", "twin"] and index.label(2) == "twin"
    assert index.find("one") == 1 and index.find("3") == 3
    with pytest.raises(ValueError, match=r'label "twin" belongs to 2 ids: 2, 3'):
        index.find("twin")
    bare = nw.Index.build(np.eye(2))
    assert bare.labels is None and bare.label(0) is None


def test_facts(index: nw.Index) -> None:
    assert len(index) == 3000 and index.dim == 24 and index.n_trees == 1
    assert index.metric == "euclidean" == nw.Metric.EUCLIDEAN
    assert repr(index) == "Index(3000 vectors of 24, euclidean, 1 tree)"
    info = index.info()
    assert info["n"] == 3000 and info["dim"] == 24 and info["leaf_size"] == 400
    assert info["bytes"] == len(index.to_bytes()) and info["content"] == "index"
    assert nw.Index.build(np.eye(2), metric=nw.Metric.DOT, n_trees=3).info()["n_trees"] == 3
    assert str(nw.Metric.DOT) == "dot"


def test_seed_and_threads() -> None:
    vectors = clustered(5000, 12)
    make = [nw.Index.build(vectors, n_trees=2, seed=5, n_threads=n).to_bytes() for n in (1, 2, 5)]
    assert make[0] == make[1] == make[2]
    assert make[0] != nw.Index.build(vectors, n_trees=2, seed=6).to_bytes()


def test_a_saved_index_answers_the_same(tmp_path: Path, index: nw.Index) -> None:
    path = tmp_path / "songs.nw"
    index.save(path)
    index.save(str(path))
    assert path.read_bytes() == index.to_bytes()
    nw.Index.verify(path)
    queries = clustered(10, 24, seed=4)
    wanted = index.search(queries, 5)
    copies = [
        nw.Index.open(path),
        nw.Index.open(str(path), prefault=True, verify=True),
        nw.Index.from_bytes(path.read_bytes()),
        nw.Index.from_bytes(bytearray(path.read_bytes())),
        nw.Index.from_bytes(memoryview(path.read_bytes())),
        pickle.loads(pickle.dumps(index)),
        copy.copy(index),
        copy.deepcopy(index),
    ]
    for other in copies:
        got = other.search(queries, 5)
        assert (got[0] == wanted[0]).all() and (got[1] == wanted[1]).all()
    assert [p.name for p in tmp_path.iterdir()] == ["songs.nw"]


def test_building_into_a_file(tmp_path: Path, vectors: np.ndarray, index: nw.Index) -> None:
    built = nw.Index.build(vectors, path=tmp_path / "i.nw")
    assert built.to_bytes() == index.to_bytes() == (tmp_path / "i.nw").read_bytes()
    with pytest.raises(FileNotFoundError):
        nw.Index.build(vectors, path=tmp_path / "no" / "i.nw")


def test_damaged_and_foreign_files(tmp_path: Path, index: nw.Index, rec: nw.Recommender) -> None:
    whole = index.to_bytes()
    path = tmp_path / "x.nw"
    for content in (b"", b"hello", b"x" * 5000, whole[:100], whole[:-1], whole + b"x"):
        path.write_bytes(content)
        with pytest.raises(nw.FormatError):
            nw.Index.open(path)
        with pytest.raises(ValueError):
            nw.Index.from_bytes(content)
    path.write_bytes(whole[:8] + b"\0\0" + whole[10:])
    with pytest.raises(nw.FormatError, match=r"format version 0, from before .* build it again"):
        nw.Index.open(path)
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    path.write_bytes(damaged)
    nw.Index.open(path)
    for check in (lambda: nw.Index.verify(path), lambda: nw.Index.open(path, verify=True)):
        with pytest.raises(nw.FormatError, match="checksum"):
            check()
    with pytest.raises(FileNotFoundError) as caught:
        nw.Index.open(tmp_path / "none.nw")
    assert caught.value.errno == 2 and "none.nw" in str(caught.value)
    with pytest.raises(OSError):
        nw.Index.open(tmp_path)
    with pytest.raises(TypeError):
        nw.Index.from_bytes(5)
    with pytest.raises(TypeError):
        nw.Index.open(5.5)


def test_a_file_replaced_under_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "i.nw"
    nw.Index.build(np.eye(4), ids=[10, 11, 12, 13], path=path)
    reader = nw.Index.open(path)
    nw.Index.build(np.eye(4)[::-1], ids=[10, 11, 12, 13]).save(path)
    assert reader.search(np.eye(4)[0], 1)[0].tolist() == [10]
    assert nw.Index.open(path).search(np.eye(4)[0], 1)[0].tolist() == [13]


def test_progress(vectors: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[int, int]] = []
    nw.Index.build(vectors, n_trees=3, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (100, 100) and len(seen) > 5
    assert {total for _, total in seen} == {100} and len(set(seen)) == len(seen)
    nw.Index.build(vectors, progress=True)
    assert capsys.readouterr().err == "", "no bar without a terminal"

    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        seen.append((done, total))
        raise Stop

    seen.clear()
    with pytest.raises(Stop):
        nw.Index.build(vectors, n_trees=3, progress=stop)
    assert len(seen) == 1
    with pytest.raises(TypeError, match="callable"):
        nw.Index.build(vectors, progress=5)


def test_the_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    nw.Index.build(np.eye(4), n_trees=2, progress=True)
    text = capsys.readouterr().err
    # By tqdm where it is installed: see test_progress.py.
    assert "building" in text and "100/100" in text and text.endswith("\n")


def test_calibration_queries_change_the_calibration() -> None:
    vectors = clustered(4000, 16)
    plain = nw.Index.build(vectors, metric="dot")
    queries = np.random.default_rng(0).normal(size=(300, 16))
    told = nw.Index.build(vectors, metric="dot", calibration_queries=queries)
    assert plain.info()["calibration"] != told.info()["calibration"]


@pytest.mark.parametrize("name", ["siftsmall", "factors-a1"])
def test_recall_on_real_vectors(name: str, real_data: Path) -> None:
    base = np.load(real_data / name / "base.npy")
    queries = np.load(real_data / name / "queries.npy")[:200]
    metric, users = ("dot", queries) if name.startswith("factors") else ("euclidean", None)
    index = nw.Index.build(base, metric=metric, calibration_queries=users)
    assert index.recall(queries, k=10) >= 0.9
