"""Columns, masks, ids, numbers, names and histories of every make, in every call with them."""

from __future__ import annotations

import copy
import pickle
import sys
import uuid
import warnings
from collections import ChainMap, Counter, UserDict, deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
import ml_dtypes
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp

import nearwood as nw

VECTORS = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
#: Wanted by every mask: neither rows 0 nor 1, which are what a mask read as ids would name.
WANTED = [2, 4]
MASK = [row in WANTED for row in range(6)]
UUIDS = [uuid.UUID(int=(1 << 100) + row) for row in range(6)]


def duck(values: Any) -> duckdb.DuckDBPyRelation:
    table = pa.table({"row": range(len(values)), "x": values})
    connection = duckdb.connect()
    connection.register("given", table)
    return connection.sql("select x from given order by row")


# Masks.

MASKS: dict[str, Callable[[], Any]] = {
    "numpy": lambda: np.array(MASK),
    "numpy objects": lambda: np.array(MASK, object),
    "numpy bools in a list": lambda: [np.bool_(one) for one in MASK],
    "list": lambda: MASK,
    "tuple": lambda: tuple(MASK),
    "generator": lambda: (one for one in MASK),
    "deque": lambda: deque(MASK),
    "map": lambda: map(bool, [0, 0, 1, 0, 1, 0]),
    "view of values": lambda: dict(enumerate(MASK)).values(),
    "strided": lambda: np.repeat(MASK, 2)[::2],
    "memoryview": lambda: memoryview(np.array(MASK)),
    "sparse": lambda: sp.csr_array(np.array([MASK])),
    "sparse column": lambda: sp.coo_array(np.array(MASK)[:, None]),
    "masked array": lambda: np.ma.masked_array(MASK, mask=False),
    "pandas": lambda: pd.Series(MASK),
    "pandas objects": lambda: pd.Series(MASK, dtype=object),
    "pandas reindexed": lambda: (
        pd.Series({2: True, 4: True, 9: False}).reindex(range(6)).fillna(False)
    ),
    "pandas mapped": lambda: pd.Series(range(6)).map({2: True, 4: True}).fillna(False),
    "pandas boolean": lambda: pd.Series(MASK, dtype="boolean"),
    "pandas arrow": lambda: pd.Series(MASK, dtype="bool[pyarrow]"),
    "pandas sparse": lambda: pd.Series(pd.arrays.SparseArray(MASK)),
    "pandas category": lambda: pd.Series(MASK, dtype="category"),
    "pandas index": lambda: pd.Index(MASK),
    "pandas array": lambda: pd.array(MASK, dtype="boolean"),
    "polars": lambda: pl.Series(MASK),
    "polars objects": lambda: pl.Series(MASK, dtype=pl.Object),
    "polars frame": lambda: pl.DataFrame({"mask": MASK}),
    "arrow": lambda: pa.array(MASK),
    "arrow scalars": lambda: list(pa.array(MASK)),
    "arrow chunks": lambda: pa.chunked_array([MASK[:2], MASK[2:]]),
    "arrow table": lambda: pa.table({"mask": MASK}),
    "arrow reader": lambda: pa.table({"mask": MASK}).to_reader(),
    "arrow runs": lambda: pa.RunEndEncodedArray.from_arrays(
        [2, 3, 4, 5, 6], pa.array([False, True, False, True, False])
    ),
    "duckdb": lambda: duck(MASK),
}


@pytest.fixture(scope="module")
def index() -> nw.Index:
    return nw.Index.build(VECTORS)


@pytest.fixture(scope="module")
def texts() -> nw.Index:
    return nw.Index.build(VECTORS, ids=list("abcdef"))


@pytest.fixture(scope="module")
def small() -> nw.Recommender:
    """Users 0 to 6 and items 0 to 5: each user has two items, and the last all."""
    users = [u for u in range(6) for _ in range(2)] + [6] * 6
    items = [i for u in range(6) for i in (u, (u + 1) % 6)] + list(range(6))
    data = nw.Interactions.from_columns(users, items)
    return nw.Recommender.fit(data, factors=4, iterations=3, progress=False)


def calls(index: nw.Index, rec: nw.Recommender) -> dict[str, Callable[[Any], Any]]:
    """Every call with a filter, as the ids that it finds."""
    query = VECTORS[0]
    return {
        "search": lambda f: index.search(query, 6, filter=f)[0],
        "search many": lambda f: index.search(VECTORS[:1], 6, filter=f)[0][0],
        "search_exact": lambda f: index.search_exact(query, 6, filter=f)[0],
        "search_ids": lambda f: index.search_ids(0, 6, filter=f)[0],
        "radius": lambda f: index.radius(query, 99.0, filter=f)[0],
        "Filter": lambda f: index.search(query, 6, filter=nw.Filter(f))[0],
        "pickled": lambda f: index.search(
            query, 6, filter=pickle.loads(pickle.dumps(nw.Filter(f)))
        )[0],
        "recommend": lambda f: rec.recommend(0, 6, filter=f, include_seen=True)[0],
        "recommend many": lambda f: rec.recommend([0, 1], 6, filter=f, include_seen=True)[0][0],
        "recommend_all": lambda f: rec.recommend_all(6, filter=f, include_seen=True)[0][0],
        "recommend_for": lambda f: rec.recommend_for([0], 6, filter=f)[0],
        "similar": lambda f: rec.similar(0, 6, filter=f)[0],
    }


def found(ids: Any) -> list[Any]:
    return sorted(one for one in ids.tolist() if one not in (-1, None))


CALLS = ["search", "search many", "search_exact", "search_ids", "radius", "Filter", "pickled"]
CALLS += ["recommend", "recommend many", "recommend_all", "recommend_for", "similar"]


@pytest.mark.parametrize("make", MASKS)
def test_masks(make: str, index: nw.Index, small: nw.Recommender) -> None:
    for name in CALLS:
        assert found(calls(index, small)[name](MASKS[make]())) == WANTED, name
    assert index.recall(VECTORS, 2, filter=MASKS[make]()) > 0
    assert len(nw.Filter(MASKS[make]())) == 2


@pytest.mark.parametrize("make", MASKS)
def test_a_mask_names_no_ids(make: str, index: nw.Index, small: nw.Recommender) -> None:
    refused: list[Callable[[Any], Any]] = [
        index.vectors,
        index.search_ids,
        small.recommend,
        lambda mask: small.recommend_all(users=mask),
        small.recommend_for,
        lambda mask: nw.Index.build(VECTORS, ids=mask),
        lambda mask: nw.Interactions.from_columns(mask, range(6)),
        lambda mask: nw.Interactions.from_columns(range(6), mask),
    ]
    for at, call in enumerate(refused):
        with pytest.raises((TypeError, ValueError), match=r"(?i)bool"):
            raise AssertionError(f"{at}: {call(MASKS[make]())}")


