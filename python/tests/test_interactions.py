"""`nearwood.Interactions`: from tables, matrices and files."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import nearwood as nw

USERS = ["ann", "bob", "ann", "cy"]
ITEMS = [20, 10, 10, 20]
PLAYS = [3.0, 1.0, 2.0, 5.0]
DENSE = [[3, 2], [0, 1], [5, 0]]


def check(data: nw.Interactions, weights: bool = True) -> None:
    assert data.shape == (3, 2) and data.nnz == 4
    assert data.user_ids.tolist() == ["ann", "bob", "cy"]
    assert data.item_ids.dtype == np.int64 and data.item_ids.tolist() == [20, 10]
    wanted = np.array(DENSE) if weights else np.array(DENSE) > 0
    assert (data.to_scipy().toarray() == wanted).all()
    assert repr(data) == "Interactions(3 users, 2 items, 4 interactions)"


def frames() -> dict[str, object]:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    columns = {"who": USERS, "what": ITEMS, "plays": PLAYS}
    categories = pd.DataFrame(columns).astype({"who": "category"})
    return {
        "dict": columns,
        "pandas": pd.DataFrame(columns),
        "pandas categories": categories,
        "pandas narrow": pd.DataFrame(columns).astype({"what": "uint8", "plays": "int16"}),
        "pandas object": pd.DataFrame(columns, dtype=object),
        "polars": pl.DataFrame(columns),
        "pyarrow": pa.table(columns),
        "chunked": pa.concat_tables([pa.table(columns)[:1], pa.table(columns)[1:]]),
        "dictionary": pa.table({**columns, "who": pa.array(USERS).dictionary_encode()}),
        "numpy": np.array(
            list(zip(USERS, ITEMS, PLAYS, strict=True)),
            dtype=[("who", "U5"), ("what", "i4"), ("plays", "f8")],
        ),
    }


@pytest.mark.parametrize("kind", list(frames()))
def test_from_frame(kind: str) -> None:
    table = frames()[kind]
    check(nw.Interactions.from_frame(table, user="who", item="what", weight="plays"))
    check(nw.Interactions.from_frame(table, user="who", item="what"), weights=False)
    with pytest.raises(KeyError, match=r"the table has no column .nobody"):
        nw.Interactions.from_frame(table, user="nobody", item="what")


class Stream:
    """Nothing but the Arrow C stream."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


def test_anything_with_the_arrow_stream() -> None:
    import pyarrow as pa

    columns = {"who": USERS, "what": ITEMS, "plays": PLAYS}
    for kind in (pa.string(), pa.large_string(), pa.string_view(), None):
        who = pa.array(USERS, kind) if kind else pa.array(USERS).dictionary_encode()
        table = pa.table({**columns, "who": who, "other": [None, {}, None, {}]})
        check(nw.Interactions.from_frame(Stream(table), user="who", item="what", weight="plays"))
    reader = pa.RecordBatchReader.from_batches(
        pa.table(columns).schema, pa.table(columns).to_batches(max_chunksize=1)
    )
    check(nw.Interactions.from_frame(reader, user="who", item="what", weight="plays"))
    empty = nw.Interactions.from_frame(pa.table(columns)[:0], user="who", item="what")
    assert empty.shape == (0, 0) and empty.nnz == 0


def test_frames_that_are_refused() -> None:
    import pandas as pd
    import polars as pl

    frames = [
        (pl.DataFrame({"u": ["a", None], "i": [1, 2]}), "row 1: the user id is null"),
        (pd.DataFrame({"u": [1.5, 2.0], "i": [1, 2]}), "user id column holds"),
        (pl.DataFrame({"u": ["a", "b"], "i": [True, False]}), "item id column holds"),
        (pl.DataFrame({"u": [1, -1], "i": [1, 2]}), "row 1 has id -1"),
        (pd.DataFrame({"u": ["a", 5], "i": [1, 2]}, dtype=object), "integers or strings"),
    ]
    for frame, text in frames:
        with pytest.raises(ValueError, match=text):
            nw.Interactions.from_frame(frame, user="u", item="i")
    numbered = pd.DataFrame({0: USERS, 1: ITEMS, 2: PLAYS})
    check(nw.Interactions.from_frame(numbered, user=0, item=1, weight=2))


def test_columns_that_are_refused() -> None:
    make = nw.Interactions.from_columns
    cases: list[tuple[tuple, str]] = [
        (([1, 2], [1]), "item ids is 1, expected 2"),
        (([1], [1], [1, 2]), "weights is 2, expected 1"),
        (([1], [-1]), "row 0 has id -1"),
        (([1, 2], [5, 6], [1.0, np.nan]), "row 1 .user 2, item 6. has weight NaN"),
        ((["a", None], [1, 2]), "row 1 is None"),
        (([1.0], [2]), "users"),
        ((np.zeros((2, 2), int), [1, 2]), "2 dimensions"),
        (([1, 1], [1, 1], [3e38, 3e38]), "weight of row 0, column 0 is inf"),
    ]
    for args, text in cases:
        with pytest.raises(ValueError, match=text):
            make(*args)
    with pytest.raises(TypeError, match="expected numbers"):
        make([1], [1], ["x"])


