"""What is read of files as people have them: quotes, line ends, encodings, folders, times."""

from __future__ import annotations

import bz2
import gzip
import io
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nearwood as nw

READ = nw.Interactions.read

# As Last.fm's data are published: names, and nothing quoted.
UNQUOTED = """u1\tmb1\tradiohead\t100
u1\tmb2\t"weird al" yankovic\t50
u2\tmb3\t"ghost town\t40
u3\tmb4\tair\t7
u4\tmb6\t7" heroes\t9
u5\tmb7\t"Heroes"\t3
u5\tmb8\tHeroes\t2
"""


def rows(data: nw.Interactions) -> list[tuple[Any, Any, float]]:
    entries = data.to_scipy().tocoo()
    users, items = data.user_ids[entries.row].tolist(), data.item_ids[entries.col].tolist()
    return sorted(zip(users, items, entries.data.tolist(), strict=True))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


Write = Callable[[str, "str | bytes"], Path]


def test_quotes_mean_nothing_where_nothing_is_quoted(write: Write) -> None:
    path = write("plays.tsv", UNQUOTED)
    data = READ(path, user=0, item=2, weight=3)
    assert data.nnz == 7
    assert set(data.item_ids) >= {"Heroes", '"Heroes"', '"ghost town', '"weird al" yankovic'}
    assert rows(READ(path, user=0, item=1, weight=3))[2] == ("u2", "mb3", 40)
    many = "".join(
        f"u{row % 50}\ti{row % 97}\t{chr(34) * (row % 25 == 0)}name\t1\n" for row in range(2000)
    )
    assert READ(write("many.tsv", many), user=0, item=1, weight=3).matrix[2].sum() == 2000


def test_a_record_that_swallows_rows_is_a_bad_row(write: Write) -> None:
    path = write("t.csv", 'u,i,note,n\n1,7,"ghost,5\n2,8,x,3\n3,9,12",4\n4,7,y,6\n')
    with pytest.raises(nw.FormatError, match=r"line 2: .*--quote none"):
        READ(path, user="u", item="i", weight="n")
    data = READ(path, user="u", item="i", weight="n", errors="skip")
    assert (data.n_skipped, rows(data)) == (1, [(2, 8, 3.0), (3, 9, 4.0), (4, 7, 6.0)])
    assert READ(path, user="u", item="i", weight="n", quote="none").nnz == 4
    whole = READ(path, user="u", item="i", weight="n", quote="double")
    assert rows(whole) == [(1, 7, 4.0), (4, 7, 6.0)]