@pytest.mark.parametrize(
    "mask",
    [
        [True, None, False, True, True, True],
        [None, True, False, True, True, True],
        np.array([True, np.nan, False, False, False, False], object),
        pd.Series({2: True}).reindex(range(6)),
        pd.Series([True, None] * 3, dtype="boolean"),
        pd.Series([True, None] * 3, dtype="bool[pyarrow]"),
        pd.Series([True, pd.NA] * 3, dtype=object),
        pl.Series([True, None] * 3),
        pa.array([True, None] * 3),
        duck([True, None] * 3),
    ],
)
def test_masks_with_something_missing(mask: Any, index: nw.Index) -> None:
    with pytest.raises(ValueError, match=r"filter: row [01] of the mask is .*fill it in first"):
        index.search(VECTORS[0], filter=mask)


@pytest.mark.parametrize("mixed", [[True, 2], [2, True], [np.True_, "a"], ["a", False]])
def test_bools_among_ids(mixed: list[Any], index: nw.Index) -> None:
    for call in (index.vectors, nw.Filter, lambda ids: nw.Index.build(VECTORS[:2], ids=ids)):
        with pytest.raises(ValueError, match=r"row 1 is .*among others of another type"):
            call(mixed)


@pytest.mark.parametrize(
    "numbers",
    [
        [0, 0, 1, 0, 1, 0],
        np.array([0, 0, 1, 0, 1, 0]),
        np.array([0, 0, 1, 0, 1, 0], np.uint8),
        pd.Series([0, 0, 1, 0, 1, 0], dtype="Int64"),
        pd.Series([0, 0, 1, 0, 1, 0], dtype=object),
        pl.Series([0, 0, 1, 0, 1, 0]),
        pa.array([0, 0, 1, 0, 1, 0]),
        [1] * 6,
        [0] * 6,
    ],
)
def test_masks_of_integers_are_refused(
    numbers: Any, index: nw.Index, small: nw.Recommender
) -> None:
    for name in CALLS:
        with pytest.raises(ValueError, match=r"zeros and ones.*\.astype\(bool\)"):
            calls(index, small)[name](numbers)
    with pytest.raises(ValueError, match=r"rec\.users\[mask\.astype\(bool\)\]"):
        small.recommend_all(users=[0, 1, 1, 0, 0, 1, 0])
    # As text, as csv readers give them.
    words = nw.Index.build(VECTORS, ids=list("abcdef"))
    with pytest.raises(ValueError, match="strings True and False"):
        words.search(VECTORS[0], filter=["True", "False", "True", "False", "False", "False"])


def test_zeros_and_ones_that_are_ids(index: nw.Index) -> None:
    assert found(index.search(VECTORS[0], 6, filter=[0, 1])[0]) == [0, 1]
    assert found(index.search(VECTORS[0], 6, filter=[0, 1, 1, 0])[0]) == [0, 1]
    two = nw.Index.build(VECTORS[:2])
    assert found(two.search(VECTORS[0], 6, filter=[1, 0])[0]) == [0, 1]
    assert found(two.search(VECTORS[0], 6, filter=[1])[0]) == [1]
    assert index.vectors([0, 1, 1, 0, 0, 1]).shape == (6, 4)


# Ids.

INTS: dict[str, Callable[[], Any]] = {
    "list": lambda: [4, 2],
    "tuple": lambda: (4, 2),
    "set": lambda: {4, 2},
    "frozenset": lambda: frozenset([4, 2]),
    "keys": lambda: {4: "a", 2: "b"}.keys(),
    "values": lambda: {"a": 4, "b": 2}.values(),
    "generator": lambda: (one for one in (4, 2)),
    "iterator": lambda: iter([4, 2]),
    "range": lambda: range(2, 5, 2),
    "deque": lambda: deque([4, 2]),
    "int64": lambda: np.array([4, 2]),
    "uint64": lambda: np.array([4, 2], np.uint64),
    "int8": lambda: np.array([4, 2], np.int8),
    "big endian": lambda: np.array([4, 2], ">i4"),
    "objects": lambda: np.array([4, 2], object),
    "numpy scalars": lambda: [np.int32(4), np.uint8(2)],
    "arrays of none": lambda: [np.array(4), np.array(2)],
    "misaligned": lambda: misaligned(np.array([4, 2])),
    "misaligned uint64": lambda: misaligned(np.array([4, 2], np.uint64)),
    "masked array": lambda: np.ma.masked_array([4, 2], mask=False),
    "decimals": lambda: [Decimal(4), Decimal("2.00")],
    "pandas": lambda: pd.Series([4, 2]),
    "pandas nullable": lambda: pd.Series([4, 2], dtype="Int64"),
    "pandas arrow": lambda: pd.Series([4, 2], dtype="uint64[pyarrow]"),
    "pandas decimals": lambda: pd.Series([Decimal(4), Decimal(2)]),
    "pandas index": lambda: pd.Index([4, 2]),
    "pandas category": lambda: pd.Series([4, 2], dtype="category"),
    "polars": lambda: pl.Series([4, 2], dtype=pl.UInt64),
    "polars decimals": lambda: pl.Series([Decimal(4), Decimal(2)]),
    "polars objects": lambda: pl.Series([4, 2], dtype=pl.Object),
    "arrow": lambda: pa.array([4, 2], pa.uint64()),
    "arrow decimals": lambda: pa.array([Decimal("4.00"), Decimal(2)], pa.decimal128(38, 2)),
    "arrow wide decimals": lambda: pa.array([Decimal(4), Decimal(2)], pa.decimal256(76, 3)),
    "arrow dictionary": lambda: pa.array([4, 2]).dictionary_encode(),
    "arrow scalars": lambda: list(pa.array([4, 2])),
    "arrow runs": lambda: pa.RunEndEncodedArray.from_arrays([1, 2], pa.array([4, 2])),
    "duckdb": lambda: duck([4, 2]),
    "duckdb decimals": lambda: duck(pa.array([4, 2], pa.decimal128(38, 0))),
}
WORDS: dict[str, Callable[[], Any]] = {
    "list": lambda: ["e", "c"],
    "set": lambda: {"e", "c"},
    "generator": lambda: (one for one in "ec"),
    "numpy": lambda: np.array(["e", "c"]),
    "numpy bytes": lambda: np.array([b"e", b"c"]),
    "bytes": lambda: [b"e", b"c"],
    "objects": lambda: np.array(["e", "c"], object),
    "pandas": lambda: pd.Series(["e", "c"]),
    "pandas arrow": lambda: pd.Series(["e", "c"], dtype="string[pyarrow]"),
    "pandas category": lambda: pd.Series(["e", "c"], dtype="category"),
    "polars": lambda: pl.Series(["e", "c"]),
    "polars category": lambda: pl.Series(["e", "c"], dtype=pl.Categorical),
    "polars binary": lambda: pl.Series([b"e", b"c"]),
    "arrow": lambda: pa.array(["e", "c"]),
    "arrow large": lambda: pa.array(["e", "c"], pa.large_string()),
    "arrow view": lambda: pa.array(["e", "c"], pa.string_view()),
    "arrow binary": lambda: pa.array([b"e", b"c"]),
    "arrow large binary": lambda: pa.array([b"e", b"c"], pa.large_binary()),
    "arrow binary view": lambda: pa.array([b"e", b"c"], pa.binary_view()),
    "arrow fixed": lambda: pa.array([b"e", b"c"], pa.binary(1)),
    "arrow dictionary": lambda: pa.array(["e", "c"]).dictionary_encode(),
    "duckdb": lambda: duck(["e", "c"]),
}