@pytest.mark.parametrize("kind", ["csr", "coo", "csc", "lil"])
@pytest.mark.parametrize("make", [f"{kind}_{of}" for kind in ["csr"] for of in ["matrix", "array"]])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int32", "bool"])
def test_from_matrix(kind: str, make: str, dtype: str) -> None:
    matrix = getattr(sp, make)(np.array(DENSE, dtype)).asformat(kind)
    data = nw.Interactions.from_matrix(matrix)
    assert data.user_ids.tolist() == [0, 1, 2] and data.item_ids.tolist() == [0, 1]
    assert (data.to_scipy().toarray() == np.array(DENSE, dtype)).all()
    named = nw.Interactions.from_matrix(matrix, user_ids=["ann", "bob", "cy"], item_ids=[20, 10])
    check(named, weights=dtype != "bool")
    indptr, indices, values = named.matrix
    assert indptr.tolist() == [0, 2, 3, 4] and indptr.dtype == np.int64
    assert indices.tolist() == [0, 1, 1, 0] and indices.dtype == np.int32
    assert values.dtype == np.float32


def test_unsorted_rows_and_duplicates_are_put_right() -> None:
    matrix = sp.csr_array(
        (np.array([1.0, 2.0, 4.0]), np.array([1, 0, 1]), np.array([0, 3])), shape=(1, 2)
    )
    assert nw.Interactions.from_matrix(matrix).to_scipy().toarray().tolist() == [[2, 5]]


def test_matrices_that_are_refused() -> None:
    class Broken:
        format = "csr"
        shape = (1, 2)
        indptr = np.array([0, 1])
        indices = np.array([5])
        data = np.array([1.0])

    broken = Broken()
    with pytest.raises(ValueError, match="column index is 5"):
        nw.Interactions.from_matrix(broken)
    broken.indices = np.array([-1])
    with pytest.raises(ValueError, match="indices holds -1"):
        nw.Interactions.from_matrix(broken)
    broken.indices, broken.indptr = np.array([1]), np.array([0, 1, 1])
    with pytest.raises(ValueError, match="indptr has 3 values, expected 2"):
        nw.Interactions.from_matrix(broken)
    with pytest.raises(TypeError, match="ndarray, expected a scipy sparse matrix"):
        nw.Interactions.from_matrix(np.eye(2))
    with pytest.raises(ValueError, match="user_ids: got 1 ids for 3 rows"):
        nw.Interactions.from_matrix(sp.csr_array(DENSE), user_ids=["a"])
    with pytest.raises(ValueError, match="item_ids: id 1 is given twice"):
        nw.Interactions.from_matrix(sp.csr_array(DENSE), item_ids=[1, 1])
    with pytest.raises(ValueError, match="NaN"):
        nw.Interactions.from_matrix(sp.csr_array([[np.nan]]))