def test_dialects_are_asked_for(write: Write) -> None:
    path = write("t.txt", "'a b'^x\nc^y\n")
    data = READ(path, user=0, item=1, delimiter="^", quote="single", header=False)
    assert data.user_ids.tolist() == ["a b", "c"]
    for wrong in ({"delimiter": "ab"}, {"quote": "ab"}, {"encoding": "klingon"}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} is "):
            READ(path, user=0, item=1, **wrong)  # type: ignore[arg-type]
    escaped = write("b.csv", '"id";"title"\n"1";"The \\"C\\"; Level 4"\n"2";"x"\n')
    assert READ(escaped, user="id", item="title").item_ids.tolist() == ['The "C"; Level 4', "x"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end(write: Write, end: str) -> None:
    text = "user,item,n\nann,x,1\nann,y,2\nbob,x,3\n".replace("\n", end)
    path = write("t.csv", text)
    want = [("ann", "x", 1.0), ("ann", "y", 2.0), ("bob", "x", 3.0)]
    assert rows(READ(path, user="user", item="item", weight="n")) == want
    body = write("b.csv", text.partition(end)[2])
    assert rows(READ(body, user=0, item=1, weight=2)) == want
    lists = write("l.txt", f"1 2{end}3 4 5{end}")
    assert READ(lists).nnz == 3


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-8-sig"])
def test_encodings(write: Write, encoding: str) -> None:
    path = write("t.csv", "user;item\nann;Été\nbob;Noël\n".encode(encoding))
    assert READ(path, user="user", item="item", encoding=encoding).item_ids.tolist() == [
        "Été",
        "Noël",
    ]
    if encoding in ("utf-16", "utf-8-sig"):
        assert READ(path, user="user", item="item").nnz == 2
    else:
        with pytest.raises(nw.FormatError, match=r'encoding="(latin-1|utf-16le)"'):
            READ(path, user="user", item="item")


def test_headers_by_number(write: Write) -> None:
    path = write("t.csv", "user_id,product\na1f,10\nb2e,11\na1f,11\n")
    with pytest.raises(nw.FormatError, match="header=True"):
        READ(path, user=0, item=1)
    assert READ(path, user=0, item=1, header=True).user_ids.tolist() == ["a1f", "b2e"]
    assert READ(path, user=0, item=1, header=False).shape == (3, 3)
    twice = write("two.csv", "user,item\na,x\nuser,item\nb,y\n")
    with pytest.raises(nw.FormatError, match="line 3: the line repeats the header"):
        READ(twice, user="user", item="item")
    pandas = write("p.csv", "0,1\n5,7\n6,8\n")
    with pytest.raises(nw.FormatError, match="counts the columns"):
        READ(pandas, user=0, item=1)


def test_blanks_and_missing_ids(write: Write) -> None:
    path = write("t.csv", 'user, item, n\n1, 10, 5\n2, "10", 3\n1, 11, 4\n')
    assert rows(READ(path, user="user", item="item", weight="n")) == [
        (1, 10, 5.0),
        (1, 11, 4.0),
        (2, 10, 3.0),
    ]
    missing = write("m.csv", "u,i\nNULL,x\n\\N,x\nNaN,x\nann,x\n")
    with pytest.raises(nw.FormatError, match=r"3 rows cannot be read.*keep_null_ids=True"):
        READ(missing, user="u", item="i")
    assert READ(missing, user="u", item="i", errors="skip").shape == (1, 1)
    assert READ(missing, user="u", item="i", keep_null_ids=True).shape == (4, 1)


def test_lists_or_rows(write: Write) -> None:
    path = write("ratings.txt", "1 1 3\n1 2 4\n2 1 5\n")
    with pytest.raises(nw.FormatError, match=r'every line has 3 words.*format="lists"'):
        READ(path)
    assert READ(path, user=0, item=1, weight=2).matrix[2].tolist() == [3, 4, 5]
    assert READ(path, format="lists").nnz == 6


def test_several_files_folders_and_patterns(write: Write, tmp_path: Path) -> None:
    one = write("t/day=2024-01-01/part-0.csv", "u,i\na,x\n")
    two = write("t/day=2024-01-02/part-0.csv", "u;i\na;x\nb;y\n")
    write("t/_SUCCESS", "")
    write("t/.part-0.csv.crc", b"\0\1")
    want = [("a", "x", 2.0), ("b", "y", 1.0)]
    names = {"user": "u", "item": "i"}
    sources: list[Any] = [[one, two], (str(one), two), tmp_path / "t", f"{tmp_path}/t/*/*.csv"]
    for source in sources:
        assert rows(READ(source, **names)) == want
    data = READ(tmp_path / "t", time="day", **names)
    assert data.times is not None and data.times.tolist() == [1704153600, 1704153600]
    with pytest.raises(FileNotFoundError):
        READ(tmp_path / "none*.csv", **names)
    with pytest.raises(ValueError, match="at least one file"):
        READ([], **names)
    write("delta/_delta_log/0.json", "{}")
    with pytest.raises(nw.FormatError, match="Delta table"):
        READ(tmp_path / "delta", **names)


def test_parquet_of_every_compression_and_feather(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    feather = pytest.importorskip("pyarrow.feather")
    pq = pytest.importorskip("pyarrow.parquet")
    table = pa.table({"u": [1, 2], "i": ["x", "y"], "w": [3.0, 4.0]})
    want = [(1, "x", 3.0), (2, "y", 4.0)]
    names = {"user": "u", "item": "i", "weight": "w"}
    for codec in ("none", "snappy", "gzip", "brotli", "lz4", "zstd"):
        pq.write_table(table, tmp_path / f"{codec}.parquet", compression=codec)
        assert rows(READ(tmp_path / f"{codec}.parquet", **names)) == want, codec
    for codec in ("uncompressed", "lz4", "zstd"):
        feather.write_feather(table, tmp_path / f"{codec}.feather", compression=codec)
        assert rows(READ(tmp_path / f"{codec}.feather", **names)) == want, codec


def test_int96_beyond_nanoseconds(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    days = [datetime(9999, 12, 31), datetime(1, 1, 1), datetime(2024, 1, 1)]
    table = pa.table({"u": [1, 2, 3], "i": [1, 2, 3], "t": pa.array(days, pa.timestamp("us"))})
    pq.write_table(table, tmp_path / "t.parquet", use_deprecated_int96_timestamps=True)
    data = READ(tmp_path / "t.parquet", user="u", item="i", time="t")
    assert data.times is not None
    assert data.times.tolist() == [253402214400, -62135596800, 1704067200]


def test_other_files_are_named_and_packed_ones_read(write: Write) -> None:
    text = b"u,i\na,x\n"
    for name, content in [("t.csv.gz", gzip.compress(text)), ("t.bz2", bz2.compress(text))]:
        assert READ(write(name, content), user="u", item="i").nnz == 1
    npz = io.BytesIO()
    np.savez(npz, a=np.arange(3))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("ratings.csv", text)
    for name, content, what in [
        ("t.zip", archive.getvalue(), "zip archive"),
        ("t.npz", npz.getvalue(), "npz"),
        ("t.xz", b"\xfd7zXZ\0\0\4\xe6", "xz archive"),
        ("t.db", b"SQLite format 3\0\x10\0\1\1", "SQLite"),
        ("t.json", b'[{"u": 1}]', "JSON"),
        ("t.bin", bytes(range(32)) * 9, "binary data"),
    ]:
        with pytest.raises(nw.FormatError, match=what) as error:
            READ(write(name, content), user="u", item="i")
        assert str(error.value).isprintable(), name


def played(times: Any) -> nw.Interactions:
    n = len(times)
    return nw.Interactions.from_columns(np.arange(n), np.arange(n), None, times)


SECONDS = 1_700_000_000 + 86_400 * np.arange(60)


def test_a_half_life_fits_the_unit_of_the_times() -> None:
    want = played(SECONDS).decayed("30d").matrix[2]
    assert want[-1] == 1 and want[29] == pytest.approx(0.5)
    for half_life in (timedelta(days=30), np.timedelta64(30, "D"), 30 * 86_400):
        assert (played(SECONDS).decayed(half_life).matrix[2] == want).all()
    for factor, name in [(10**3, "milliseconds"), (10**6, "microseconds"), (10**9, "nanoseconds")]:
        for half_life in ("30d", timedelta(days=30), np.timedelta64(30, "D")):
            with pytest.raises(ValueError, match=f"number of {name}"):
                played(SECONDS * factor).decayed(half_life)
            with pytest.raises(ValueError, match=f"number of {name}"):
                played(SECONDS * factor).weighted("log1p", half_life=half_life)
        assert (played(SECONDS * factor).decayed(30 * 86_400 * factor).matrix[2] == want).all()
    dates = np.arange("2024-01-01", "2024-03-01", dtype="M8[D]")
    written = np.array([int(str(day).replace("-", "")) for day in dates])
    for half_life in ("30d", 30):
        with pytest.raises(ValueError, match="yyyymmdd"):
            played(written).decayed(half_life)
    assert played(dates).decayed("30d").matrix[2][-31] == pytest.approx(0.5)
    with pytest.raises(ValueError, match="minutes or months"):
        played(SECONDS).decayed("3m")
    with pytest.raises(ValueError, match="nothing would decay"):
        played(np.arange(300)).decayed("90d")


def test_a_decay_that_leaves_nothing_is_refused_or_told() -> None:
    future = np.append(SECONDS, 253402214400)
    with pytest.raises(ValueError, match="pass now="):
        played(future).decayed("30d")
    assert played(future).decayed("30d", now=int(SECONDS[-1])).matrix[2][-2:].tolist() == [1, 1]
    with pytest.raises(ValueError, match="59 of 60 would keep less than a millionth"):
        played(SECONDS.astype("M8[s]")).decayed(90)
    with pytest.warns(UserWarning, match="29 of 60 users keep less"):
        played(SECONDS).decayed("36h")
    with pytest.raises(ValueError, match="not before all of them"):
        played(SECONDS * 1000).decayed(30 * 86_400_000, now=datetime(2024, 1, 1))


def test_a_split_tells_of_pairs_on_both_sides() -> None:
    users, items = [1, 1, 1, 1, 2, 2], [7, 7, 8, 9, 7, 8]
    data = nw.Interactions.from_columns(users, items, None, [1, 10, 2, 9, 3, 4])
    with pytest.warns(UserWarning, match="1 of 2 pairs of the test were summed"):
        data.split("time", share=0.4)
    with pytest.warns(UserWarning, match="1 of 2 pairs"):
        data.split("user_time", k=1)
    same = nw.Interactions.from_columns(users[1:], items[1:], None, [5] * 5)
    with pytest.raises(ValueError, match="equal times stay together"):
        same.split("time")