def misaligned(array: np.ndarray) -> np.ndarray:
    """The same values at an odd address."""
    place = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype)
    place = place.reshape(array.shape)
    place[...] = array
    assert not place.flags.aligned
    return place


@pytest.mark.parametrize("make", INTS)
def test_ids_that_are_integers(make: str, index: nw.Index, small: nw.Recommender) -> None:
    for name in CALLS:
        assert found(calls(index, small)[name](INTS[make]())) == WANTED, name
    vectors = index.vectors(INTS[make]())
    assert sorted(vectors.tolist()) == sorted(VECTORS[[4, 2]].tolist())
    assert index.search_ids(INTS[make](), 1).__len__() == 2
    assert small.recommend(INTS[make](), 1)[0].shape == (2, 1)
    assert small.recommend_all(1, users=INTS[make]())[0].shape == (2, 1)
    assert small.recommend_for(INTS[make](), 6)[0].shape == (6,)
    if not isinstance(INTS[make](), (set, frozenset)):
        expected = sorted(index.vectors(INTS[make]()).tolist())
        assert expected == sorted(VECTORS[[2, 4]].tolist())
        built = nw.Index.build(VECTORS[:2], ids=INTS[make]()).ids.tolist()
        assert sorted(built) == [2, 4]
        data = nw.Interactions.from_columns(INTS[make](), INTS[make]())
        assert sorted(data.user_ids.tolist()) == sorted(data.item_ids.tolist()) == [2, 4]


@pytest.mark.parametrize("make", WORDS)
def test_ids_that_are_text(make: str, texts: nw.Index) -> None:
    assert found(texts.search(VECTORS[0], 6, filter=WORDS[make]())[0]) == ["c", "e"]
    assert sorted(texts.vectors(WORDS[make]()).tolist()) == sorted(VECTORS[[2, 4]].tolist())
    if not isinstance(WORDS[make](), set):
        built = nw.Index.build(VECTORS[:2], ids=WORDS[make]())
        assert built.ids.tolist() == ["e", "c"]
        data = nw.Interactions.from_columns(WORDS[make](), WORDS[make]())
        assert data.user_ids.tolist() == ["e", "c"]


@pytest.mark.parametrize(
    "one", [2, np.int64(2), np.uint8(2), np.array(2), Decimal(2), pa.scalar(2)]
)
def test_a_single_id(one: Any, index: nw.Index, small: nw.Recommender) -> None:
    for name in CALLS:
        assert found(calls(index, small)[name](one)) == [2], name
    assert index.vector(one).tolist() == VECTORS[2].tolist()
    assert index.vectors(one).tolist() == VECTORS[2:3].tolist()
    assert index.search_ids(one, 3)[0].shape == (3,)
    assert small.recommend(one, 3)[0].shape == (3,)
    assert one in index
    expected = small.recommend_for([2], 6)[0].tolist()
    assert small.recommend_for(one, 6)[0].tolist() == expected
    assert nw.Index.build(VECTORS[:1], ids=one).ids.tolist() == [2]


def uuids() -> dict[str, Any]:
    raw = pa.array([one.bytes for one in UUIDS], pa.binary(16))
    return {
        "python": UUIDS,
        "objects": np.array(UUIDS),
        "pandas": pd.Series(UUIDS),
        "text": [str(one) for one in UUIDS],
        "arrow": raw,
        "arrow uuid": pa.ExtensionArray.from_storage(pa.uuid(), raw),
        "polars objects": pl.Series(UUIDS, dtype=pl.Object),
        "arrow dictionary": raw.dictionary_encode(),
    }


@pytest.mark.parametrize("make", uuids())
def test_uuids_are_their_canonical_text(make: str, tmp_path: Path) -> None:
    given, words = uuids()[make], [str(one) for one in UUIDS]
    index = nw.Index.build(VECTORS, ids=given)
    assert index.ids.tolist() == words
    assert found(index.search(VECTORS[0], 6, filter=given)[0]) == words
    assert found(index.search(VECTORS[0], 6, filter=given[:1])[0]) == words[:1]
    assert index.vector(UUIDS[3]).tolist() == VECTORS[3].tolist() and UUIDS[3] in index
    assert nw.Interactions.from_columns(given, given).user_ids.tolist() == words
    frame = {"u": given, "i": given}
    assert nw.Interactions.from_frame(frame, user="u", item="i").item_ids.tolist() == words
    if make.startswith("arrow"):
        table = pa.table({"u": given, "i": given})
        data = nw.Interactions.from_frame(table, user="u", item="i")
        pq.write_table(table, tmp_path / "t.parquet")
        read = nw.Interactions.read(tmp_path / "t.parquet", user="u", item="i")
        assert data.user_ids.tolist() == read.user_ids.tolist() == words


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        (pa.array([Decimal(7), Decimal("8.00")], pa.decimal128(38, 2)), [7, 8]),
        (pa.array([7, 8], pa.uint64()), [7, 8]),
        (pa.array([b"x", "é".encode()]), ["x", "é"]),
        (pa.array([b"x", b"y"], pa.large_binary()), ["x", "y"]),
        (pa.array(["x", "y"], pa.large_string()), ["x", "y"]),
        (pa.array(["x", "y"], pa.string_view()), ["x", "y"]),
        (pa.array(["x", "y"]).dictionary_encode(), ["x", "y"]),
    ],
)
def test_frames_files_and_columns_agree(
    column: pa.Array, wanted: list[Any], tmp_path: Path
) -> None:
    table = pa.table({"u": column, "i": column})
    pq.write_table(table, tmp_path / "t.parquet")
    for data in (
        nw.Interactions.from_frame(table, user="u", item="i"),
        nw.Interactions.from_frame(table.to_pandas(), user="u", item="i"),
        nw.Interactions.from_frame(pl.from_arrow(table), user="u", item="i"),
        nw.Interactions.from_columns(column, column),
        nw.Interactions.read(tmp_path / "t.parquet", user="u", item="i"),
    ):
        assert data.user_ids.tolist() == data.item_ids.tolist() == wanted
    assert nw.Index.build(VECTORS[:2], ids=column).ids.tolist() == wanted


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (pa.array([Decimal("7.5"), Decimal(1)], pa.decimal128(38, 1)), "is 7.5, expected a whole"),
        (pa.array([Decimal(2**70), Decimal(1)], pa.decimal128(38, 0)), "118059162071741130"),
        (pa.array([2**63, 1], pa.uint64()), "9223372036854775808"),
        (pa.array([b"\xff", b"a"]), "no UTF-8"),
    ],
)
def test_ids_that_no_id_can_be(column: pa.Array, text: str, tmp_path: Path) -> None:
    table = pa.table({"u": column, "i": column})
    pq.write_table(table, tmp_path / "t.parquet")
    for call in (
        lambda: nw.Interactions.from_frame(table, user="u", item="i"),
        lambda: nw.Interactions.from_columns(column, column),
        lambda: nw.Interactions.read(tmp_path / "t.parquet", user="u", item="i"),
        lambda: nw.Index.build(VECTORS[:2], ids=column),
        lambda: nw.Filter(column),
    ):
        with pytest.raises(ValueError, match=f"row 0.*{text}"):
            call()
    for call in (
        lambda: nw.Interactions.from_columns(column.to_pylist(), column.to_pylist()),
        lambda: nw.Filter(np.array(column.to_pylist(), object)),
    ):
        with pytest.raises(ValueError, match=r"row 0|ids are at most"):
            call()