def test_reading_files(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame({"who": USERS, "what": ITEMS, "plays": PLAYS})
    frame.to_csv(tmp_path / "p.csv", index=False)
    frame.to_csv(tmp_path / "p.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "p.parquet")
    with gzip.open(tmp_path / "p.csv.gz", "wb") as file:
        file.write((tmp_path / "p.csv").read_bytes())
    for name in ("p.csv", "p.tsv", "p.parquet", "p.csv.gz"):
        read = nw.Interactions.read(tmp_path / name, user="who", item="what", weight="plays")
        check(read)
    check(nw.Interactions.read(str(tmp_path / "p.csv"), user="who", item=1), weights=False)
    (tmp_path / "lists.txt").write_text("1 10 20\n2 10\n")
    lists = nw.Interactions.read(tmp_path / "lists.txt")
    assert lists.shape == (2, 2) and lists.nnz == 3


def test_files_that_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("u,i,w\na,b,1\nc,d,x\n")
    with pytest.raises(nw.FormatError, match="line 3"):
        nw.Interactions.read(path, user="u", item="i", weight="w")
    with pytest.raises(ValueError, match='no column "user"; it has u, i, w'):
        nw.Interactions.read(path, user="user", item="i")
    with pytest.raises(ValueError, match='format is "xls"'):
        nw.Interactions.read(path, user="u", item="i", format="xls")
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        nw.Interactions.read(tmp_path / "none.csv", user="u", item="i")


def test_times(tmp_path: Path) -> None:
    import pandas as pd
    import polars as pl

    columns: dict[str, Any] = {"u": [1, 1, 2, 1], "i": [5, 6, 5, 5], "t": [7, 8, 9, 3]}
    days = {"t": pd.to_datetime([8, 9, 10, 4], unit="D")}
    written = {"t": ["1970-01-09", "1970-01-10", "1970-01-11", "1970-01-05"]}
    for frame, unit in [
        (columns, 1),
        (pd.DataFrame(columns), 1),
        (pl.DataFrame(columns), 1),
        (pd.DataFrame({**columns, **days}), 86400),
        (pl.DataFrame({**columns, **days}), 86400),
        (pl.DataFrame({**columns, **days}).cast({"t": pl.Date}), 86400),
        (pl.DataFrame({**columns, **written}), 86400),
        ({**columns, **written}, 86400),
        ({**columns, "t": np.array(written["t"], "M8[us]")}, 86400),
    ]:
        data = nw.Interactions.from_frame(frame, user="u", item="i", time="t")
        offset = 0 if unit == 1 else 1
        assert data.times is not None and data.times.dtype == np.int64
        assert data.times.tolist() == [
            (7 + offset) * unit,
            (8 + offset) * unit,
            (9 + offset) * unit,
        ]
        assert (data.weighted("log1p").times == data.times).all()
    pd.DataFrame({**columns, **written}).to_csv(tmp_path / "t.csv", index=False)
    pd.DataFrame({**columns, **days}).to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        data = nw.Interactions.read(tmp_path / name, user="u", item="i", time="t")
        assert data.times is not None and data.times.tolist() == [8 * 86400, 9 * 86400, 10 * 86400]
    assert nw.Interactions.from_columns([1], [2]).times is None
    cases: list[tuple[Any, str]] = [
        ([1.5], "expected integers or datetimes"),
        (np.array(["NaT"], "M8[s]"), "times: row 0 is not a time"),
        ([1, 2], "times is 2, expected 1"),
    ]
    for times, text in cases:
        with pytest.raises(ValueError, match=text):
            nw.Interactions.from_columns([1], [2], times=times)


def test_duckdb() -> None:
    import duckdb

    plays = "(values ('ann', 20, 3.0), ('bob', 10, 1), ('ann', 10, 2), ('cy', 20, 5)) t(u, i, w)"
    for query in (f"select * from {plays}", f"select w, i, u, i + 1 as other from {plays}"):
        check(nw.Interactions.from_frame(duckdb.sql(query), user="u", item="i", weight="w"))
    many = duckdb.sql("select range % 7000 as u, range // 7000 as i from range(300000)")
    data = nw.Interactions.from_frame(many, user="u", item="i")
    assert data.shape == (7000, 43) and data.nnz == 300_000
    dated = duckdb.sql(f"select *, timestamp '2024-01-01 00:00:10' as t from {plays}")
    times = nw.Interactions.from_frame(dated, user="u", item="i", time="t").times
    assert times is not None and set(times.tolist()) == {1704067210}


@pytest.mark.parametrize(
    "make",
    [
        sp.csr_array,
        sp.coo_array,
        sp.csc_array,
        sp.lil_array,
        sp.dok_array,
        sp.bsr_array,
        sp.csr_matrix,
        sp.coo_matrix,
        sp.csc_matrix,
        sp.dia_matrix,
    ],
)
@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "float32", "float64", "bool"])
def test_sparse_matrices_of_every_kind(make: Any, dtype: str) -> None:
    dense = np.array(DENSE).astype(dtype)
    data = nw.Interactions.from_matrix(make(dense))
    assert (data.to_scipy().toarray() == dense.astype(np.float32)).all()
    assert data.shape == (3, 2) and data.nnz == 4


def test_sparse_matrices_with_wide_indices_and_doubles() -> None:
    where = (np.array([0, 0, 1], np.int64), np.array([1, 1, 0], np.int64))
    for matrix in (sp.coo_array(([1, 2, 4], where)), sp.csr_array(([1, 2, 4], where))):
        for name in ("row", "col", "indices", "indptr"):
            if hasattr(matrix, name) and matrix.format == "csr":
                setattr(matrix, name, getattr(matrix, name).astype(np.int64))
        data = nw.Interactions.from_matrix(matrix)
        assert data.to_scipy().toarray().tolist() == [[0, 3], [4, 0]]
    indptr, _, _ = data.matrix
    assert indptr.dtype == np.int64
    with pytest.raises(TypeError, match="expected a scipy sparse matrix"):
        nw.Interactions.from_matrix(np.zeros((2, 2)))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="dtype complex128"):
        nw.Interactions.from_matrix(sp.csr_array(np.eye(2) * 1j))


