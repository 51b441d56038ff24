"""Arrow columns in, interactions out as Arrow, answers as frames, and what notebooks show."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from conftest import clustered

import nearwood as nw
import nearwood.frames
from nearwood import _html

VECTORS = clustered(200, 6)
IDS = [f"s{i}" for i in range(len(VECTORS))]


def fixed(vectors: np.ndarray = VECTORS) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])


class Bare:
    """Nothing but one method of the Arrow C data interface."""

    def __init__(self, of: Any, method: str) -> None:
        setattr(type(self), method, lambda _, *schema: getattr(of, method)(*schema))


def bare(of: Any, method: str) -> Any:
    return type("Bare", (Bare,), {})(of, method)


def duck(select: str) -> duckdb.DuckDBPyRelation:
    songs = pa.table({"row": range(len(VECTORS)), "id": IDS, "vector": fixed()})
    connection = duckdb.connect()
    connection.register("songs", songs)
    return connection.sql(f"select {select} from songs order by row")


def columns_of_vectors() -> dict[str, Any]:
    lists = VECTORS.tolist()
    parts = pa.chunked_array([fixed()[:50], fixed()[:0], fixed()[50:]])
    narrow = pa.array(lists, pa.list_(pa.float32()))
    return {
        "fixed-size lists": fixed(),
        "lists": narrow,
        "large lists": pa.array(lists, pa.large_list(pa.float32())),
        "list views": pa.array(lists, pa.list_view(pa.float32())),
        "doubles": pa.array(lists),
        "sliced": pa.concat_arrays([fixed()[:9], fixed()])[9:],
        "sliced lists": pa.concat_arrays([narrow[:9], narrow])[9:],
        "chunks": parts,
        "chunks of lists": pa.chunked_array([narrow[:50], narrow[50:]]),
        "table of one column": pa.table({"vector": fixed()}),
        "reader": pa.table({"vector": parts}).to_reader(),
        "tensors": pa.ExtensionArray.from_storage(
            pa.fixed_shape_tensor(pa.float32(), [VECTORS.shape[1]]), fixed()
        ),
        "table of numbers": pa.table({f"x{i}": VECTORS[:, i] for i in range(VECTORS.shape[1])}),
        "polars arrays": pl.Series(VECTORS),
        "polars lists": pl.Series(lists),
        "polars frame": pl.DataFrame({"vector": VECTORS}),
        "pandas frame": pd.DataFrame(VECTORS),
        "pandas arrays": pd.Series(list(VECTORS)),
        "pandas lists": pd.Series(lists),
        "pandas arrow": pd.Series(fixed(), dtype=pd.ArrowDtype(fixed().type)),
        "duckdb": duck("vector"),
        "duckdb lists": duck("vector::float[]"),
        "bare array": bare(fixed(), "__arrow_c_array__"),
        "bare stream": bare(parts, "__arrow_c_stream__"),
    }


@pytest.fixture(scope="module")
def bytes_of_numpy() -> bytes:
    return nw.Index.build(VECTORS).to_bytes()


@pytest.mark.parametrize("kind", list(columns_of_vectors()))
def test_vectors_in(kind: str, bytes_of_numpy: bytes) -> None:
    assert nw.Index.build(columns_of_vectors()[kind]).to_bytes() == bytes_of_numpy


@pytest.mark.parametrize("kind", ["fixed-size lists", "polars lists", "duckdb", "bare stream"])
def test_queries_in(kind: str) -> None:
    index = nw.Index.build(VECTORS)
    ids, distances = index.search(columns_of_vectors()[kind], k=3)
    wanted = index.search(VECTORS, k=3)
    assert ids.tolist() == wanted[0].tolist() and distances.tolist() == wanted[1].tolist()
    assert index.search(fixed()[:0], k=3)[0].shape == (0, 3)
    assert index.search(bare(pa.array(VECTORS[7]), "__arrow_c_array__"), k=1)[0] == [7]


def test_ids_labels_and_filters_in() -> None:
    strings = [
        pa.array(IDS),
        pa.array(IDS).dictionary_encode(),
        pl.Series(IDS),
        pd.Series(IDS),
        duck("id"),
        bare(pa.array(IDS, pa.string_view()), "__arrow_c_array__"),
    ]
    for column in strings:
        index = nw.Index.build(VECTORS, ids=column, labels=column)
        assert index.ids.tolist() == index.labels == IDS
        assert index.search(VECTORS[3], k=1, filter=column)[0] == ["s3"]
    numbers = [pa.array(range(200), pa.uint8()), duck("row"), pl.Series(range(200))]
    for column in numbers:
        assert nw.Index.build(VECTORS, ids=column).ids.tolist() == list(range(200))
    index, even = nw.Index.build(VECTORS), np.arange(200) % 2 == 0
    for mask in (pa.array(even), pl.Series(even), duck("row % 2 = 0")):
        got = index.search(VECTORS[3], k=5, filter=mask)[0].tolist()
        assert got == index.search(VECTORS[3], k=5, filter=even)[0].tolist()


def test_packed_bits_in() -> None:
    bits = np.packbits(clustered(200, 64) > 0, axis=1)
    got = nw.Index.build(fixed(bits), metric="hamming", packed=True)
    assert got.to_bytes() == nw.Index.build(bits, metric="hamming", packed=True).to_bytes()


@pytest.mark.parametrize(
    ("column", "error", "text"),
    [
        ([[1.0, 2.0], [1.0]], ValueError, "row 1 has 1 values, expected 2 as in the rows before"),
        ([[1.0, 2.0], None], ValueError, "row 1 is null or has a null in it"),
        ([[1.0, 2.0], [None, 2.0]], ValueError, "row 1 is null or has a null in it"),
        ([["a"], ["b"]], TypeError, "holds lists of Utf8, expected numbers"),
        ([], ValueError, "dimension 0"),
    ],
)
def test_lists_that_are_refused(column: list[Any], error: type[Exception], text: str) -> None:
    kind = pa.list_(pa.float32()) if not column else None
    with pytest.raises(error, match=text):
        nw.Index.build(pa.array(column, kind))


def test_columns_that_are_refused(tmp_path: Path) -> None:
    cases = [
        (pa.chunked_array([pa.array([[1.0, 2.0]]), pa.array([[1.0]])]), "row 1 has 1 values"),
        (pa.chunked_array([fixed()[:9], pa.array([None], fixed().type)]), "row 9 is null"),
        (duck("row, vector"), "the table has the columns row, vector, expected one"),
        (pd.Series([[1.0, 2.0], [1.0]]), "row 1 has 1 values, expected 2 as in the rows before"),
    ]
    for column, text in cases:
        with pytest.raises(ValueError, match=text):
            nw.Index.build(column)
    with pytest.raises(ValueError, match="row 1: the id is null"):
        nw.Index.build(VECTORS[:2], ids=bare(pa.array([1, None]), "__arrow_c_array__"))
    with pytest.raises(ValueError, match="vectors are an Arrow column: with memory_limit"):
        nw.Index.build(fixed(), path=tmp_path / "v.nw", memory_limit=1 << 30)


def interactions(times: list[int] | None = None) -> nw.Interactions:
    users = ["ann", "cy", "ann", "bob"]
    return nw.Interactions.from_columns(users, [20, 10, 10, 20], [3, 1, 2, 5], times)


def test_interactions_out() -> None:
    data = interactions([5, 6, 7, 8])
    rows = [("ann", 20, 3.0, 5), ("ann", 10, 2.0, 7), ("cy", 10, 1.0, 6), ("bob", 20, 5.0, 8)]
    assert pl.DataFrame(data).rows() == rows
    assert [tuple(row.values()) for row in pa.table(data).to_pylist()] == rows
    assert duckdb.sql("select * from data").fetchall() == rows
    assert list(pd.DataFrame.from_arrow(data).itertuples(index=False, name=None)) == rows
    assert pl.DataFrame(data).columns == ["user", "item", "weight", "time"]
    schema = pa.table(data).schema
    assert schema.types == [pa.string(), pa.int64(), pa.float32(), pa.int64()]
    assert pa.table(interactions()).column_names == ["user", "item", "weight"]


def test_a_stream_of_many_batches_is_the_whole() -> None:
    rng = np.random.default_rng(0)
    user, item = rng.integers(3000, size=(2, 150_000))
    weight = rng.random(user.size, dtype=np.float32)
    data = nw.Interactions.from_columns(user, item, weight)
    every_other = sp.csr_array((weight, (2 * user, item)))
    for one in (data, nw.Interactions.from_matrix(every_other)):
        table, matrix = pa.table(one), one.to_scipy().tocoo()
        assert len(table["user"].chunks) == -(-one.nnz // 65536) > 1
        assert (table["user"].to_numpy() == one.user_ids[matrix.row]).all()
        assert (table["item"].to_numpy() == one.item_ids[matrix.col]).all()
        assert (table["weight"].to_numpy() == matrix.data).all()
    assert pa.table(nw.Interactions.from_columns([], [])).num_rows == 0


def test_interactions_out_and_in_again() -> None:
    data = interactions([5, 6, 7, 8])
    columns = {"user": "user", "item": "item", "weight": "weight", "time": "time"}
    again = nw.Interactions.from_frame(data, **columns)
    assert sorted(pl.DataFrame(again).rows()) == sorted(pl.DataFrame(data).rows())


def test_a_schema_that_is_asked_for() -> None:
    wide = pa.schema([("user", pa.large_string()), ("item", pa.int32()), ("weight", pa.float64())])
    assert pa.RecordBatchReader.from_stream(interactions(), wide).read_all().schema.types == [
        pa.large_string(),
        pa.int32(),
        pa.float64(),
    ]


def rows(table: Any) -> list[tuple[Any, ...]]:
    if isinstance(table, pd.DataFrame):
        return list(table.itertuples(index=False, name=None))
    return [tuple(row.values()) for row in pa.table(table).to_pylist()]


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_answers_as_frames(library: str) -> None:
    index = nw.Index.build([[0, 1], [1, 0], [3, 0]], ids=["n", "e", "ee"])
    asked = {"library": library, "labels": index}
    frame = nw.to_frame(*index.search([[1, 0], [0, 1]], k=5), ["east", "north"], **asked)
    assert type(frame).__module__.startswith(library)
    assert [row[:3] for row in rows(frame)] == [
        ("east", "e", 1),
        ("east", "n", 2),
        ("east", "ee", 3),
        ("north", "n", 1),
        ("north", "e", 2),
        ("north", "ee", 3),
    ]
    assert [row[3] for row in rows(frame)[:3]] == pytest.approx([0, 2**0.5, 2])
    names = list(frame.column_names if library == "pyarrow" else frame.columns)
    assert names == ["query", "id", "rank", "distance", "label"]


def test_numbers_of_queries_and_what_is_missing() -> None:
    index = nw.Index.build([[0.0], [1.0], [5.0]], labels=["a", "b", "a"])
    one = nw.to_frame(*index.search([0.2], k=9, filter=[2, 1]), labels=index)
    assert rows(one) == [(0, 1, 1, pytest.approx(0.8), "b"), (0, 2, 2, pytest.approx(4.8), "a")]
    assert rows(nw.to_frame(*index.search([0.2], k=1), "mine"))[0][:3] == ("mine", 0, 1)
    found = index.radius([[0.4], [9.0], [5.0]], 1)
    near = nw.to_frame([ids for ids, _ in found], [distances for _, distances in found])
    assert [row[:3] for row in rows(near)] == [(0, 0, 1), (0, 1, 2), (2, 2, 1)]
    nobody = nw.to_frame([], [], [])
    assert len(nobody) == 0 and nobody.dtypes.astype(str).tolist()[1::2] == ["int64", "float32"]
    none = nw.to_frame(*index.search(np.empty((0, 1)), k=3), library="polars")
    assert none.shape == (0, 4)


def test_recommendations_as_a_frame(rec: nw.Recommender, tmp_path: Path) -> None:
    columns = ("user", "item", "rank", "score")
    frame = nw.to_frame(
        *rec.recommend_all(5), rec.users, columns=columns, labels=rec, library="polars"
    )
    rec.recommend_all(5, out=tmp_path / "recs.parquet")
    written = pl.read_parquet(tmp_path / "recs.parquet")
    assert frame.drop("label").rows() == written.rows() and frame.columns[:4] == written.columns
    assert frame["label"].to_list() == [f"Song {item}" for item in frame["item"]]


def test_frames_that_are_refused() -> None:
    ids, distances = nw.Index.build(VECTORS).search(VECTORS[:4], k=3)
    cases: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
        ((ids, distances[:, :2]), {}, "ids and distances differ in shape"),
        ((ids, distances, [1, 2]), {}, r"queries has shape \(2,\), expected \(4,\)"),
        ((ids, distances), {"columns": ("a", "b", "c", "a")}, "expected four different names"),
        (
            (ids, distances),
            {"columns": ("label", "b", "c", "d"), "labels": nw.Index.build(VECTORS)},
            "expected none called 'label' beside labels=",
        ),
        ((ids, distances), {"library": "dask"}, "expected one of pandas, polars, pyarrow"),
    ]
    for args, options, text in cases:
        with pytest.raises(ValueError, match=text):
            nw.to_frame(*args, **options)


def test_without_a_library_it_says_what_to_install() -> None:
    script = "import sys, nearwood; sys.modules['polars'] = None; " + (
        "nearwood.to_frame([1], [0.5], library='polars')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "pip install 'nearwood[frames]'" in done.stderr.splitlines()[-1]


def shown(thing: Any) -> dict[str, str]:
    """The rows of what a notebook shows."""
    lines = ElementTree.fromstring(thing._repr_html_()).iter("tr")
    return {line[0].text or "": line[1].text or "" for line in lines}


def test_what_notebooks_show_of_an_index() -> None:
    index = nw.Index.build(clustered(1500, 6), metric="angular", graph=True, storage="float16")
    rows = shown(index)
    assert rows["vectors"] == "1,500" and rows["dimension"] == "6"
    assert rows["metric"] == "angular" and rows["storage"] == "float16"
    assert rows["graph"] == "yes" and rows["trees"].startswith("1, with")
    assert rows["size"].endswith("kB, in memory")


def test_what_notebooks_show_of_data_and_models(rec: nw.Recommender) -> None:
    rows = shown(interactions([1, 2, 3, 4]))
    assert (rows["users"], rows["items"], rows["interactions"]) == ("3", "2", "4")
    assert rows["density"] == "66.7 %" and rows["times"] == "yes"
    assert shown(interactions())["times"] == "no"
    model = nw.AlternatingLeastSquares(factors=2, iterations=4)
    assert shown(model)["trained"] == "no" and shown(model)["regularization"] == "0.01"
    rows = shown(model.fit(interactions(), progress=False))
    assert (rows["users"], rows["items"], rows["factors"]) == ("3", "2", "2")
    assert rows["loss after 4 epochs"].endswith(f"{model.loss_history[-1]:,.6g}")
    rows = shown(rec)
    assert (rows["users"], rows["items"], rows["factors"]) == ("120", "60", "8")
    assert "loss after 15 epochs" in rows and rows["labels"] == "yes"


def test_what_notebooks_show_is_escaped() -> None:
    assert "<b>" not in _html._table("<b>", {"<b>": "<b>"})


def test_the_examples_in_the_docstrings_run() -> None:
    done = doctest.testmod(nearwood.frames)
    assert done.attempted > 0 and done.failed == 0