@pytest.mark.parametrize(
    "empty",
    [
        [],
        (),
        set(),
        {}.keys(),
        iter(()),
        *(np.array([], kind) for kind in ("f8", "f4", "i8", "u8", "O", "U1", "S1", "M8[s]")),
        pd.Series([]),
        pd.Series([], dtype="Int64"),
        pd.Series([], dtype="string"),
        pd.Index([]),
        pl.Series([]),
        pl.Series([], dtype=pl.Float64),
        pl.Series([], dtype=pl.String),
        pa.array([]),
        pa.array([], pa.float64()),
        pa.array([], pa.string()),
        pa.chunked_array([], pa.int64()),
        pa.table({"x": pa.array([], pa.string())}),
    ],
)
def test_empty_columns(empty: Any, index: nw.Index, small: nw.Recommender) -> None:
    keep = list(empty) if isinstance(empty, Iterator) else None
    again = (lambda: iter(keep)) if keep is not None else (lambda: empty)
    assert index.search(VECTORS[0], 2, filter=again())[0].tolist() == [-1, -1]
    assert len(nw.Filter(again())) == 0
    assert index.vectors(again()).shape == (0, 4)
    assert index.search_ids(again(), 3)[0].shape == (0, 3)
    assert small.recommend(again(), 3)[0].shape == (0, 3)
    assert small.recommend_all(3, users=again())[0].shape == (0, 3)
    assert small.recommend_for(again(), 2)[0].tolist() == [-1, -1]
    assert nw.Interactions.from_columns(again(), again()).nnz == 0


def test_columns_that_are_refused(index: nw.Index) -> None:
    masked = np.ma.masked_array([1, 2, 3], mask=[False, True, False])
    cases: list[tuple[Any, type[Exception], str]] = [
        (masked, ValueError, "ids: row 1 is masked"),
        (np.array([1.0, 2.0]), ValueError, r"ids holds float64.*\.astype\(\"int64\"\)"),
        (pl.Series([1.0]), ValueError, "ids: the id column holds Float64"),
        ([1.0], ValueError, "ids: row 0 is 1.0, a float, expected an int64 or a str"),
        ([1, None], ValueError, "ids: row 1 is None"),
        (pd.Series([1, None], dtype="Int64"), ValueError, "ids: row 1 is <NA>"),
        (pa.array([1, None]), ValueError, "ids: row 1: the id is null"),
        ([2**63], ValueError, "ids holds 9223372036854775808, ids are at most"),
        (["a", "\udc80"], ValueError, "row 1 is .*lone surrogate"),
        ([Decimal("1.5")], ValueError, "has a fraction"),
        ([b"\xff"], ValueError, "no UTF-8"),
        ({1: 2}, TypeError, "ids is a dict, expected ids"),
        (UserDict(), TypeError, "ids is a UserDict, expected ids"),
        (lambda: 1, TypeError, "ids is <function"),
        (pl.LazyFrame({"x": [1]}), TypeError, "ids is a LazyFrame.*collect"),
        (np.zeros((2, 2), int), ValueError, "ids has 2 dimensions, expected 1"),
        (sp.csr_array(np.eye(3)), ValueError, r"sparse matrix of shape \(3, 3\)"),
        (1.5, ValueError, "1.5, a float"),
        (None, TypeError, "ids is None"),
        (pd.NA, TypeError, "ids is <NA>"),
    ]
    for given, error, text in cases:
        with pytest.raises(error, match=text):
            index.vectors(given)
    with pytest.raises(TypeError, match="ids is a set, which has no order"):
        nw.Index.build(VECTORS[:2], ids={1, 2})
    with pytest.raises(TypeError, match="a set with bools in it: a mask needs an order"):
        nw.Filter({True, False})
    assert len(nw.Filter(np.ma.masked_array([1, 2], mask=False))) == 2


@pytest.mark.parametrize("one", [1.0, None, pd.NA, np.nan, True, np.True_, [1], 2**70])
def test_single_values_that_are_no_ids(one: Any, index: nw.Index, small: nw.Recommender) -> None:
    error = nw.UnknownIdError if type(one) is int else TypeError
    for call in (index.vector, index.label, small.seen, small.label):
        with pytest.raises(error):
            call(one)
    assert one not in index
    if not isinstance(one, list):
        for call in (small.recommend, index.search_ids):
            with pytest.raises(error, match=r"id is|there is no id"):
                call(one)


# Bools are no numbers of things.


def test_bools_are_no_counts(index: nw.Index, small: nw.Recommender, tmp_path: Path) -> None:
    data = nw.Interactions.from_columns([1, 1, 2, 2], [1, 2, 1, 3], times=[1, 2, 3, 4])
    als, q = nw.AlternatingLeastSquares, VECTORS[0]
    matrix = sp.csr_matrix(np.eye(3))
    model = als(factors=2, iterations=1).fit(matrix, progress=False)
    fit = lambda **options: nw.Recommender.fit(data, progress=False, **options)  # noqa: E731
    cases: dict[str, Callable[[Any], Any]] = {
        "k": lambda yes: index.search(q, yes),
        "recall": lambda yes: index.search(q, recall=yes),
        "budget": lambda yes: index.search(q, budget=yes),
        "n_threads": lambda yes: index.search(VECTORS, n_threads=yes),
        "r": lambda yes: index.radius(q, yes),
        "dim": lambda yes: nw.Index.build(VECTORS, dim=yes),
        "n_trees": lambda yes: nw.Index.build(VECTORS, n_trees=yes),
        "leaf_size": lambda yes: nw.Index.build(VECTORS, leaf_size=yes),
        "seed": lambda yes: nw.Index.build(VECTORS, seed=yes),
        "first_tree": lambda yes: nw.Index.build(VECTORS, first_tree=yes),
        "memory_limit": lambda yes: nw.Index.build(VECTORS, memory_limit=yes),
        "n": lambda yes: index.append_trees(yes),
        "numbers": lambda yes: index.append_trees(1).drop_trees([yes]),
        "budgets": lambda yes: index.recall_curve(budgets=[5, yes]),
        "factors": lambda yes: fit(factors=yes),
        "regularization": lambda yes: fit(regularization=yes),
        "alpha": lambda yes: fit(alpha=yes),
        "iterations": lambda yes: fit(iterations=yes),
        "unobserved_weight": lambda yes: fit(unobserved_weight=yes),
        "regularization_scaling": lambda yes: fit(regularization_scaling=yes),
        "random_state": lambda yes: fit(random_state=yes),
        "cg_steps": lambda yes: als(cg_steps=yes),
        "patience": lambda yes: als().fit(matrix, patience=yes, progress=False),
        "validation": lambda yes: als().fit(matrix, validation=yes, progress=False),
        "N": lambda yes: model.recommend(0, N=yes),
        "userid": lambda yes: model.recommend(yes),
        "itemid": lambda yes: model.similar_items(yes),
        "share": lambda yes: data.split(share=yes),
        "half_life": lambda yes: data.decayed(yes),
        "now": lambda yes: data.decayed(1, yes),
        "trials": lambda yes: nw.tune(data, trials=yes, progress=False),
        "users": lambda yes: nw.tune(data, users=yes, progress=False),
        "refine": lambda yes: nw.tune(data, refine=yes, progress=False),
        "items": lambda yes: nw.report(index, tmp_path / "r.html", items=yes),
    }
    for name, call in cases.items():
        for yes in (True, np.True_):
            with pytest.raises(TypeError, match=r"bool|an int|a number|row number") as raised:
                raise AssertionError(f"{name}: {call(yes)}")
            notes = "".join(getattr(raised.value, "__notes__", ()))
            assert name in f"{raised.value} {notes}", name
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize("name", ["k", "budget"])
def test_errors_name_the_argument(name: str, index: nw.Index) -> None:
    with pytest.raises(ValueError, match=f"{name} is -3, expected"):
        index.search(VECTORS, **{name: -3})
    with pytest.raises(ValueError, match="seed is -1, expected 0 to"):
        nw.Index.build(VECTORS, seed=-1)
    with pytest.raises(ValueError, match=f"seed is {2**64}, expected 0 to"):
        nw.Index.build(VECTORS, seed=2**64)
    with pytest.raises(ValueError, match="random_state is -1"):
        nw.AlternatingLeastSquares(random_state=-1)
    assert index.search(VECTORS[0], 2, budget=2**70)[0].shape == (2,)