def test_bad_rows(tmp_path: Path) -> None:
    import polars as pl
    import pyarrow as pa

    path = tmp_path / "p.csv"
    path.write_text("u,i,w\na,b,1\nc,d,x\n,d,1\nc,d,2\n")
    with pytest.raises(nw.FormatError, match=r"2 rows cannot be read: .*line 3.*line 4.*empty"):
        nw.Interactions.read(path, user="u", item="i", weight="w")
    data = nw.Interactions.read(path, user="u", item="i", weight="w", errors="skip")
    assert data.nnz == 2 and data.n_skipped == 2
    assert 'line 3: the weight is "x"' in data.skipped[0] and "line 4" in data.skipped[1]
    columns: dict[str, Any] = {"u": ["a", None, "c"], "i": [1, 2, -1], "w": [1.0, 2.0, 3.0]}
    for frame in (pl.DataFrame(columns), pa.table(columns)):
        with pytest.raises(
            ValueError, match=r"2 rows cannot be read: .*row 1: the user id is null"
        ):
            nw.Interactions.from_frame(frame, user="u", item="i", weight="w")
        data = nw.Interactions.from_frame(frame, user="u", item="i", weight="w", errors="skip")
        assert data.user_ids.tolist() == ["a"] and data.n_skipped == 2
    pa_path = tmp_path / "p.parquet"
    pl.DataFrame(columns).write_parquet(pa_path)
    data = nw.Interactions.read(pa_path, user="u", item="i", errors="skip")
    assert data.n_skipped == 2 and "row 1" in data.skipped[0]
    assert nw.Interactions.from_columns([1], [2]).n_skipped == 0
    with pytest.raises(ValueError, match='errors is "ignore"'):
        nw.Interactions.read(path, user="u", item="i", errors="ignore")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs a table with the Arrow C stream"):
        nw.Interactions.from_frame(columns, user="u", item="i", errors="skip")


def test_decay() -> None:
    from datetime import datetime, timedelta, timezone

    day = 86_400
    times = np.array([3 * day, 2 * day, 2 * day, day])
    data = nw.Interactions.from_columns([1, 2, 3, 4], [1, 2, 3, 4], [8, 8, -8, 8], times)
    wanted = [8.0, 4.0, -4.0, 2.0]
    assert data.decayed(day).matrix[2].tolist() == wanted
    assert data.decayed(timedelta(days=1)).matrix[2].tolist() == wanted
    assert data.decayed(day, now=4 * day).matrix[2].tolist() == [w / 2 for w in wanted]
    for now in (datetime(1970, 1, 5), datetime(1970, 1, 5, 1, tzinfo=timezone(timedelta(hours=1)))):
        later = data.decayed(timedelta(days=1), now)
        assert later.matrix[2].tolist() == [w / 2 for w in wanted]
        assert later.times is not None and (later.times == times).all()
    both = data.weighted("log1p", half_life=day, now=4 * day)
    alone = data.weighted("log1p").decayed(day, 4 * day)
    assert both.matrix[2].tolist() == alone.matrix[2].tolist()
    with pytest.raises(ValueError, match="half_life is 0"):
        data.decayed(0)
    with pytest.raises(ValueError, match="read it with time="):
        nw.Interactions.from_columns([1], [1]).decayed(1.0)


def test_weighted() -> None:
    data = nw.Interactions.from_columns(USERS, ITEMS, PLAYS)
    log = data.weighted("log1p")
    np.testing.assert_allclose(log.matrix[2], np.log1p(data.matrix[2]), rtol=1e-6)
    assert data.weighted("raw").matrix[2].tolist() == data.matrix[2].tolist()
    assert (data.weighted("bm25").matrix[2] > 0).all()
    weights, shared = data.to_scipy().toarray(), np.array([[4, 4], [2, 2], [2, 2]])
    for name, beta in [("normalized", 0.5), ("normalized:0.25", 0.25)]:
        wanted = weights / shared**beta
        got = data.weighted(name).to_scipy().toarray()
        np.testing.assert_allclose(got, wanted * weights.sum() / wanted.sum(), rtol=1e-6)
    with pytest.raises(ValueError, match='weighting is "tfidf"'):
        data.weighted("tfidf")


def test_real_interactions(real_data: Path) -> None:
    lastfm = nw.Interactions.read(
        real_data / "lastfm" / "user_artists.dat", user="userID", item="artistID", weight="weight"
    )
    assert lastfm.shape == (1892, 17632) and lastfm.nnz == 92834


def test_without_scipy_it_says_what_to_install() -> None:
    script = """if True:
        import sys
        sys.modules["scipy"] = None
        import nearwood as nw
        nw.Interactions.from_columns([1], [2]).to_scipy()
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    told = "ImportError: to_scipy needs SciPy: pip install 'nearwood[scipy]'"
    assert done.stderr.splitlines()[-1] == told