# Row numbers of the bare trainer.


def test_row_numbers(index: nw.Index) -> None:
    matrix = sp.csr_matrix(np.triu(np.ones((6, 6), np.float32)))
    model = nw.AlternatingLeastSquares(factors=2, iterations=2).fit(matrix, progress=False)
    liked = {"filter_already_liked_items": False}
    expected = model.recommend(0, N=6, items=[2, 4], **liked)[0].tolist()
    for make in INTS.values():
        got = model.recommend(0, N=6, items=make(), **liked)[0].tolist()
        assert sorted(got) == sorted(expected) == [-1, -1, -1, -1, 2, 4]
    for mask in (np.array(MASK), MASK, pd.Series(MASK, dtype=object), pl.Series(MASK)):
        for call in (
            lambda mask=mask: model.recommend(0, items=mask),
            lambda mask=mask: model.recommend(0, filter_items=mask),
            lambda mask=mask: model.similar_users(0, users=mask),
            lambda mask=mask: model.recommend(mask),
            lambda mask=mask: model.remove_users(mask),
        ):
            with pytest.raises(TypeError, match=r"holds bools.*np\.flatnonzero\(mask\)"):
                call()
    numbers = [0, 0, 1, 0, 1, 0]
    for call in (
        lambda: model.recommend(0, items=numbers),
        lambda: model.similar_items(0, filter_items=numbers),
        lambda: model.remove_items(numbers),
    ):
        with pytest.raises(ValueError, match=r"zeros and ones.*np\.flatnonzero\(mask\)"):
            call()
    assert model.recommend(numbers, N=1)[0].shape == (6, 1)
    with pytest.raises(TypeError, match="userid holds strings, expected row numbers"):
        model.recommend(["a"])
    with pytest.raises(TypeError, match="userid is 'a', expected a row number"):
        model.recommend("a")


# Numbers.


def matrices() -> dict[str, Any]:
    frame = pd.DataFrame(VECTORS.astype(float), columns=list("abcd"))
    return {
        "nullable": frame.astype("Float64"),
        "nullable float32": frame.astype("Float32"),
        "arrow": frame.astype("double[pyarrow]"),
        "converted": frame.convert_dtypes(),
        "arrow and numpy": frame.astype({"a": "float[pyarrow]", "b": "Float64"}),
        "decimals": frame.astype({"a": object}),
        "column of arrays": pd.DataFrame({"vector": list(VECTORS)}),
        "misaligned": misaligned(VECTORS),
        "misaligned float64": misaligned(VECTORS.astype(float)),
        "big endian": VECTORS.astype(">f4"),
        "objects": VECTORS.astype(object),
        "masked array": np.ma.masked_array(VECTORS, mask=False),
        "values of a dict": dict(enumerate(VECTORS)).values(),
        "generator": (row for row in VECTORS),
        "tuples": tuple(map(tuple, VECTORS.tolist())),
        "deque": deque(VECTORS),
        "series of lists": pd.Series(VECTORS.tolist()),
    }


@pytest.mark.parametrize("make", matrices())
def test_vectors_and_queries(make: str) -> None:
    wanted = nw.Index.build(VECTORS)
    assert nw.Index.build(matrices()[make]).to_bytes() == wanted.to_bytes()
    expected = wanted.search(VECTORS, 3)[0].tolist()
    assert wanted.search(matrices()[make], 3)[0].tolist() == expected


def test_one_query_of_other_makes(index: nw.Index) -> None:
    row = VECTORS[3]
    for query in (
        misaligned(row),
        row.astype(object),
        [Decimal(str(x)) for x in row.tolist()],
        pd.Series(row, dtype="Float32"),
        pd.Series(row, dtype="float[pyarrow]"),
        np.ma.masked_array(row, mask=False),
        iter(row),
        {"a": 1, **dict(enumerate(row[1:]))}.values() and dict(enumerate(row)).values(),
    ):
        assert index.search(query, 1)[0].tolist() == [3]


@pytest.mark.parametrize("kind", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_short_floats(kind: str) -> None:
    short = VECTORS.astype(getattr(ml_dtypes, kind))
    wide = short.astype(np.float32)
    index = nw.Index.build(short)
    assert index.to_bytes() == nw.Index.build(wide).to_bytes()
    assert index.search(short[2], 2)[0].tolist() == index.search(wide[2], 2)[0].tolist()
    assert nw.Index.build(list(short)).to_bytes() == index.to_bytes()


def test_numbers_that_are_refused(index: nw.Index) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "name": ["x", "y"]})
    masked = np.ma.masked_array(VECTORS, mask=np.arange(24).reshape(6, 4) == 9)
    rows: list[Any] = [[1.0, 2.0], [3.0, 4.0]]
    cases: list[tuple[Any, type[Exception], str]] = [
        (masked, ValueError, "vectors: row 2 is masked"),
        (frame, TypeError, "vectors, column 'name': row 0 is 'x', expected numbers"),
        (frame.convert_dtypes(), TypeError, "vectors, column 'name'"),
        (pd.DataFrame({"a": [1, None]}, dtype="Int64"), ValueError, "row 1, column 0 is NaN"),
        (pd.Series([*rows, [1.0]]), ValueError, "row 2 has 1 values, expected 2 as in the rows"),
        ([*rows, [1.0]], ValueError, "row 2 has 1 values, expected 2"),
        (pd.Series([*rows, None]), ValueError, "vectors: row 2 is None, expected a list"),
        (pd.Series([*rows, np.nan]), ValueError, "vectors: row 2 is nan|vectors: row 0"),
        (pd.Series([*rows, "ab"]), ValueError, "vectors: row 2 is 'ab'"),
        (pd.Series([*rows, [1.0, None]]), ValueError, "row 2.*None"),
        (pd.Series([*rows, [1.0, "x"]]), TypeError, "row 2.*"),
        (sp.csr_array(VECTORS), TypeError, r"vectors is a sparse csr_array.*toarray"),
        (set(map(tuple, rows)), TypeError, "vectors is a set, which has no order"),
        (dict(enumerate(rows)), TypeError, "vectors is a dict, expected rows of numbers"),
        (pl.LazyFrame({"a": [1.0]}), TypeError, "vectors is a LazyFrame.*collect"),
        (np.zeros(3, [("x", "f4"), ("y", "f4")]), TypeError, "structured array of the fields x, y"),
        (np.array(["a"]), TypeError, "vectors has dtype <U1, expected numbers"),
        (np.array([[1 + 2j]]), TypeError, "complex"),
        (None, TypeError, "vectors is None, expected numbers"),
    ]
    for vectors, error, text in cases:
        with pytest.raises(error, match=text):
            nw.Index.build(vectors)
    with pytest.raises(ValueError, match="queries: row 2 is masked"):
        index.search(masked)
    with pytest.raises(ValueError, match="weights: row 1 is masked"):
        nw.Interactions.from_columns([1, 2], [1, 2], np.ma.masked_array([1, 2], mask=[0, 1]))


def test_weights_of_other_makes() -> None:
    for weights in (
        pd.Series([3, 4], dtype="Int64"),
        pd.Series([3, 4], dtype="float[pyarrow]"),
        [Decimal(3), Decimal(4)],
        (w for w in (3, 4)),
        misaligned(np.array([3.0, 4.0], np.float32)),
        pl.Series([Decimal(3), Decimal(4)]),
    ):
        data = nw.Interactions.from_columns([1, 2], [1, 2], weights)
        assert data.matrix[2].tolist() == [3, 4]


# Names.

ITEMS = nw.Interactions.from_columns([1, 1, 2, 2], [30, 10, 20, 30])
NAMED = {10: "ten", 20: "twenty", 30: "thirty", 99: "nothing"}
FRAME = pd.DataFrame({"id": list(NAMED), "name": list(NAMED.values())})
NAMES: dict[str, Any] = {
    "dict": NAMED,
    "UserDict": UserDict(NAMED),
    "ChainMap": ChainMap({}, NAMED),
    "MappingProxyType": MappingProxyType(NAMED),
    "Series": FRAME.set_index("id")["name"],
    "Series of floats": pd.Series(NAMED.values(), index=[float(one) for one in NAMED]),
    "pandas frame": FRAME,
    "pandas frame with index": FRAME.set_index("id"),
    "polars frame": pl.from_pandas(FRAME),
    "arrow table": pa.table({"id": list(NAMED), "name": list(NAMED.values())}),
    "duckdb": duckdb.from_arrow(pa.table({"id": list(NAMED), "name": list(NAMED.values())})),
    "lists": FRAME.to_dict("list"),
    "decimal keys": {Decimal(key): name for key, name in NAMED.items()},
    "numpy keys": {np.int32(key): name for key, name in NAMED.items()},
    "list": ["thirty", "ten", "twenty"],
    "tuple": ("thirty", "ten", "twenty"),
    "array": np.array(["thirty", "ten", "twenty"]),
    "polars series": pl.Series(["thirty", "ten", "twenty"]),
    "arrow": pa.array(["thirty", "ten", "twenty"]),
    "generator": None,
}


@pytest.mark.parametrize("make", NAMES)
def test_names(make: str) -> None:
    names = NAMES[make] if make != "generator" else iter(NAMES["list"])
    rec = nw.Recommender.fit(ITEMS, factors=2, iterations=1, item_names=names, progress=False)
    assert [rec.label(one) for one in (10, 20, 30)] == ["ten", "twenty", "thirty"]
    names = NAMES[make] if make != "generator" else iter(NAMES["list"])
    index = nw.Index.build(VECTORS[:3], ids=[30, 10, 20], labels=names)
    assert index.labels == ["thirty", "ten", "twenty"]


@pytest.mark.parametrize(
    ("names", "error", "text"),
    [
        (["a", "b"], ValueError, "item_names has 2 names, expected 3: one for each item"),
        (pd.Series(["a", "b", "c"]), ValueError, r"the default index.*set_index.*\.tolist\(\)"),
        ({"10": "ten"}, TypeError, r"has the key '10', a str.*are integers: \{int\(key\): name"),
        ({11: "x"}, ValueError, "names none of the 3 items: its keys, such as 11, are to be"),
        ({}, ValueError, "names none of the 3 items"),
        ({10: "a", "20": "b"}, TypeError, "has the key '20'"),
        ({True: "a"}, TypeError, "has the key True, expected ids"),
        ({None: "a"}, TypeError, "has the key None, expected ids"),
        ({10: 3}, TypeError, "the name of 10 is 3, expected str"),
        (pd.DataFrame({"id": [10, 10], "n": ["a", "b"]}), ValueError, "10 has two names, 'a'"),
        (pd.DataFrame({"a": [1], "b": [2], "c": [3]}), TypeError, "a table of 3 columns"),
        (pa.table({"a": [1], "b": ["x"], "c": [3]}), TypeError, "a table of 3 columns"),
        ({"a", "b", "c"}, TypeError, "item_names is a set, which has no order"),
        ("abc", TypeError, "item_names is 'abc', expected a name for each item"),
        (5, TypeError, "item_names is 5"),
        (["a", 1, "c"], TypeError, "item_names: row 1 is 1, expected str"),
        (["a", "\ud800", "c"], ValueError, "row 1 is .*no Unicode text"),
    ],
)
def test_names_that_are_refused(names: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        nw.Recommender.fit(ITEMS, factors=2, item_names=names, progress=False)


def test_names_in_text_ids_and_gaps() -> None:
    words = nw.Interactions.from_columns(["u", "v"], ["1", "b"])
    fit = lambda names: nw.Recommender.fit(words, factors=2, item_names=names, progress=False)  # noqa: E731
    with pytest.raises(TypeError, match=r"has the key 1, a int.*are strings: \{str\(key\): name"):
        fit({1: "one"})
    rec = fit(pd.Series({"1": "one", "b": None}))
    assert [rec.label("1"), rec.label("b")] == ["one", "b"]
    # The order of rows, as all columns of a build have it.
    songs = pd.DataFrame({"id": [3, 1, 2], "title": ["c", "a", "b"]})[1:]
    index = nw.Index.build(VECTORS[:2], ids=songs["id"], labels=songs["title"])
    assert (index.label(1), index.label(2)) == ("a", "b")
    titles = songs.set_index("id")["title"]
    with pytest.raises(ValueError, match=r"the ids in another order: give labels\.loc\[ids\]"):
        nw.Index.build(VECTORS[:2], ids=[2, 1], labels=titles)
    assert nw.Index.build(VECTORS[:2], ids=[1, 2], labels=titles).labels == ["a", "b"]
    assert nw.Index.build(VECTORS[:2], labels={1: "one"}).labels == ["0", "one"]
    with pytest.raises(ValueError, match="labels has 1 names, expected 2: one for each vector"):
        nw.Index.build(VECTORS[:2], labels=["a"])


# Histories.


def test_histories(rec: nw.Recommender, small: nw.Recommender) -> None:
    weights = {"i3": 5.0, "i7": 1.0}
    frame = pd.DataFrame({"item": list(weights), "plays": list(weights.values())})
    expected = rec.fold_in(weights).tolist()
    assert expected != rec.fold_in(list(weights)).tolist()
    for history in (
        list(weights.items()),
        [list(pair) for pair in weights.items()],
        UserDict(weights),
        MappingProxyType(weights),
        ChainMap(weights),
        Counter({"i3": 5, "i7": 1}),
        pd.Series(weights),
        pd.Series({"i3": 5, "i7": 1}),
        frame,
        frame.set_index("item"),
        pl.from_pandas(frame),
        pa.table({"item": list(weights), "plays": list(weights.values())}),
        frame.to_dict("list"),
        weights.items(),
        zip(weights, weights.values(), strict=True),
        {**weights, "i3": np.float32(5)},
    ):
        read_once = list(history) if isinstance(history, Iterator) else history
        assert (
            rec.fold_in(history if read_once is history else iter(read_once)).tolist() == expected
        )
        ids = rec.recommend_for(read_once, 5)[0].tolist()
        assert ids == rec.recommend_for(weights, 5)[0].tolist()
    expected = rec.fold_in(["i3", "i7"]).tolist()
    for history in (
        ("i3", "i7"),
        {"i3": 1, "i7": 1},
        np.array(["i3", "i7"]),
        pd.Series(["i3", "i7"]),
        pd.Series(["i3", "i7"], index=[4, 9]),
        pl.Series(["i3", "i7"]),
        pa.array(["i3", "i7"]),
        (one for one in ["i3", "i7"]),
        {"i3": 0, "i7": 0}.keys(),
    ):
        assert rec.fold_in(history).tolist() == expected, history
    assert rec.fold_in("i3").tolist() == rec.fold_in(["i3"]).tolist()
    # Integers: the side that names items only.
    assert (
        small.fold_in(pd.Series({1: 7.5, 2: 1.0})).tolist()
        == small.fold_in({1: 7.5, 2: 1.0}).tolist()
    )
    assert small.fold_in(pd.Series([1, 2], index=[40, 41])).tolist() == (
        small.fold_in([1, 2]).tolist()
    )
    assert (
        small.fold_in(np.array([[1, 7], [2, 3]])).tolist() == small.fold_in({1: 7, 2: 3}).tolist()
    )


def test_histories_that_are_refused(rec: nw.Recommender, small: nw.Recommender) -> None:
    cases: list[tuple[nw.Recommender, Any, type[Exception], str]] = [
        (small, pd.Series({1: 2, 3: 4}), ValueError, r"\.to_dict\(\).*\.tolist\(\)"),
        (rec, {"i3": "5"}, TypeError, "history: the weight of 'i3' is '5', expected a number"),
        (rec, [("i3", 1, 2)], TypeError, r"history holds \('i3', 1, 2\), expected an id or"),
        (rec, [True], TypeError, "the id is True, a bool"),
        (rec, {True: 1.0}, TypeError, "the id is True, a bool"),
        (rec, pd.DataFrame({"a": [1], "b": [1], "c": [1]}), TypeError, "a table of 3 columns"),
        (rec, {"nothing": 1.0}, KeyError, "nothing"),
        (rec, 5, KeyError, "5"),
    ]
    for model, history, error, text in cases:
        with pytest.raises(error, match=text):
            model.recommend_for(history)


# Unknown ids.


def test_unknown_users_are_skipped(rec: nw.Recommender, tmp_path: Path) -> None:
    asked = ["u3", "nobody", "u4", "new"]
    with pytest.raises(KeyError, match="nobody"):
        rec.recommend(asked)
    for call in (
        lambda: rec.recommend(asked, 5, unknown="skip"),
        lambda: rec.recommend_all(5, users=asked, unknown="skip"),
    ):
        with pytest.warns(nw.UnknownIdWarning, match="2 of 4 users are unknown") as told:
            ids, scores = call()
        assert told[0].message.unknown == ["nobody", "new"] and told[0].filename == __file__
        known = rec.recommend(["u3", "u4"], 5)
        assert ids[[0, 2]].tolist() == known[0].tolist()
        assert scores[[0, 2]].tolist() == known[1].tolist()
        assert (ids[[1, 3]] == None).all() and np.isneginf(scores[[1, 3]]).all()  # noqa: E711
    with pytest.warns(nw.UnknownIdWarning):
        ids, scores = rec.recommend("nobody", 3, unknown="skip")
    assert ids.tolist() == [None] * 3 and np.isneginf(scores).all()
    with pytest.warns(nw.UnknownIdWarning, match="2 of 2 users"):
        assert rec.recommend([1, 2], 3, unknown="skip")[0].shape == (2, 3)
    out = tmp_path / "recs.parquet"
    with pytest.warns(nw.UnknownIdWarning):
        assert rec.recommend_all(5, out, users=asked, unknown="skip") == 10
    assert sorted(set(pq.read_table(out)["user"].to_pylist())) == ["u3", "u4"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rec.recommend(["u3"], unknown="skip")
    with pytest.raises(ValueError, match='unknown is "ignore", expected "raise" or "skip"'):
        rec.recommend(["u3"], unknown="ignore")


def test_unknown_items_of_a_history_are_left_out(rec: nw.Recommender) -> None:
    with pytest.raises(KeyError, match="gone"):
        rec.recommend_for(["i3", "gone"])
    with pytest.warns(nw.UnknownIdWarning, match="1 of 2 items are unknown.*'gone'"):
        ids, _ = rec.recommend_for({"i3": 2.0, "gone": 9.0}, 5, unknown="skip")
    assert ids.tolist() == rec.recommend_for({"i3": 2.0}, 5)[0].tolist()
    with pytest.warns(nw.UnknownIdWarning):
        assert rec.fold_in(["gone"], unknown="skip").tolist() == [0.0] * 8
    with pytest.raises(TypeError, match="the id is None"):
        rec.recommend_for([None], unknown="skip")


# Filters kept.


def test_filters_are_pickled_and_copied(index: nw.Index, texts: nw.Index) -> None:
    for allowed in (MASK, [2, 4, 99], ["c", "e"], []):
        one = nw.Filter(allowed)
        over = texts if allowed and isinstance(allowed[0], str) else index
        expected = over.search(VECTORS[0], 6, filter=one)[0].tolist()
        for other in (
            pickle.loads(pickle.dumps(one)),
            copy.copy(one),
            copy.deepcopy(one),
            nw.Filter(one),
        ):
            assert over.search(VECTORS[0], 6, filter=other)[0].tolist() == expected
            assert len(other) == len(one)


def test_one_filter_serves_many_indexes(index: nw.Index) -> None:
    indexes = [nw.Index.build(VECTORS, ids=np.arange(6) + shift) for shift in range(40)]
    shared = nw.Filter([3, 4])
    for _ in range(3):
        for shift, one in enumerate(indexes):
            got = found(one.search(VECTORS[0], 6, filter=shared)[0])
            assert got == [each for each in (3, 4) if each in range(shift, shift + 6)]


# Tables.


def tables(folder: Path) -> dict[str, Any]:
    table = pa.table(
        {"u": ["ann", "bob", "ann"], "i": [1, 2, 2], "w": [3.0, 4.0, 5.0], "x": [0] * 3}
    )
    pq.write_table(table, folder / "t.parquet")
    import deltalake

    deltalake.write_deltalake(folder / "delta", table, mode="overwrite")
    rows = table.to_pylist()
    return {
        "lazy": pl.from_arrow(table).lazy(),
        "scan": pl.scan_parquet(folder / "t.parquet"),
        "dataset": ds.dataset(folder / "t.parquet"),
        "scanner": ds.dataset(folder / "t.parquet").scanner(),
        "reader": table.to_reader(),
        "batch": table.to_batches()[0],
        "delta": deltalake.DeltaTable(folder / "delta"),
        "dicts": rows,
        "tuple of dicts": tuple(rows),
        "iterator of dicts": iter(rows),
        "duckdb": duckdb.from_arrow(table),
        "duckdb result": duckdb.from_arrow(table).arrow(),
        "UserDict": UserDict({name: table[name].to_pylist() for name in table.column_names}),
        "lists": table.to_pydict(),
        "records": table.to_pandas().to_records(),
        "arrow pandas": table.to_pandas(types_mapper=pd.ArrowDtype),
        "nullable pandas": table.to_pandas().convert_dtypes(),
    }


TABLES = ["lazy", "scan", "dataset", "scanner", "reader", "batch", "delta", "dicts"]
TABLES += ["tuple of dicts", "iterator of dicts", "duckdb", "duckdb result", "UserDict", "lists"]
TABLES += ["records", "arrow pandas", "nullable pandas"]


@pytest.mark.parametrize("make", TABLES)
def test_tables(make: str, tmp_path: Path) -> None:
    data = nw.Interactions.from_frame(tables(tmp_path)[make], user="u", item="i", weight="w")
    assert data.user_ids.tolist() == ["ann", "bob"] and data.item_ids.tolist() == [1, 2]
    assert data.to_scipy().toarray().tolist() == [[3, 5], [0, 4]]
    with pytest.raises(KeyError, match=r"the table has no column .?w8.?; it has .*u, i, w, x"):
        nw.Interactions.from_frame(tables(tmp_path)[make], user="u", item="i", weight="w8")


def test_more_text_than_32_bits_reach() -> None:
    long = "x" * (1 << 20)
    few = pa.array([long, "y"], pa.large_string())
    numbers = np.zeros(3000, np.int32)
    numbers[-1] = 1
    # Each row is a reference to one of two texts: 3 GB of text in the megabyte of one.
    layout = [("length", "<i4"), ("prefix", "S4"), ("buffer", "<i4"), ("offset", "<i4")]
    views = np.zeros(3000, layout)
    views["length"], views["prefix"] = 1 << 20, b"xxxx"
    views[-1] = (1, b"y", 0, 0)
    buffers = [None, pa.py_buffer(views.tobytes()), pa.py_buffer(long.encode())]
    for column in (
        pa.DictionaryArray.from_arrays(numbers, few),
        pa.Array.from_buffers(pa.string_view(), 3000, buffers),
    ):
        table = pa.table({"u": column, "i": np.arange(3000) % 7})
        data = nw.Interactions.from_frame(table, user="u", item="i")
        assert data.user_ids.tolist() == [long, "y"] and data.shape == (2, 7)


def test_objects_of_polars_are_read_as_what_they_are() -> None:
    frame = pl.DataFrame({"u": pl.Series(UUIDS[:2], dtype=pl.Object), "i": [1, 2]})
    data = nw.Interactions.from_frame(frame, user="u", item="i")
    assert data.user_ids.tolist() == [str(one) for one in UUIDS[:2]]


def test_tables_that_are_refused() -> None:
    rows: list[Any] = [{"u": 1, "i": 2}, {"u": 1}]
    cases: list[tuple[Any, type[Exception], str]] = [
        (rows, ValueError, "row 1 has no 'i'"),
        ([(1, 2)], TypeError, r"row 0 is \(1, 2\), expected dicts"),
        (5, TypeError, "the table is a int, which has no columns by name"),
    ]
    for table, error, text in cases:
        with pytest.raises(error, match=text):
            nw.Interactions.from_frame(table, user="u", item="i")


# Metrics, paths and the system's errors.


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("cosine", "angular"),
        ("Cos", "angular"),
        ("l2", "euclidean"),
        ("L2", "euclidean"),
        ("ip", "dot"),
        ("inner_product", "dot"),
        ("Inner-Product", "dot"),
        ("l1", "manhattan"),
        ("cityblock", "manhattan"),
        ("HAMMING", "hamming"),
    ],
)
def test_metrics_by_other_names(name: str, metric: str) -> None:
    index = nw.Index.build(VECTORS, metric=name)
    assert index.metric == metric == nw.Metric(name)
    assert index.to_bytes() == nw.Index.build(VECTORS, metric=metric).to_bytes()


def test_no_metric() -> None:
    for name in ("sqeuclidean", "jaccard", ""):
        with pytest.raises(ValueError, match="metric is"):
            nw.Index.build(VECTORS, metric=name)
        with pytest.raises(ValueError, match="is not a valid Metric"):
            nw.Metric(name)


def test_paths(index: nw.Index, tmp_path: Path) -> None:
    for name in (b"a.nw", "b.nw", Path("c.nw")):
        path = tmp_path / name if not isinstance(name, bytes) else bytes(tmp_path) + b"/" + name
        index.save(path)
        assert len(nw.Index.open(path)) == 6
    odd = bytes(tmp_path) + b"/\xff.nw"
    if sys.platform == "linux":
        index.save(odd)
        assert len(nw.Index.open(odd)) == 6
    for path in (None, 5, ["x"]):
        with pytest.raises(
            TypeError, match=r"path is .*, expected a path: str, bytes or os\.PathLike"
        ):
            index.save(path)
    with pytest.raises(TypeError, match="out is 5, expected a path"):
        nw.report(index, 5)


def test_errors_of_the_system_say_which(index: nw.Index, tmp_path: Path) -> None:
    missing, folder = tmp_path / "none" / "x.nw", tmp_path / "x.csv"
    calls = [
        (nw.Index.open, missing),
        (nw.Recommender.open, missing),
        (nw.AlternatingLeastSquares.load, missing),
        (index.save, missing),
        (lambda path: nw.Interactions.read(path, user=0, item=1), folder),
    ]
    for call, path in calls:
        with pytest.raises(FileNotFoundError) as raised:
            call(path)
        assert raised.value.errno == 2
        assert str(raised.value.filename) == str(path)
        assert "os error" not in str(raised.value)
